import { readFile } from 'node:fs/promises';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect, onTestFinished, test } from 'vitest';
import { AMQP_URL } from '../setup/amqp-url.js';
import { ACME, aBulk, aTransfer, GLOBEX, transfersOf } from '../setup/builders.js';
import { type Consumer, startConsumer } from '../setup/consumer.js';
import { runScript, startProcess } from '../setup/process.js';
import { startProxy } from '../setup/proxy.js';
import { startServer, untilPublished } from '../setup/server.js';
import { createMigratedDatabase } from '../setup/test-database.js';

const idsOf = ({ received }: Consumer, type: string) =>
  received.filter(({ event }) => event.type === type).map(({ messageId }) => messageId);

const BULK = 'virement.bulk-transfer.performed.v1';
const TRANSFER = 'virement.transfer.performed.v1';
const CREDIT = 'virement.account.credited.v1';

test('a bulk is published once as a whole, and once for each transfer, in order', async () => {
  const consumer = await startConsumer();
  const server = await startServer({ AMQP_URL });
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  await expect.poll(() => idsOf(consumer, CREDIT).length).toBe(3);

  const { bulkTransfer } = await server.client.perform(
    aBulk(
      [
        aTransfer({ amount: '14.5', endToEndId: 'E1' }),
        aTransfer({ amount: '7', counterpartyIban: GLOBEX, counterpartyName: 'Zoë Müller' }),
      ],
      { idempotencyKey: 'k' },
    ),
    { traceparent },
  );
  await untilPublished(server);
  await expect.poll(() => consumer.received.length).toBe(7);

  const ours = consumer.received.slice(-4);
  expect(ours.map(({ routingKey }) => routingKey)).toEqual([
    `bulk-transfer.performed.${ACME}`,
    `transfer.performed.${ACME}`,
    `transfer.performed.${ACME}`,
    `account.credited.${GLOBEX}`,
  ]);
  expect(ours.map(({ contentType }) => contentType)).toEqual(
    Array(4).fill('application/cloudevents+json'),
  );
  for (const { event, messageId, headers } of ours) {
    expect(event).toMatchObject({ specversion: '1.0', id: messageId, traceparent });
    expect(headers).toMatchObject({ traceparent });
  }
  expect(ours[0]?.event).toMatchObject({
    id: bulkTransfer.id,
    type: BULK,
    subject: ACME,
    data: {
      bulkTransferId: bulkTransfer.id,
      accountIban: ACME,
      organizationName: 'ACME Corp',
      idempotencyKey: 'k',
      transferCount: 2,
      total: { amount: '21.50', minorUnits: '2150', currency: 'EUR' },
      balanceAfter: { amount: '99978.50' },
    },
  });
  expect(ours[1]?.event.data).toMatchObject({
    bulkTransferId: bulkTransfer.id,
    index: 0,
    money: { amount: '14.50', minorUnits: '1450', currency: 'EUR' },
    endToEndId: 'E1',
  });
  expect(ours[3]?.event).toMatchObject({
    type: CREDIT,
    subject: GLOBEX,
    data: { kind: 'BOOK_TRANSFER', money: { amount: '7.00' }, bulkTransferId: bulkTransfer.id },
  });
});

test('every kind of message is as its JSON Schema says', async () => {
  const consumer = await startConsumer();
  const server = await startServer({ AMQP_URL });

  await server.client.perform(
    aBulk([aTransfer(), aTransfer({ counterpartyIban: GLOBEX, counterpartyBic: 'SOGEDEFF' })]),
  );
  await untilPublished(server);
  await expect.poll(() => idsOf(consumer, CREDIT).length).toBe(4);

  const seen = new Set<string>();
  for (const { event } of consumer.received) {
    const schema = JSON.parse(await readFile(`docs/events/${event.type}.schema.json`, 'utf8'));
    const validate = new Ajv2020({ allErrors: true }).compile(schema);
    expect([event.type, validate(event), validate.errors]).toEqual([event.type, true, null]);
    expect(validate({ ...event, data: { ...event.data, accountIban: 5 } })).toBe(false);
    seen.add(event.type);
  }
  expect(seen).toEqual(new Set([BULK, TRANSFER, CREDIT]));
});

test('a bulk of 10,000 is published in the order given', async () => {
  const consumer = await startConsumer(`transfer.performed.${ACME}`);
  const server = await startServer({ AMQP_URL });

  await server.client.perform(aBulk(transfersOf(10_000)));
  await expect.poll(() => consumer.received.length, { timeout: 40_000 }).toBe(10_000);

  expect(consumer.received.map(({ event }) => event.data.index)).toEqual(
    Array.from({ length: 10_000 }, (_, index) => index),
  );
});

test('bulks are taken while the broker is down, readiness says so, and events go out when it is back', async () => {
  const consumer = await startConsumer();
  const { hostname, port, username, password } = new URL(AMQP_URL);
  const proxy = await startProxy({ host: hostname, port: Number(port || 5672) });
  await proxy.goDown();
  const server = await startServer({
    AMQP_URL: `amqp://${username}:${password}@127.0.0.1:${proxy.port}`,
  });
  const readiness = async () => (await fetch(`${server.url}/readyz`)).status;

  const { bulkTransfer } = await server.client.perform(aBulk(transfersOf(3)));
  expect(await readiness()).toBe(503);
  expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
  await proxy.goUp();

  await untilPublished(server);
  expect(await readiness()).toBe(200);
  await expect.poll(() => idsOf(consumer, BULK)).toEqual([bulkTransfer.id]);
});

test('connections cut under load: every event arrives', async () => {
  const consumer = await startConsumer();
  const { hostname, port, username, password } = new URL(AMQP_URL);
  const proxy = await startProxy({ host: hostname, port: Number(port || 5672) });
  const server = await startServer({
    AMQP_URL: `amqp://${username}:${password}@127.0.0.1:${proxy.port}`,
  });
  await expect.poll(async () => (await fetch(`${server.url}/readyz`)).status).toBe(200);

  const performed: string[] = [];
  for (let round = 0; round < 30; round += 1) {
    const { bulkTransfer } = await server.client.perform(aBulk(transfersOf(40, '0.01')));
    performed.push(bulkTransfer.id);
    if (round % 5 === 2) proxy.cut();
  }
  await untilPublished(server);

  await expect.poll(() => new Set(idsOf(consumer, BULK)).size, { timeout: 30_000 }).toBe(30);
  expect(new Set(idsOf(consumer, BULK))).toEqual(new Set(performed));
  await expect.poll(() => new Set(idsOf(consumer, TRANSFER)).size).toBe(30 * 40);
});

test('a channel that the server closes is opened again, with all that it needs', async () => {
  const consumer = await startConsumer();
  const server = await startServer({ AMQP_URL });
  await untilPublished(server);

  await consumer.deleteExchange();
  const { bulkTransfer } = await server.client.perform(aBulk(transfersOf(3)));
  const complaint = { msg: 'RabbitMQ closed the channel' };
  await expect
    .poll(() => server.log, { interval: 5 })
    .toContainEqual(expect.objectContaining(complaint));
  await consumer.bind();

  await untilPublished(server);
  await expect.poll(() => idsOf(consumer, BULK)).toContain(bulkTransfer.id);
  await expect.poll(() => new Set(idsOf(consumer, TRANSFER)).size).toBe(3);
});

test('kill -9 before, while and after publishing: every committed bulk is published at least once', async () => {
  const consumer = await startConsumer();
  const database = await createMigratedDatabase();
  onTestFinished(() => database.drop());
  const env = { DATABASE_URL: database.url, AMQP_URL };
  const performed = new Set<string>();

  for (let round = 0; round < 3; round += 1) {
    const server = await startProcess(env);
    const known = performed.size;
    const streams = Array.from({ length: 3 }, async () => {
      for (;;) {
        try {
          const { bulkTransfer } = await server.client.perform(aBulk(transfersOf(100, '0.01')));
          performed.add(bulkTransfer.id);
        } catch {
          return;
        }
      }
    });
    await expect.poll(() => performed.size, { timeout: 30_000 }).toBeGreaterThan(known + 10);
    await server.kill();
    await Promise.all(streams);
  }
  const last = await startProcess(env);
  const committed = async () => {
    const { account } = await last.client.data(
      `{ account(iban: "${ACME}") { sequence bulkTransfers(first: 100) { nodes { id } } } }`,
    );
    return Number(account.sequence) - 1;
  };

  // A lease of the killed ends by itself.
  const count = await committed();
  await expect.poll(() => new Set(idsOf(consumer, BULK)).size, { timeout: 50_000 }).toBe(count);
  await expect
    .poll(() => new Set(idsOf(consumer, TRANSFER)).size, { timeout: 50_000 })
    .toBe(count * 100);
  for (const id of performed) expect(idsOf(consumer, BULK)).toContain(id);
  await last.stop();
  expect(await runScript('dist/commands/verify.js', env)).toMatchObject({ code: 0 });
}, 150_000);
