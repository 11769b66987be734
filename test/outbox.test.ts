import { expect, test } from 'vitest';
import { MikroOrmLedgerReader } from '../src/infrastructure/database/ledger-reader.js';
import { Outbox } from '../src/infrastructure/database/outbox.js';
import type { Broker } from '../src/infrastructure/messaging/broker.js';
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

/** Its own relay takes nothing: there is no broker at that port. */
const startWithoutBroker = () => startServer({ AMQP_URL: 'amqp://127.0.0.1:1' });

test('two relays that claim at once never take the same message', async () => {
  const server = await startWithoutBroker();
  for (let bulk = 0; bulk < 40; bulk += 1) await server.client.perform(aBulk([aTransfer()]));
  const outbox = new Outbox(server.database.orm);

  const claims = await Promise.all(
    Array.from({ length: 8 }, () => outbox.claim(new Date(), 10, 60_000)),
  );

  const ids = claims.flat().map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.length).toBeGreaterThan(0);
});

test('what a clock that was ahead has written does not wait for the others to catch up', async () => {
  const server = await startWithoutBroker();
  const outbox = new Outbox(server.database.orm);
  const tomorrow = new Date(Date.now() + 86_400_000);
  await server.database.orm.em.fork().execute('update account set updated_at = ?', [tomorrow]);
  const { bulkTransfer } = await server.client.perform(aBulk([aTransfer()]));
  expect(bulkTransfer.transferCount).toBe(1);

  // As it was posted, and as a relay with the same clock leaves it behind.
  expect(await outbox.claim(new Date(), 100, 1_000)).toHaveLength(4);
  expect(await outbox.claim(new Date(), 100, 1_000)).toHaveLength(0);
  await server.database.orm.em.fork().execute('update outbox_message set due_at = ?', [tomorrow]);
  expect(await outbox.claim(new Date(), 100, 1_000)).toHaveLength(4);
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

test('an outage of the broker is no failure of a message; a refusal is', async () => {
  const server = await startWithoutBroker();
  const em = () => server.database.orm.em.fork();
  const attempts = async () => {
    const [row] = await em().execute('select sum(attempts) as attempts from outbox_message');
    return Number(row?.attempts);
  };
  const runOnce = async (broker: Broker) => {
    const relay = new Relay({
      outbox: new Outbox(server.database.orm),
      reader: new MikroOrmLedgerReader(server.database.orm),
      broker,
      clock: () => new Date(),
      logger: makeLogger('silent'),
      retentionMs: 86_400_000,
    });
    relay.start();
    await expect.poll(() => broker.isReady).toBe(false);
    await relay.stop();
  };

  await runOnce(brokerThat('is down', { isReady: false }));
  await runOnce(brokerThat('goes away', { isReadyWhenPublishing: false }));
  expect(await attempts()).toBe(0);
  await runOnce(brokerThat('refuses', { isReadyWhenPublishing: true }));
  expect(await attempts()).toBe(3);
  const { outbox } = await server.client.data(OUTBOX);
  expect(outbox).toMatchObject({ due: 3, parked: 0 });
});

/** One that publishes nothing, and is not ready once it was asked to for all three demo accounts. */
function brokerThat(reason: string, { isReady = true, isReadyWhenPublishing = false }): Broker {
  let asked = 0;
  return {
    get isReady() {
      return isReady && asked < 3;
    },
    publish: async () => {
      if (!isReadyWhenPublishing) isReady = false;
      // Ready until its refusal has been taken in.
      setTimeout(() => {
        asked += 1;
      }, 500);
      throw new Error(`The broker ${reason}`);
    },
    onEvent: () => {},
    onReady: () => {},
    close: async () => {},
  };
}
