/** Deliveries of webhooks when servers, receivers or the database stop at any moment. */
import { expect, onTestFinished, test } from 'vitest';
import { openDatabase } from '../../src/infrastructure/database/open-database.js';
import { checkInvariants } from '../../src/infrastructure/verify/invariants.js';
import { aBulk, transfersOf } from '../support/builders.js';
import { type ServerProcess, startProcess } from '../support/process.js';
import { Receiver } from '../support/receiver.js';
import { createMigratedDatabase, DIALECT, type TestDatabase } from '../support/test-database.js';
import { registerWebhook, untilDeliveriesAre, untilDue, webhookOf } from '../support/webhooks.js';

async function aDatabase(): Promise<TestDatabase> {
  const database = await createMigratedDatabase();
  onTestFinished(() => database.drop());
  return database;
}

const start = (database: TestDatabase) => startProcess({ DATABASE_URL: database.url });

/** Opens a database that no server has open, and closes it. */
async function whileStopped<Result>(
  { url: databaseUrl }: TestDatabase,
  work: (database: Awaited<ReturnType<typeof openDatabase>>) => Promise<Result>,
): Promise<Result> {
  const opened = await openDatabase({ databaseUrl, databasePoolMax: 3, lockTimeoutMs: 5_000 });
  try {
    return await work(opened);
  } finally {
    await opened.close();
  }
}

async function violationsOf(database: TestDatabase) {
  const findings = await whileStopped(database, (opened) => checkInvariants(opened, new Date(0)));
  return findings.filter(({ violations }) => violations.length > 0);
}

test('a server that is killed during calls loses no event, and each attempt is on record', async () => {
  const database = await aDatabase();
  let server: ServerProcess = await start(database);
  const receiver = await Receiver.start();
  // Some calls are answered and some are not when the server is killed.
  receiver.answer = (_call, response) => {
    if (receiver.calls.length % 3 !== 0) response.writeHead(200).end();
  };
  const { id } = await registerWebhook(server.client, receiver);
  for (const callsMin of [1, 8]) {
    const before = receiver.calls.length;
    await server.client.perform(aBulk(transfersOf(15, '0.01')));
    await expect.poll(() => receiver.calls.length - before).toBeGreaterThanOrEqual(callsMin);
    await server.kill();
    expect(await violationsOf(database)).toEqual([]);
    await whileStopped(database, (opened) => untilDue({ database: opened }));
    server = await start(database);
  }
  const deliveredAtLeastOnce = new Set(receiver.ids);
  receiver.answer = (call, response) => {
    deliveredAtLeastOnce.add(call.id);
    response.writeHead(200).end();
  };

  // A call that the last server had begun before the receiver changed is repeated after its timeout.
  await server.kill();
  await whileStopped(database, (opened) => untilDue({ database: opened }));
  server = await start(database);
  const deliveries = await untilDeliveriesAre(server.client, id, Array(30).fill('DELIVERED'));

  expect(deliveredAtLeastOnce.size).toBe(30);
  const attempts = deliveries.flatMap((delivery: { attempts: { error: string | null }[] }) =>
    delivery.attempts.map(({ error }) => error),
  );
  // Each call that the receiver saw is on record. A server may also die between its claim and its call.
  expect(attempts.length).toBeGreaterThanOrEqual(receiver.calls.length);
  expect(attempts).toContain('The outcome was not recorded, because the server stopped.');
  expect(await server.stop()).toBe(0);
  expect(await violationsOf(database)).toEqual([]);
});

test('a server that stops waits for its calls, and the next one sends the rest once', async () => {
  const database = await aDatabase();
  const first = await start(database);
  const receiver = await Receiver.start();
  let answersAfterMs = 100;
  receiver.answer = (_call, response) => {
    setTimeout(() => response.writeHead(200).end(), answersAfterMs);
  };
  const { id } = await registerWebhook(first.client, receiver);
  await first.client.perform(aBulk(transfersOf(90, '0.01')));
  await expect.poll(() => receiver.calls.length).toBeGreaterThanOrEqual(20);
  answersAfterMs = 7_000;
  const count = receiver.calls.length;
  await expect.poll(() => receiver.calls.length).toBeGreaterThan(count);
  expect(await first.stop()).toBe(0);
  answersAfterMs = 0;

  const second = await start(database);
  await untilDeliveriesAre(second.client, id, Array(90).fill('DELIVERED'));

  expect(receiver.calls).toHaveLength(90);
  expect(new Set(receiver.ids).size).toBe(90);
});

test.runIf(DIALECT === 'mysql')(
  'three servers share the work, and send each event once',
  async () => {
    const database = await aDatabase();
    const servers = await Promise.all([start(database), start(database), start(database)]);
    const receiver = await Receiver.start();
    receiver.answer = (_call, response) => setTimeout(() => response.writeHead(200).end(), 5);
    const [one] = servers;
    const { id } = await registerWebhook(one.client, receiver, {
      events: ['BULK_TRANSFER_PERFORMED', 'TRANSFER_PERFORMED'],
    });
    const line = await registerWebhook(one.client, receiver, { ordered: true });

    await Promise.all(
      servers.flatMap(({ client }) =>
        Array.from({ length: 5 }, () => client.perform(aBulk(transfersOf(20, '0.01')))),
      ),
    );
    await expect.poll(() => receiver.calls.length, { timeout: 120_000 }).toBe(615);

    for (const server of servers) expect(await server.stop()).toBe(0);
    expect(await violationsOf(database)).toEqual([]);
    const again = await start(database);
    expect((await webhookOf(again.client, id)).deliveries.length).toBeGreaterThan(0);
    const inLine = receiver.calls.filter(
      ({ id: event }, index) => receiver.ids.indexOf(event) !== index,
    );
    // Each transfer was sent to both webhooks: the second time by the slower one.
    expect(inLine).toHaveLength(300);
    expect(line.id).not.toBe(id);
  },
);

test('a receiver that is down for a while gets every event afterwards', async () => {
  const database = await aDatabase();
  const server = await start(database);
  const receiver = await Receiver.start();
  const { port } = receiver;
  const { id } = await registerWebhook(server.client, receiver);
  await receiver.stop();
  await server.client.perform(aBulk(transfersOf(3, '0.01')));
  await expect
    .poll(async () =>
      (await webhookOf(server.client, id)).deliveries.map(
        ({ attempts }: { attempts: { error: string }[] }) => attempts[0]?.error !== undefined,
      ),
    )
    .toEqual([true, true, true]);

  const again = await Receiver.start(port);
  // The first retry is made after five seconds.
  await untilDeliveriesAre(server.client, id, ['DELIVERED', 'DELIVERED', 'DELIVERED']);

  expect(new Set(again.ids).size).toBe(3);
});
