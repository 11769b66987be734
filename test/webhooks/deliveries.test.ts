/** Deliveries of webhooks through real receivers: what is sent, how often, and what its company sees of it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { firstPositionOf } from '../../src/domain/postings.js';
import { Webhook } from '../../src/entities/webhook.entity.js';
import { WebhookAttempt } from '../../src/entities/webhook-attempt.entity.js';
import { WebhookDelivery } from '../../src/entities/webhook-delivery.entity.js';
import { ACME, aBulk, aTransfer, GLOBEX, ibanOf, transfersOf } from '../support/builders.js';
import { brokerStatusOf } from '../support/readiness.js';
import { Receiver } from '../support/receiver.js';
import { startServer } from '../support/server.js';
import {
  change,
  registerWebhook,
  untilDeliveriesAre,
  untilDue,
  webhookOf,
} from '../support/webhooks.js';

const ALL_EVENTS = [
  'BULK_TRANSFER_PERFORMED',
  'TRANSFER_PERFORMED',
  'TRANSFER_RECEIVED',
  'ACCOUNT_CREDITED',
];

const toGlobex = (amount = '1.00') => aTransfer({ counterpartyIban: GLOBEX, amount });

/** Returns the number of received events of each kind. */
function countsOf({ calls }: Receiver): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { event } of calls) {
    const kind = event.type.split('.').slice(1, 3).join('.');
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}

test('each event of the chosen kinds is sent once, signed, as the CloudEvent of its row', async () => {
  const { client } = await startServer();
  const payer = await Receiver.start();
  const payee = await Receiver.start();
  const { id, secret } = await registerWebhook(client, payer, { events: ALL_EVENTS });
  await registerWebhook(client, payee, { events: ALL_EVENTS, accountIbans: [GLOBEX] });

  await client.perform(
    aBulk([aTransfer({ endToEndId: 'E1' }), toGlobex('2.00'), toGlobex('3.00')]),
  );
  await expect.poll(() => payer.calls.length + payee.calls.length).toBe(7);

  expect(countsOf(payer)).toEqual({ 'bulk-transfer.performed': 1, 'transfer.performed': 3 });
  expect(countsOf(payee)).toEqual({ 'account.credited': 1, 'transfer.received': 2 });
  for (const call of payer.calls) payer.verify(call, secret);
  const bulk = payer.calls.find(({ event }) => event.type.includes('bulk-transfer'));
  expect(bulk?.event).toMatchObject({
    specversion: '1.0',
    id: bulk?.id,
    subject: ACME,
    data: { accountIban: ACME, transferCount: 3, total: { amount: '6.00', currency: 'EUR' } },
  });
  expect(payer.calls.map(({ event }) => event.data.endToEndId ?? null)).toContain('E1');
  const deliveries = await untilDeliveriesAre(client, id, Array(4).fill('DELIVERED'));
  expect(deliveries.map(({ eventId }: { eventId: string }) => eventId).sort()).toEqual(
    payer.ids.toSorted(),
  );
  expect(deliveries[0]).toMatchObject({
    event: 'BULK_TRANSFER_PERFORMED',
    nextAttemptAt: null,
    attempts: [{ httpStatus: 204, error: null, responseBody: '' }],
  });
});

test('webhooks need no broker', async () => {
  const { client, url } = await startServer({ AMQP_URL: 'amqp://127.0.0.1:1' });
  const receiver = await Receiver.start();
  const { id } = await registerWebhook(client, receiver);

  await client.perform(aBulk(transfersOf(3, '0.01')));

  await untilDeliveriesAre(client, id, Array(3).fill('DELIVERED'));
  expect(receiver.calls).toHaveLength(3);
  expect(await brokerStatusOf(url)).toBe('degraded');
});

test('a bulk of 2,000 is one call for a webhook that chose bulks, and 2,000 for one that chose transfers', async () => {
  const { client } = await startServer();
  const bulks = await Receiver.start();
  const transfers = await Receiver.start();
  const { id } = await registerWebhook(client, bulks, { events: ['BULK_TRANSFER_PERFORMED'] });
  await registerWebhook(client, transfers);

  await client.perform(aBulk(transfersOf(2_000, '0.01')));

  await expect.poll(() => new Set(transfers.ids).size, { timeout: 120_000 }).toBe(2_000);
  expect(transfers.calls).toHaveLength(2_000);
  await untilDeliveriesAre(client, id, ['DELIVERED']);
  expect(bulks.calls.map(({ event }) => event.data.transferCount)).toEqual([2_000]);
});

test('a webhook gets later events of its accounts, and of accounts that are opened later', async () => {
  const { client } = await startServer();
  await client.perform(aBulk([aTransfer()]));
  const receiver = await Receiver.start();
  const { accounts } = await client.data('{ accounts { nodes { iban organizationId } } }');
  const acme = accounts.nodes.find(({ iban }: { iban: string }) => iban === ACME).organizationId;
  await registerWebhook(client, receiver, {
    events: ['ACCOUNT_CREDITED'],
    accountIbans: null,
    organizationId: acme,
  });

  const opened = ibanOf(42);
  const open = `mutation { openAccount(input: { iban: "${opened}", bic: "TESTNL2A", currency: "EUR",
    organizationName: "ACME Corp", organizationId: "${acme}" }) { __typename } }`;
  expect(await client.data(open)).toEqual({ openAccount: { __typename: 'AccountOpened' } });
  await client.perform(aBulk([aTransfer({ counterpartyIban: opened }), toGlobex()]));

  await expect.poll(() => receiver.calls.length).toBe(1);
  expect(receiver.calls[0]?.event.subject).toBe(opened);
});

test('a failed attempt is on record and repeated with the same id, until the receiver accepts it', async () => {
  const server = await startServer();
  const { client } = server;
  const receiver = await Receiver.start();
  receiver.answer = (_call, response) => response.writeHead(500).end('<Down>');
  const { id } = await registerWebhook(client, receiver);

  const before = Date.now();
  await client.perform(aBulk([aTransfer()]));
  await expect
    .poll(async () => (await webhookOf(client, id)).deliveries[0]?.attempts.length)
    .toBe(1);
  const [failed] = (await webhookOf(client, id)).deliveries;
  expect(failed).toMatchObject({
    status: 'PENDING',
    attempts: [{ httpStatus: 500, responseBody: '<Down>' }],
  });
  // The first delay is 5 seconds, and a fifth more at most.
  const delayMs = Date.parse(failed.nextAttemptAt) - Date.parse(failed.attempts[0].at);
  expect(delayMs).toBeGreaterThanOrEqual(5_000);
  expect(Date.parse(failed.attempts[0].at)).toBeGreaterThanOrEqual(before - 1_000);

  receiver.answer = (_call, response) => response.writeHead(202).end();
  await untilDue(server);

  const [delivered] = await untilDeliveriesAre(client, id, ['DELIVERED']);
  expect(delivered.attempts.map(({ httpStatus }: { httpStatus: number }) => httpStatus)).toEqual([
    500, 202,
  ]);
  expect(new Set(receiver.ids).size).toBe(1);
});

test('a delivery has eight attempts, then it fails, and is sent again on request', async () => {
  const server = await startServer();
  const { client } = server;
  const receiver = await Receiver.start();
  receiver.answer = (_call, response) => response.writeHead(503).end();
  const { id } = await registerWebhook(client, receiver);
  await client.perform(aBulk([aTransfer()]));
  const em = server.database.orm.em.fork();

  for (let attempt = 1; attempt <= 3; attempt += 1) {
    await expect
      .poll(async () => (await webhookOf(client, id)).deliveries[0]?.attempts.length, {
        timeout: 60_000,
      })
      .toBe(attempt);
    // Five of the attempts are left out, because each takes five seconds after the circuit breaker has opened.
    if (attempt === 1) await em.execute('update webhook_delivery set failures = 6');
    await untilDue(server);
  }
  const [failed] = await untilDeliveriesAre(client, id, ['FAILED']);
  expect(failed.nextAttemptAt).toBe(null);

  receiver.answer = (_call, response) => response.writeHead(200).end();
  expect(await change(client, `redeliver(deliveryId: "${failed.id}")`)).toBe('ENABLED');
  const [delivered] = await untilDeliveriesAre(client, id, ['DELIVERED']);
  expect(delivered.attempts).toHaveLength(4);
});

test('410 disables the webhook; enabled again, it continues where it stopped', async () => {
  const server = await startServer();
  const { client } = server;
  const receiver = await Receiver.start();
  receiver.answer = (_call, response) => response.writeHead(410).end();
  const { id } = await registerWebhook(client, receiver);

  await client.perform(aBulk([aTransfer()]));
  await untilDeliveriesAre(client, id, ['FAILED']);
  expect(await webhookOf(client, id)).toMatchObject({
    status: 'DISABLED',
    disabledReason: 'The receiver answered 410 Gone.',
  });
  expect(server.log.map(({ msg }) => msg)).toContain('Webhook disabled');

  receiver.answer = (_call, response) => response.writeHead(200).end();
  await client.perform(aBulk([aTransfer()]));
  expect(await change(client, `sendTestEvent(webhookId: "${id}")`)).toBe('INVALID_INPUT');
  expect(await change(client, `enableWebhook(id: "${id}")`)).toBe('ENABLED');

  await untilDeliveriesAre(client, id, ['FAILED', 'DELIVERED']);
  expect(receiver.calls).toHaveLength(2);
});

test('a disabled webhook gets no call but those in progress, and the rest when it is enabled', async () => {
  const { client } = await startServer();
  const receiver = await Receiver.start();
  receiver.answer = (_call, response) => setTimeout(() => response.writeHead(200).end(), 5);
  const { id } = await registerWebhook(client, receiver);
  await client.perform(aBulk(transfersOf(400, '0.01')));
  await expect.poll(() => receiver.calls.length).toBeGreaterThan(20);

  expect(await change(client, `disableWebhook(id: "${id}")`)).toBe('DISABLED');
  const { length } = receiver.calls;
  await expect
    .poll(async () => (await webhookOf(client, id)).deliveries.filter(isInProgress).length)
    .toBe(0);
  expect(receiver.calls.length - length).toBeLessThanOrEqual(40);
  expect(receiver.calls.length).toBeLessThan(400);

  expect(await change(client, `enableWebhook(id: "${id}")`)).toBe('ENABLED');
  await expect.poll(() => receiver.calls.length, { timeout: 60_000 }).toBe(400);
  expect(new Set(receiver.ids).size).toBe(400);
});

/** Tells whether a delivery has an attempt in progress. */
const isInProgress = ({
  status,
  nextAttemptAt,
}: {
  status: string;
  nextAttemptAt: string | null;
}) => status === 'PENDING' && nextAttemptAt === null;

test('a webhook whose attempts fail for 24 hours is disabled, and its company sees why', async () => {
  const server = await startServer();
  const { client } = server;
  const receiver = await Receiver.start();
  receiver.answer = (_call, response) => response.writeHead(404).end();
  const { id } = await registerWebhook(client, receiver);
  await client.perform(aBulk([aTransfer()]));
  await expect
    .poll(async () => (await webhookOf(client, id)).deliveries[0]?.attempts.length)
    .toBe(1);
  expect((await webhookOf(client, id)).status).toBe('ENABLED');

  const { orm, hasOwnClock } = server.database;
  const aDayAgo = hasOwnClock ? 'created_at - interval 1 day' : 'created_at - 86400000';
  await orm.em.execute(`update webhook set failing_since = ${aDayAgo}`);
  await untilDue(server);

  await expect.poll(async () => (await webhookOf(client, id)).status).toBe('DISABLED');
  await orm.em.execute('update webhook set failing_since = created_at');
  expect((await webhookOf(client, id)).disabledReason).toBe(
    'All attempts failed for 24 hours. The last one: HTTP status 404.',
  );
});

test('Retry-After is honoured for the delivery and for its webhook', async () => {
  const server = await startServer();
  const { client } = server;
  const receiver = await Receiver.start();
  receiver.answer = (_call, response) => response.writeHead(429, { 'retry-after': '600' }).end();
  const { id } = await registerWebhook(client, receiver);

  await client.perform(aBulk([aTransfer()]));
  await expect
    .poll(async () => (await webhookOf(client, id)).deliveries[0]?.attempts.length)
    .toBe(1);

  const [delivery] = (await webhookOf(client, id)).deliveries;
  const delayMs = Date.parse(delivery.nextAttemptAt) - Date.parse(delivery.attempts[0].at);
  expect(delayMs).toBeGreaterThanOrEqual(600_000);
  await client.perform(aBulk([aTransfer()]));
  await expect.poll(async () => (await webhookOf(client, id)).deliveries.length).toBe(2);
  // Another webhook is called meanwhile, so the second event had its chance.
  const other = await Receiver.start();
  await registerWebhook(client, other);
  await client.perform(aBulk([aTransfer()]));
  await expect.poll(() => other.calls.length).toBe(1);
  expect(receiver.calls).toHaveLength(1);
});

test('a receiver that is slow or down delays no other one', async () => {
  const { client } = await startServer();
  const slow = await Receiver.start();
  slow.answer = () => {};
  const down = await Receiver.start();
  down.answer = (_call, response) => response.writeHead(500).end();
  const healthy = await Receiver.start();
  for (const receiver of [slow, down, healthy]) await registerWebhook(client, receiver);

  await client.perform(aBulk(transfersOf(200, '0.01')));

  await expect.poll(() => healthy.calls.length, { timeout: 60_000 }).toBe(200);
  // The slow one has as many calls as it may have at once, and the other one was left alone after five failures.
  expect(slow.calls.length).toBeLessThanOrEqual(20);
  expect(down.calls.length).toBeLessThan(60);
});

test('a slow webhook delays no other one at the same origin', async () => {
  const { client } = await startServer();
  const receiver = await Receiver.start();
  receiver.answer = (_call, response, { url }) => {
    if (url === '/healthy') response.writeHead(204).end();
  };
  const { origin } = new URL(receiver.url);
  await registerWebhook(client, { url: `${origin}/slow` });
  const { id } = await registerWebhook(client, { url: `${origin}/healthy` });

  await client.perform(aBulk(transfersOf(60, '0.01')));

  // A call that waited for a connection of the slow webhook would fail after ten seconds.
  const deliveries = await untilDeliveriesAre(client, id, Array(60).fill('DELIVERED'));
  expect(deliveries.map(({ attempts }: { attempts: object[] }) => attempts.length)).toEqual(
    Array(60).fill(1),
  );
});

test('events that a stopped server left behind are sent while other accounts commit all the time', async () => {
  const { client, database } = await startServer();
  const receiver = await Receiver.start();
  const { id } = await registerWebhook(client, receiver);
  await client.perform(aBulk([aTransfer()]));
  await untilDeliveriesAre(client, id, ['DELIVERED']);
  const em = database.orm.em.fork();
  // This is how a server leaves the tables that was killed between a commit and its deliveries.
  await em.execute(`update webhook_cursor set position = position - ${firstPositionOf(1n)}`);
  await em.execute('delete from webhook_attempt');
  await em.execute('delete from webhook_delivery');

  const isOver = new AbortController();
  const commits = (async () => {
    while (!isOver.signal.aborted) {
      await client.perform(aBulk([aTransfer()], { organizationIban: GLOBEX }));
      await sleep(100);
    }
  })();
  await expect
    .poll(() => receiver.calls.length, { timeout: 30_000 })
    .toBe(2)
    .finally(() => isOver.abort());
  await commits;
  expect(receiver.ids[1]).toBe(receiver.ids[0]);
}, 60_000);

test('an event that cannot be made fails alone, and is tried again later', async () => {
  const server = await startServer();
  const { client, database } = server;
  const receiver = await Receiver.start();
  const { id } = await registerWebhook(client, receiver);
  await change(client, `disableWebhook(id: "${id}")`);
  await client.perform(aBulk(transfersOf(4, '0.01')));
  await change(client, `enableWebhook(id: "${id}")`);
  await expect.poll(() => receiver.calls.length).toBe(4);
  await change(client, `disableWebhook(id: "${id}")`);
  const em = database.orm.em.fork();
  const [first] = await em.find(WebhookDelivery, {}, { orderBy: { id: 'asc' }, limit: 1 });
  if (!first) throw new Error('No delivery');
  await em.nativeUpdate(WebhookDelivery, { id: first.id }, { kind: 'transfer.unknown' as never });
  await change(client, `redeliverSince(webhookId: "${id}", since: "1970-01-01T00:00:00.000Z")`);

  await change(client, `enableWebhook(id: "${id}")`);
  await expect.poll(() => receiver.calls.length).toBe(7);
  const second = { deliveryId: first.id, number: 2 };
  await expect
    .poll(() => em.fork().findOne(WebhookAttempt, second))
    .toMatchObject({
      httpStatus: null,
      error: 'The event could not be read from the ledger.',
    });
  await em.nativeUpdate(WebhookDelivery, { id: first.id }, { kind: first.kind });

  const deliveries = await untilDeliveriesAre(client, id, [
    'PENDING',
    ...Array(3).fill('DELIVERED'),
  ]);
  expect(deliveries[0].nextAttemptAt).not.toBeNull();
  // A later release knows the kind.
  await untilDue(server);
  await untilDeliveriesAre(client, id, Array(4).fill('DELIVERED'));
  expect(server.log).toContainEqual(
    expect.objectContaining({ msg: 'Event of a webhook not readable', delivery: first.id }),
  );
});

test('an event that waits for another attempt is not behind the new ones', async () => {
  const server = await startServer();
  const { client, database } = server;
  const receiver = await Receiver.start();
  receiver.answer = (_call, response) => response.writeHead(500).end();
  const { id } = await registerWebhook(client, receiver);
  await client.perform(aBulk([aTransfer()]));
  await expect
    .poll(async () => (await webhookOf(client, id)).deliveries[0]?.attempts.length)
    .toBe(1);
  receiver.answer = (_call, response) => setTimeout(() => response.writeHead(204).end(), 300);
  await client.perform(aBulk(transfersOf(400, '0.01')));
  await expect.poll(() => receiver.calls.length).toBeGreaterThan(1);
  // The retry is due since the moment at which the delivery was made, before the new ones.
  const em = database.orm.em.fork();
  await em.execute('update webhook_delivery set due_at = created_at where failures = 1');

  await expect.poll(() => receiver.ids.slice(1)).toContain(receiver.ids[0]);
  expect(receiver.calls.length).toBeLessThan(300);
});

test('a proxy that is down is not a failure of the receivers', async () => {
  const server = await startServer({ WEBHOOK_PROXY_URL: 'http://127.0.0.1:9' });
  const { client, database } = server;
  const receiver = await Receiver.start();
  const { id } = await registerWebhook(client, receiver);

  await client.perform(aBulk([aTransfer()]));
  await expect
    .poll(async () => (await webhookOf(client, id)).deliveries[0]?.attempts[0]?.error)
    .toBe('The proxy did not connect to the host.');

  const webhook = await database.orm.em.fork().findOneOrFail(Webhook, { id });
  expect(webhook.failingSince).toBeNull();
});

test('an ordered webhook gets the events of each account one after another, in the order of commit', async () => {
  const server = await startServer();
  const { client } = server;
  const receiver = await Receiver.start();
  const open = new Map<string, number>();
  let overlaps = 0;
  let failuresLeft = 1;
  receiver.answer = ({ event }, response) => {
    const { subject } = event;
    open.set(subject, (open.get(subject) ?? 0) + 1);
    if ((open.get(subject) ?? 0) > 1) overlaps += 1;
    const isFailing = subject === ACME && failuresLeft > 0;
    if (isFailing) failuresLeft -= 1;
    setImmediate(() => {
      open.set(subject, (open.get(subject) ?? 0) - 1);
      response.writeHead(isFailing ? 500 : 200).end();
    });
  };
  const { id } = await registerWebhook(client, receiver, {
    events: ['TRANSFER_PERFORMED', 'ACCOUNT_CREDITED'],
    accountIbans: [ACME],
    ordered: true,
  });
  const other = await registerWebhook(client, receiver, {
    events: ['TRANSFER_RECEIVED'],
    accountIbans: [GLOBEX],
    ordered: true,
  });

  const bulk = Array.from({ length: 20 }, (_, row) =>
    aTransfer({ counterpartyIban: GLOBEX, amount: '0.01', endToEndId: `E${row}` }),
  );
  await client.perform(aBulk(bulk));
  await untilDeliveriesAre(client, other.id, Array(20).fill('DELIVERED'));
  await untilDue(server);
  await untilDeliveriesAre(client, id, Array(20).fill('DELIVERED'));

  const ofAcme = receiver.calls.filter(({ event }) => event.subject === ACME);
  const ids = ofAcme.map(({ event }) => event.data.endToEndId);
  expect(ids).toEqual(['E0', ...bulk.map(({ endToEndId }) => endToEndId)]);
  const ofGlobex = receiver.calls.filter(({ event }) => event.subject === GLOBEX);
  expect(ofGlobex.map(({ event }) => event.data.endToEndId)).toEqual(
    bulk.map(({ endToEndId }) => endToEndId),
  );
  expect(overlaps).toBe(0);
});

test('a rotated secret signs beside the old one', async () => {
  const { client } = await startServer();
  const receiver = await Receiver.start();
  const { id, secret } = await registerWebhook(client, receiver);
  const rotated = await change(client, `rotateWebhookSecret(id: "${id}")`);

  await client.perform(aBulk([aTransfer()]));

  await expect.poll(() => receiver.calls.length).toBe(1);
  const [call] = receiver.calls;
  expect(rotated).not.toBe(secret);
  if (call) for (const each of [secret, rotated]) receiver.verify(call, each);
});

test('deliveries since a moment are sent again with their ids, also those of a line', async () => {
  const { client } = await startServer();
  const receiver = await Receiver.start();
  const { id } = await registerWebhook(client, receiver);
  const line = await registerWebhook(client, receiver, { ordered: true });
  await client.perform(aBulk(transfersOf(5)));
  for (const webhook of [id, line.id]) {
    await untilDeliveriesAre(client, webhook, Array(5).fill('DELIVERED'));
  }
  const [first] = (await webhookOf(client, id)).deliveries;
  const since = `since: "${first.createdAt}"`;

  for (const webhook of [id, line.id]) {
    expect(await change(client, `redeliverSince(webhookId: "${webhook}", ${since})`)).toBe(
      'ENABLED',
    );
  }

  await expect.poll(() => receiver.calls.length).toBe(20);
  expect(new Set(receiver.ids).size).toBe(5);
  for (const webhook of [id, line.id]) {
    const deliveries = await untilDeliveriesAre(client, webhook, Array(5).fill('DELIVERED'));
    expect(deliveries.map(({ attempts }: { attempts: object[] }) => attempts.length)).toEqual(
      Array(5).fill(2),
    );
  }
});

test('a test event is sent; a deleted webhook gets nothing and disappears with its deliveries', async () => {
  const { client } = await startServer();
  const receiver = await Receiver.start();
  const { id, secret } = await registerWebhook(client, receiver);

  expect(await change(client, `sendTestEvent(webhookId: "${id}")`)).toBe('ENABLED');
  await expect.poll(() => receiver.calls.length).toBe(1);
  const [call] = receiver.calls;
  if (call) receiver.verify(call, secret);
  expect(call?.event).toMatchObject({ type: 'virement.webhook.test.v1', data: { webhookId: id } });
  const [delivery] = await untilDeliveriesAre(client, id, ['DELIVERED']);
  expect(delivery.event).toBe(null);

  expect(await change(client, `deleteWebhook(id: "${id}")`)).toBe('DISABLED');
  await client.perform(aBulk([aTransfer()]));
  const gone = await client.data(`{ webhook(id: "${id}") { id } node(id: "${delivery.id}") { id }
    webhooks { nodes { id } } }`);
  expect(gone).toEqual({ webhook: null, node: null, webhooks: { nodes: [] } });
  for (const mutation of [
    `enableWebhook(id: "${id}")`,
    `redeliver(deliveryId: "${delivery.id}")`,
    `sendTestEvent(webhookId: "${id}")`,
  ]) {
    expect(await change(client, mutation)).toBe('WEBHOOK_NOT_FOUND');
  }
});
