import { readFile } from 'node:fs/promises';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect, onTestFinished, test } from 'vitest';
import { AMQP_URL } from '../support/amqp-url.js';
import { ACME, aBulk, aTransfer, GLOBEX, transfersOf } from '../support/builders.js';
import { canRun } from '../support/can-run.js';
import type { Client } from '../support/client.js';
import { type Consumer, startConsumer } from '../support/consumer.js';
import {
  anOrder,
  cancelOrder,
  replaceOrderRow,
  submitOrder,
  untilOrderIs,
} from '../support/orders.js';
import { runScript, startProcess } from '../support/process.js';
import { startBrokerProxy } from '../support/proxy.js';
import { missingRabbitMq, startRabbitMq } from '../support/rabbitmq.js';
import { brokerStatusOf, readinessOf } from '../support/readiness.js';
import { startServer, untilPublished } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';
import { createMigratedDatabase, DIALECT } from '../support/test-database.js';

const idsOf = ({ received }: Consumer, type: string) =>
  received.filter(({ event }) => event.type === type).map(({ messageId }) => messageId);

const BULK = 'virement.bulk-transfer.performed.v1';
const TRANSFER = 'virement.transfer.performed.v1';
const CREDIT = 'virement.account.credited.v1';
const RECEIVED = 'virement.transfer.received.v1';
const ORDER = 'virement.order.changed.v1';

/** Runs a test of the connection to RabbitMQ once, because it does not depend on the database. */
const once = test.runIf(DIALECT === 'mysql');

test('a bulk is published once as a whole, and once for each transfer, in order', async () => {
  const consumer = await startConsumer();
  const server = await startServer({ AMQP_URL });
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  await expect.poll(() => idsOf(consumer, CREDIT).length).toBe(3);

  const { bulkTransfer } = await server.client.perform(
    aBulk(
      [
        aTransfer({ amount: '14.5', endToEndId: 'E1' }),
        aTransfer({ amount: '7', counterpartyIban: GLOBEX, endToEndId: 'E2', description: 'Zoë' }),
        aTransfer({ amount: '5', counterpartyIban: GLOBEX }),
      ],
      { idempotencyKey: 'k' },
    ),
    { traceparent },
  );
  await untilPublished(server);
  await expect.poll(() => consumer.received.length).toBe(10);

  const ours = consumer.received.slice(-7);
  expect(ours.map(({ routingKey }) => routingKey)).toEqual([
    `bulk-transfer.performed.${ACME}`,
    `transfer.performed.${ACME}`,
    `transfer.performed.${ACME}`,
    `transfer.performed.${ACME}`,
    `account.credited.${GLOBEX}`,
    `transfer.received.${GLOBEX}`,
    `transfer.received.${GLOBEX}`,
  ]);
  expect(ours.map(({ contentType }) => contentType)).toEqual(
    Array(7).fill('application/cloudevents+json'),
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
      transferCount: 3,
      total: { amount: '26.50', minorUnits: '2650', currency: 'EUR' },
      balanceAfter: { amount: '99973.50' },
    },
  });
  expect(ours[1]?.event.data).toMatchObject({
    bulkTransferId: bulkTransfer.id,
    index: 0,
    money: { amount: '14.50', minorUnits: '1450', currency: 'EUR' },
    endToEndId: 'E1',
  });
  expect(ours[4]?.event).toMatchObject({
    type: CREDIT,
    subject: GLOBEX,
    data: { kind: 'BOOK_TRANSFER', money: { amount: '12.00' }, bulkTransferId: bulkTransfer.id },
  });
  expect(ours[5]?.event).toMatchObject({
    type: RECEIVED,
    subject: GLOBEX,
    data: {
      payerName: 'ACME Corp',
      payerIban: ACME,
      money: { amount: '7.00' },
      description: 'Zoë',
      endToEndId: 'E2',
    },
  });
  expect(ours[6]?.event.data).toMatchObject({ money: { amount: '5.00' }, endToEndId: null });
});

test('each change of the state of an order is published once, in order', async () => {
  const consumer = await startConsumer();
  const { client } = await startServer({ AMQP_URL });
  const failing = await anOrder(client, transfersOf(2, '60000.00'));
  await submitOrder(client, failing.id);
  await untilOrderIs(client, failing.id, 'FAILED');
  await replaceOrderRow(client, failing.id, 0, aTransfer({ amount: 'x' }));
  await cancelOrder(client, failing.id);
  const performed = await anOrder(client, transfersOf(3));
  await submitOrder(client, performed.id);
  await untilOrderIs(client, performed.id, 'PERFORMED');

  const eventsOf = (id: string) =>
    consumer.received.filter(({ event }) => event.type === ORDER && event.data.orderId === id);
  await expect.poll(() => eventsOf(failing.id).length).toBe(5);
  await expect.poll(() => eventsOf(performed.id).length).toBe(3);
  expect(
    eventsOf(failing.id).map(({ event: { data } }) => [data.sequence, data.status, data.total]),
  ).toEqual([
    ['1', 'DRAFT', { amount: '0.00', minorUnits: '0', currency: 'EUR' }],
    ['2', 'SUBMITTED', { amount: '120000.00', minorUnits: '12000000', currency: 'EUR' }],
    ['3', 'FAILED', { amount: '120000.00', minorUnits: '12000000', currency: 'EUR' }],
    ['4', 'DRAFT', null],
    ['5', 'CANCELLED', null],
  ]);
  expect(eventsOf(failing.id)[2]?.event.data.failureCode).toBe('INSUFFICIENT_FUNDS');
  const { routingKey, event } = eventsOf(performed.id)[2] ?? {};
  expect(routingKey).toBe(`order.changed.${ACME}`);
  expect(event).toMatchObject({
    subject: ACME,
    data: { previousStatus: 'SUBMITTED', status: 'PERFORMED', rowCount: 3, performedBulks: 1 },
  });
});

test('every kind of message matches its JSON Schema', async () => {
  const consumer = await startConsumer();
  const server = await startServer({ AMQP_URL });

  await server.client.perform(
    aBulk([aTransfer(), aTransfer({ counterpartyIban: GLOBEX, counterpartyBic: 'SOGEDEFF' })]),
  );
  const { id } = await anOrder(server.client, transfersOf(1));
  await cancelOrder(server.client, id);
  await untilPublished(server);
  await expect.poll(() => idsOf(consumer, RECEIVED).length).toBe(1);
  await expect.poll(() => idsOf(consumer, ORDER).length).toBe(2);

  const seen = new Set<string>();
  for (const { event } of consumer.received) {
    const schema = JSON.parse(await readFile(`docs/events/${event.type}.schema.json`, 'utf8'));
    const validate = new Ajv2020({ allErrors: true }).compile(schema);
    expect([event.type, validate(event), validate.errors]).toEqual([event.type, true, null]);
    expect(validate({ ...event, data: { ...event.data, accountIban: 5 } })).toBe(false);
    seen.add(event.type);
  }
  expect(seen).toEqual(new Set([BULK, TRANSFER, CREDIT, RECEIVED, ORDER]));
});

test('a bulk of 10,000 is published in the order given', async () => {
  const consumer = await startConsumer(`transfer.performed.${ACME}`);
  const server = await startServer({ AMQP_URL });

  await server.client.perform(aBulk(transfersOf(10_000)));
  await expect.poll(() => consumer.received.length).toBe(10_000);

  expect(consumer.received.map(({ event }) => event.data.index)).toEqual(
    Array.from({ length: 10_000 }, (_, index) => index),
  );
});

test('bulks are performed while the broker is down, readiness reports it, and events are published when it is back', async () => {
  const consumer = await startConsumer();
  const { proxy, amqpUrl } = await startBrokerProxy();
  await proxy.goDown();
  const server = await startServer({ AMQP_URL: amqpUrl });

  const { bulkTransfer } = await server.client.perform(aBulk(transfersOf(3)));
  expect(await readinessOf(server.url)).toMatchObject({ code: 200, status: 'degraded' });
  expect(await brokerStatusOf(server.url)).toBe('degraded');
  await proxy.goUp();

  await untilPublished(server);
  await expect.poll(() => brokerStatusOf(server.url)).toBe('ok');
  await expect.poll(() => idsOf(consumer, BULK)).toEqual([bulkTransfer.id]);
});

test('subscribers on the same server get events at once while the broker is down', async () => {
  const server = await startServer({ AMQP_URL: 'amqp://127.0.0.1:1' });
  const balance = subscribe(
    server.url,
    `subscription { balanceUpdated(accountIban: "${ACME}") { balance { amount } } }`,
  );
  await expect.poll(() => balance.events.length).toBe(1);

  await server.client.perform(aBulk([aTransfer({ amount: '1' })]));

  // The time is much shorter than the poll that makes up for a lost wake-up.
  await expect.poll(() => balance.events.length, { timeout: 4_500 }).toBe(2);
});

once('a broker that says nothing holds up no stop', async () => {
  const { proxy, amqpUrl } = await startBrokerProxy();
  const database = await createMigratedDatabase();
  onTestFinished(() => database.drop());
  const server = await startProcess({ DATABASE_URL: database.url, AMQP_URL: amqpUrl });
  await expect.poll(() => brokerStatusOf(server.url)).toBe('ok');

  proxy.jam('from-target', 0);
  await server.client.perform(aBulk([aTransfer()]));
  const start = Date.now();

  expect(await server.stop()).toBe(0);
  expect(Date.now() - start).toBeLessThan(15_000);
});

once('a handshake that nobody answers is tried again', async () => {
  const { proxy, amqpUrl } = await startBrokerProxy();
  proxy.jam('from-target', 0);
  const server = await startServer({ AMQP_URL: amqpUrl });
  await server.client.perform(aBulk([aTransfer()]));
  expect(await brokerStatusOf(server.url)).toBe('degraded');

  proxy.jam('from-target', Infinity);

  await untilPublished(server);
});

test('every event arrives although connections are cut under load', async () => {
  const consumer = await startConsumer();
  const { proxy, amqpUrl } = await startBrokerProxy();
  const server = await startServer({ AMQP_URL: amqpUrl });
  await expect.poll(() => brokerStatusOf(server.url)).toBe('ok');

  const performed: string[] = [];
  for (let round = 0; round < 30; round += 1) {
    const { bulkTransfer } = await server.client.perform(aBulk(transfersOf(40, '0.01')));
    performed.push(bulkTransfer.id);
    if (round % 5 === 2) proxy.cut();
  }
  await untilPublished(server);

  await expect.poll(() => new Set(idsOf(consumer, BULK)).size).toBe(30);
  expect(new Set(idsOf(consumer, BULK))).toEqual(new Set(performed));
  await expect.poll(() => new Set(idsOf(consumer, TRANSFER)).size).toBe(30 * 40);
});

once('a channel that the server closes is opened again, with all that it needs', async () => {
  const consumer = await startConsumer();
  const server = await startServer({ AMQP_URL });
  await untilPublished(server);

  await consumer.deleteExchange();
  const { bulkTransfer } = await server.client.perform(aBulk(transfersOf(3)));
  const complaint = { msg: 'RabbitMQ channel closed' };
  await expect
    .poll(() => server.log, { interval: 5 })
    .toContainEqual(expect.objectContaining(complaint));
  await consumer.bind();

  await untilPublished(server);
  await expect.poll(() => idsOf(consumer, BULK)).toContain(bulkTransfer.id);
  await expect.poll(() => new Set(idsOf(consumer, TRANSFER)).size).toBe(3);
});

/**
 * The point at which a server is killed, as the number of bytes that still pass between it and the broker. A
 * connection's heartbeats are eight bytes each, and so are one or two confirms.
 */
const KILLED = {
  'between commit and publish': { direction: 'to-target', afterBytes: 0 },
  'while it publishes': { direction: 'to-target', afterBytes: 100_000 },
  'between publish and mark': { direction: 'from-target', afterBytes: 0 },
} as const;

test('every committed bulk is published at least once after kill -9 between commit and publish, while publishing, or between publish and mark', async () => {
  const consumer = await startConsumer(`*.performed.${ACME}`);
  const database = await createMigratedDatabase();
  onTestFinished(() => database.drop());
  const acknowledged = new Set<string>();

  for (const [moment, jam] of Object.entries(KILLED)) {
    const { proxy, amqpUrl } = await startBrokerProxy();
    const server = await startProcess({ DATABASE_URL: database.url, AMQP_URL: amqpUrl });
    await expect.poll(() => brokerStatusOf(server.url)).toBe('ok');
    const before = new Set(idsOf(consumer, BULK));
    proxy.jam(jam.direction, jam.afterBytes);

    const stuck = new Set<string>();
    const load = Array.from({ length: 4 }, async () => {
      for (;;) {
        try {
          const { bulkTransfer } = await server.client.perform(aBulk(transfersOf(100, '0.01')));
          stuck.add(bulkTransfer.id);
        } catch {
          return;
        }
      }
    });
    await expect.poll(() => stuck.size).toBeGreaterThan(20);
    const published = () => idsOf(consumer, BULK).filter((id) => !before.has(id)).length;
    if (moment !== 'between commit and publish') {
      await expect.poll(published).toBeGreaterThan(0);
    }
    const { outbox } = await server.client.data('{ outbox { due } }');
    expect([moment, outbox.due]).toEqual([moment, expect.toSatisfy((due) => due >= 20)]);
    await server.kill();
    await Promise.all(load);
    if (moment === 'between commit and publish') expect(published()).toBe(0);
    for (const id of stuck) acknowledged.add(id);
  }

  const last = await startProcess({ DATABASE_URL: database.url, AMQP_URL });
  // The relays of the killed servers have ended, so their leases of one minute delay nothing.
  await untilNothingIsDue(last.client);
  const { account } = await last.client.data(`{ account(iban: "${ACME}") { sequence } }`);
  const committed = Number(account.sequence) - 1;
  await expect.poll(() => new Set(idsOf(consumer, BULK)).size).toBe(committed);
  await expect.poll(() => new Set(idsOf(consumer, TRANSFER)).size).toBe(committed * 100);
  expect([...acknowledged].filter((id) => !idsOf(consumer, BULK).includes(id))).toEqual([]);
  // Published messages without a mark came twice: a consumer that counts by message id counts them once.
  expect(idsOf(consumer, BULK).length).toBeGreaterThan(committed);
  await last.stop();
  expect(await runScript('dist/commands/verify.js', { DATABASE_URL: database.url })).toMatchObject({
    code: 0,
  });
}, 180_000);

/**
 * Starts a server with one bulk on its way to the broker that does not arrive.
 * @param dueBefore number of messages that other servers hold
 */
async function startJammed(databaseUrl: string, dueBefore: number) {
  const { proxy, amqpUrl } = await startBrokerProxy();
  const server = await startProcess({ DATABASE_URL: databaseUrl, AMQP_URL: amqpUrl });
  // The relay holds the following commits from here on.
  await expect.poll(async () => (await readinessOf(server.url)).status).toBe('ok');
  await expect.poll(() => dueIn(server.client)).toBe(dueBefore);
  proxy.jam('to-target', 0);
  const { bulkTransfer } = await server.client.perform(aBulk([aTransfer()]));
  return { proxy, server, id: bulkTransfer.id };
}

test.runIf(DIALECT === 'mysql')(
  'the messages of a killed server are published at once, and those of a paused server are left to it',
  async () => {
    const consumer = await startConsumer(`bulk-transfer.performed.${ACME}`);
    const database = await createMigratedDatabase();
    onTestFinished(() => database.drop());
    const still = await startJammed(database.url, 0);
    still.server.process.kill('SIGSTOP');
    const killed = await startJammed(database.url, 1);
    await killed.server.kill();

    const other = await startProcess({ DATABASE_URL: database.url, AMQP_URL });
    await expect.poll(() => idsOf(consumer, BULK)).toEqual([killed.id]);
    await expect.poll(() => dueIn(other.client)).toBe(1);
    still.proxy.jam('to-target', Number.POSITIVE_INFINITY);
    still.proxy.cut();
    still.server.process.kill('SIGCONT');

    await expect.poll(() => idsOf(consumer, BULK)).toEqual([killed.id, still.id]);
    await still.server.stop();
    await other.stop();
  },
);

async function dueIn(client: Client): Promise<number> {
  return (await client.data('{ outbox { due } }')).outbox.due;
}

async function untilNothingIsDue(client: Client): Promise<void> {
  await expect.poll(() => dueIn(client)).toBe(0);
}

test.runIf(DIALECT === 'mysql' && canRun('a RabbitMQ that stops', await missingRabbitMq()))(
  'nothing is lost if RabbitMQ is stopped and started under load',
  async () => {
    const rabbitMq = await startRabbitMq();
    onTestFinished(() => rabbitMq.close());
    const consumer = await startConsumer(`transfer.performed.${ACME}`, rabbitMq.url);
    const { client, url } = await startServer({ AMQP_URL: rabbitMq.url });
    await expect.poll(() => brokerStatusOf(url)).toBe('ok');
    await client.perform(aBulk([aTransfer({ amount: '0.01' })]));
    const { account } = await client.data(
      `{ account(iban: "${ACME}") { transfers(first: 1) { edges { cursor } } } }`,
    );
    const subscriber = subscribe(
      url,
      `subscription ($iban: String!, $after: Cursor) {
        transferPerformed(accountIban: $iban, after: $after) { transfer { id } }
      }`,
      { iban: ACME, after: account.transfers.edges[0].cursor },
    );
    let isBack = false;
    let performed = 0;
    const load = (async () => {
      // A slow machine takes long to start a broker, and then has to deliver all events.
      while (performed < (isBack ? 100 : 300)) {
        await client.perform(aBulk(transfersOf(5, '0.01')));
        performed += 1;
      }
    })();

    await rabbitMq.stop();
    await expect.poll(() => brokerStatusOf(url)).toBe('degraded');
    await rabbitMq.start();
    isBack = true;
    await load;

    await expect.poll(() => brokerStatusOf(url)).toBe('ok');
    await expect.poll(() => subscriber.events.length).toBe(performed * 5);
    const ids = () => new Set(consumer.received.map(({ messageId }) => messageId));
    await expect.poll(() => ids().size).toBe(performed * 5 + 1);
  },
);
