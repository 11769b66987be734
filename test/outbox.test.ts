import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { MikroOrmLedgerReader } from '../src/infrastructure/database/ledger-reader.js';
import { Outbox } from '../src/infrastructure/database/outbox.js';
import type { Broker } from '../src/infrastructure/messaging/broker.js';
import { InProcessBroker } from '../src/infrastructure/messaging/in-process-broker.js';
import { Relay } from '../src/infrastructure/messaging/relay.js';
import { makeLogger } from '../src/infrastructure/observability/logger.js';
import { aBulk, aTransfer, transfersOf } from './setup/builders.js';
import { startServer, untilPublished } from './setup/server.js';

const OUTBOX = `{ outbox {
  due oldestDueSince parked
  parkedMessages { type attempts lastError parkedAt sequence account { iban } }
} }`;

test('everything is published soon after its commit', async () => {
  const server = await startServer();
  await server.client.perform(aBulk(transfersOf(5)));

  await untilPublished(server);

  const { outbox } = await server.client.data(OUTBOX);
  expect(outbox).toEqual({ due: 0, oldestDueSince: null, parked: 0, parkedMessages: [] });
});

test('a message that can never be published is parked after its attempts, and operators see why', async () => {
  const server = await startServer();
  await untilPublished(server);
  const outbox = new Outbox(server.database.orm);
  const [{ id } = { id: '' }] = await server.database.orm.em
    .fork()
    .execute('select hex(id) as id from outbox_message order by created_at limit 1');
  // It has failed as often as it may but for one time, and its bulk is not there.
  await server.database.orm.em.fork().execute(
    `update outbox_message set published_at = null, attempts = 19, due_at = created_at,
      sequence = 77 where id = x'${id}'`,
  );

  await expect.poll(async () => (await outbox.counts()).parked, { timeout: 10_000 }).toBe(1);

  const answer = await server.client.data(OUTBOX);
  expect(answer.outbox).toMatchObject({
    due: 0,
    parked: 1,
    parkedMessages: [
      { attempts: 20, lastError: 'The ledger entry does not exist', sequence: '77' },
    ],
  });
  expect(await (await fetch(`${server.url}/metrics`)).text()).toContain(
    'virement_outbox_messages{state="parked"} 1',
  );
  expect(server.log).toContainEqual(
    expect.objectContaining({ level: 50, msg: 'Outbox message parked', attempts: 20 }),
  );
  await server.database.orm.em.fork().execute(`update outbox_message set sequence = 1,
    parked_at = null, published_at = created_at where id = x'${id}'`);
});

test('two relays that claim at once never take the same message', async () => {
  const server = await startServer();
  await untilPublished(server);
  const em = () => server.database.orm.em.fork();
  const values = Array.from({ length: 200 }, (_, index) => {
    const id = randomUUID().replaceAll('-', '');
    return `(x'${id}', 'account.credited', x'${id}', ${index}, ?, ?, 0)`;
  });
  await em().execute(
    `insert into outbox_message (id, type, account_id, sequence, created_at, due_at, attempts)
      values ${values.join(', ')}`,
    values.flatMap(() => [new Date(), new Date('2100-01-01T00:00:00Z')]),
  );
  const outbox = new Outbox(server.database.orm);
  // Long after the server's own relay would take them.
  const then = new Date('2100-06-01T00:00:00Z');

  const claims = await Promise.all(Array.from({ length: 8 }, () => outbox.claim(then, 25, 60_000)));

  const ids = claims.flat().map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.length).toBeGreaterThan(0);
  await em().execute(
    "delete from outbox_message where type = 'account.credited' and sequence < 200 and account_id not in (select id from account)",
  );
});

test('published messages are deleted once they are old enough, and no others', async () => {
  const server = await startServer();
  await server.client.perform(aBulk([aTransfer()]));
  await untilPublished(server);
  const outbox = new Outbox(server.database.orm);

  expect(await outbox.prune(new Date(0))).toBe(0);
  const before = await server.database.orm.em
    .fork()
    .execute('select count(*) as n from outbox_message');
  expect(Number(before[0]?.n)).toBe(4);
});

test('nothing is tried while the broker is down, so that an outage parks nothing', async () => {
  const server = await startServer();
  await untilPublished(server);
  const em = () => server.database.orm.em.fork();
  // Due only in a time that the server's own relay does not live to see.
  await em().execute('update outbox_message set published_at = null, due_at = ?', [
    new Date('2099-01-01T00:00:00Z'),
  ]);
  const attempts = async () => {
    const [row] = await em().execute('select sum(attempts) as attempts from outbox_message');
    return Number(row?.attempts);
  };
  const runOnce = async (broker: Broker) => {
    const relay = new Relay({
      outbox: new Outbox(server.database.orm),
      reader: new MikroOrmLedgerReader(server.database.orm),
      broker,
      clock: () => new Date('2100-01-01T00:00:00Z'),
      logger: makeLogger('silent'),
      retentionMs: Number.MAX_SAFE_INTEGER,
    });
    relay.start();
    await relay.stop();
  };
  const before = await attempts();

  await runOnce({ ...brokerThat('is down'), isReady: false });
  expect(await attempts()).toBe(before);
  await runOnce(new InProcessBroker());
  expect(await attempts()).toBe(before + 3);
});

function brokerThat(reason: string): Broker {
  const refuse = () => Promise.reject(new Error(`The broker ${reason}`));
  return {
    isReady: true,
    publish: refuse,
    onEvent: () => {},
    onReady: () => {},
    close: async () => {},
  };
}
