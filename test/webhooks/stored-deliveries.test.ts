/** The tables of deliveries behind a stopped server: what is read, sent again and claimed. */
import { expect, onTestFinished, test } from 'vitest';
import { PROGRAM } from '../../src/domain/caller.js';
import { makeNewId } from '../../src/domain/id.js';
import { WebhookDelivery } from '../../src/entities/webhook-delivery.entity.js';
import { openDatabase } from '../../src/infrastructure/database/open-database.js';
import { MikroOrmLedgerReader } from '../../src/infrastructure/ledger/ledger-reader.js';
import { makeLogger } from '../../src/infrastructure/observability/logger.js';
import { WebhookDispatcher } from '../../src/infrastructure/webhooks/dispatcher.js';
import { WebhookSender } from '../../src/infrastructure/webhooks/webhook-sender.js';
import { MikroOrmWebhooks } from '../../src/infrastructure/webhooks/webhooks.js';
import { aBulk, transfersOf } from '../support/builders.js';
import { Receiver } from '../support/receiver.js';
import { startServerOn } from '../support/server.js';
import { createMigratedDatabase, DIALECT } from '../support/test-database.js';
import { registerWebhook, untilDeliveriesAre } from '../support/webhooks.js';

const SINCE_EVER = new Date(0);

/** Stops a server after it has made deliveries, and opens its database. */
async function startStopped(count: number) {
  const file = await createMigratedDatabase();
  onTestFinished(() => file.drop());
  const receiver = await Receiver.start();
  const server = await startServerOn(file);
  const { id } = await registerWebhook(server.client, receiver);
  await server.client.perform(aBulk(transfersOf(count, '0.01')));
  await untilDeliveriesAre(server.client, id, Array(count).fill('DELIVERED'));
  await server.close();
  const settings = { databaseUrl: file.url, databasePoolMax: 3, lockTimeoutMs: 5_000 };
  const database = await openDatabase(settings);
  onTestFinished(() => database.close());
  const storeAt = (clock: () => Date) => new MikroOrmWebhooks(database, clock, makeNewId(clock));
  const pendingCount = () => database.orm.em.fork().count(WebhookDelivery, { status: 'PENDING' });
  return { id, receiver, database, storeAt, pendingCount };
}

test('deliveries that ended after the request are not sent again by it', async () => {
  const { id, database, storeAt, pendingCount } = await startStopped(3);
  const [first] = await database.orm.em
    .fork()
    .find(WebhookDelivery, {}, { orderBy: { endedAt: 'asc' }, limit: 1 });
  const requestedAt = new Date((first?.endedAt?.getTime() ?? 0) - 10_001);

  await storeAt(() => requestedAt).redeliverSince(id, SINCE_EVER, 'all', PROGRAM);
  expect(await pendingCount()).toBe(0);

  await storeAt(() => new Date()).redeliverSince(id, SINCE_EVER, 'all', PROGRAM);
  expect(await pendingCount()).toBe(3);
});

test('a call does not begin when its lease may end before it', async () => {
  const { id, receiver, database, storeAt } = await startStopped(1);
  let lateMs = 0;
  const clock = () => new Date(Date.now() + lateMs);
  await storeAt(clock).redeliverSince(id, SINCE_EVER, 'all', PROGRAM);
  class SlowReader extends MikroOrmLedgerReader {
    readCount = 0;

    override transfersById(ids: readonly string[]) {
      this.readCount += 1;
      // The first read takes a third of the lease.
      lateMs = this.readCount === 1 ? 10_001 : 0;
      return super.transfersById(ids);
    }
  }
  const log: string[] = [];
  const reader = new SlowReader(database);
  const sender = new WebhookSender({ allowsLoopback: true });
  onTestFinished(() => sender.close());
  let readsBeforeCall = 0;
  receiver.answer = (_call, response) => {
    readsBeforeCall = reader.readCount;
    response.writeHead(204).end();
  };
  const dispatcher = new WebhookDispatcher({
    ...{ database, reader, sender, clock, newId: makeNewId(clock), retentionMs: 86_400_000 },
    logger: makeLogger('warn', { write: (line) => log.push(line) }),
  });
  dispatcher.start();
  onTestFinished(() => dispatcher.stop());

  await expect.poll(() => receiver.calls.length, { timeout: 10_000 }).toBe(2);
  expect(readsBeforeCall).toBe(2);
  expect(log).toEqual([]);
});

test.runIf(DIALECT === 'mysql')(
  'the deliveries of a webhook are read by its own index',
  async () => {
    const { id, database, storeAt } = await startStopped(20);
    const connection = database.orm.em.getConnection();
    const execute = connection.execute.bind(connection);
    const sent: [string, never | undefined][] = [];
    connection.execute = (statement: string, ...rest: never[]) => {
      if (/^select.*from `webhook_delivery`/.test(statement)) sent.push([statement, rest[0]]);
      return execute(statement, ...rest);
    };
    const store = storeAt(() => new Date());
    const page = { size: 5, fromEnd: false };
    await store.deliveries(id, undefined, page);
    await store.deliveries(id, 'DELIVERED', { ...page, fromEnd: true });
    await store.redeliverSince(id, SINCE_EVER, 'all', PROGRAM);
    connection.execute = execute;

    expect(sent.length).toBeGreaterThanOrEqual(4);
    for (const [statement, parameters] of sent) {
      const [step] = await execute<{ key: string; Extra: string }[]>(
        `explain ${statement}`,
        parameters,
      );
      expect(step?.key).toMatch(/^webhook_delivery_(webhook|status|account)_index$/);
      expect(step?.Extra).not.toContain('filesort');
    }
  },
);
