import { randomBytes, randomUUID } from 'node:crypto';
import type { ConfirmChannel, ConsumeMessage, GetMessage, Options } from 'amqplib';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { PAYLOAD_BYTES_MAX } from '../../src/domain/dead-letter.js';
import { AMQP_URL } from '../support/amqp-url.js';
import { openBrokerChannel } from '../support/broker-channel.js';
import { ACME } from '../support/builders.js';
import type { Client } from '../support/client.js';
import { startIdentityProvider } from '../support/identity-provider.js';
import { runScript, startProcess } from '../support/process.js';
import { startBrokerProxy, startDatabaseProxy } from '../support/proxy.js';
import { brokerStatusOf, readinessOf } from '../support/readiness.js';
import { startServer, startServerOn, type TestServer } from '../support/server.js';
import { createMigratedDatabase, DIALECT } from '../support/test-database.js';

const EXCHANGE = 'virement.dead-letters';
const TYPE = 'virement.account.credited.v1';

const LETTERS = `query ($consumer: String, $first: Int, $after: Cursor) {
  deadLetters(consumer: $consumer, first: $first, after: $after) {
    nodes {
      id consumer messageId type reason attempts lastError firstFailedAt lastFailedAt receivedAt payload
    }
    pageInfo { hasNextPage endCursor }
    totalCount
  } }`;
const REPLAY = 'mutation ($ids: [ID!]!) { replayDeadLetters(ids: $ids) { count } }';
const DISCARD = `mutation ($ids: [ID!]!, $reason: String!) {
  discardDeadLetters(ids: $ids, reason: $reason) { count } }`;

/** Starts a server that drains the queue. */
async function startDraining(env: NodeJS.ProcessEnv = {}): Promise<TestServer> {
  const server = await startServer({ AMQP_URL, ...env });
  await expect.poll(() => brokerStatusOf(server.url)).toBe('ok');
  return server;
}

const anEvent = (id: string) => JSON.stringify({ specversion: '1.0', id, type: TYPE, data: {} });

/** Returns the properties with which a consumer sends a message on which it gave up. */
const gaveUp = (messageId: string, headers: Record<string, unknown> = {}): Options.Publish => ({
  messageId,
  type: TYPE,
  persistent: true,
  headers: {
    'x-virement-consumer': 'billing',
    'x-virement-reason': 'PERMANENT',
    'x-virement-attempts': 3,
    'x-virement-error': 'No such invoice',
    'x-virement-first-failed-at': '2026-11-27T08:00:00.000Z',
    'x-virement-last-failed-at': '2026-11-27T09:30:00.125Z',
    ...headers,
  },
});

async function giveUp(
  channel: ConfirmChannel,
  content: string | Uint8Array,
  properties: Options.Publish,
): Promise<void> {
  channel.publish(EXCHANGE, '', Buffer.from(content), properties);
  await channel.waitForConfirms();
}

/** Waits for a number of dead letters. @returns them, newest first */
async function lettersOf(client: Client, count: number) {
  await expect
    .poll(async () => (await client.data(LETTERS)).deadLetters.totalCount, { interval: 20 })
    .toBe(count);
  return (await client.data(LETTERS)).deadLetters.nodes;
}

async function auditOf(client: Client) {
  const { auditLog } = await client.data(
    '{ auditLog(first: 10) { nodes { action outcome subjectId reason } } }',
  );
  return auditLog.nodes;
}

/** Declares the queue of a consumer, which is deleted when the test ends. */
async function declareQueue(channel: ConfirmChannel, options: Options.AssertQueue = {}) {
  const queue = `billing-${randomUUID()}`;
  await channel.assertQueue(queue, { durable: true, ...options });
  onTestFinished(async () => {
    await channel.deleteQueue(queue);
  });
  return queue;
}

async function nextOf(channel: ConfirmChannel, queue: string): Promise<GetMessage> {
  let message: GetMessage | false = false;
  await expect
    .poll(async () => {
      message ||= await channel.get(queue, { noAck: true });
      return message;
    })
    .toBeTruthy();
  if (!message) throw new Error('The queue is empty');
  return message;
}

test('a message on which a consumer gave up is listed with all that the consumer says', async () => {
  const server = await startDraining();
  const channel = await openBrokerChannel();

  await giveUp(channel, anEvent('e1'), gaveUp('e1'));

  const [letter] = await lettersOf(server.client, 1);
  expect(letter).toEqual({
    id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7/),
    consumer: 'billing',
    messageId: 'e1',
    type: TYPE,
    reason: 'PERMANENT',
    attempts: 3,
    lastError: 'No such invoice',
    firstFailedAt: '2026-11-27T08:00:00.000Z',
    lastFailedAt: '2026-11-27T09:30:00.125Z',
    receivedAt: expect.any(String),
    payload: anEvent('e1'),
  });
  const { node } = await server.client.data(
    `{ node(id: "${letter.id}") { id ... on DeadLetter { messageId } } }`,
  );
  expect(node).toEqual({ id: letter.id, messageId: 'e1' });
});

test('the arrival of a dead letter is logged without its payload and counted by consumer', async () => {
  const server = await startDraining();
  const channel = await openBrokerChannel();

  for (let number = 0; number < 23; number += 1) {
    const headers = { 'x-virement-consumer': `consumer-${number}` };
    await giveUp(channel, anEvent('secret payload'), gaveUp('e1', headers));
  }
  await giveUp(channel, anEvent('e2'), gaveUp('e2', { 'x-virement-consumer': 'consumer-22' }));
  await lettersOf(server.client, 24);

  expect(server.log).toContainEqual(
    expect.objectContaining({
      level: 40,
      msg: 'Dead letter received',
      consumer: 'consumer-22',
      reason: 'PERMANENT',
      type: TYPE,
      messageId: 'e2',
    }),
  );
  expect(JSON.stringify(server.log)).not.toContain('secret payload');
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  expect(metrics).toContain('virement_dead_letters{consumer="consumer-22"} 2');
  expect(metrics).toContain('virement_dead_letters{consumer="other"} 3');
  expect(metrics.match(/^virement_dead_letters\{/gm)).toHaveLength(21);
});

test('a message that RabbitMQ dead-lettered at its delivery limit names its queue and the reason', async () => {
  const server = await startDraining();
  const channel = await openBrokerChannel();
  const queue = await declareQueue(channel, {
    arguments: {
      'x-queue-type': 'quorum',
      'x-delivery-limit': 1,
      'x-dead-letter-exchange': EXCHANGE,
    },
  });
  await channel.consume(queue, (message: ConsumeMessage | null) => {
    if (message) channel.reject(message, true);
  });

  channel.sendToQueue(queue, Buffer.from(anEvent('e1')), { messageId: 'e1', type: TYPE });

  const [letter] = await lettersOf(server.client, 1);
  expect(letter).toMatchObject({
    consumer: queue,
    messageId: 'e1',
    type: TYPE,
    reason: 'DELIVERY_LIMIT',
    attempts: 1,
    lastError: null,
    payload: anEvent('e1'),
  });
  expect(letter.firstFailedAt).toBe(letter.lastFailedAt);
  expect(Math.abs(Date.parse(letter.lastFailedAt) - Date.now())).toBeLessThan(60_000);
});

test('a message that is no event of ours is kept, and those after it arrive', async () => {
  const server = await startDraining();
  const channel = await openBrokerChannel();

  await giveUp(channel, Buffer.from([0xff, 0x00, 0x07, 0x41]), {});
  await giveUp(channel, '', { headers: { 'x-death': 'no list' } });
  await giveUp(channel, anEvent('e1'), gaveUp('e1'));

  const letters = await lettersOf(server.client, 3);
  expect(letters).toMatchObject([
    { messageId: 'e1' },
    { consumer: 'unknown', type: 'unknown', reason: 'MALFORMED', attempts: 0, payload: '' },
    {
      consumer: 'unknown',
      messageId: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
      payload: '\ufffd\ufffd\ufffdA',
    },
  ]);
});

test('a huge message is kept in part, and cannot be sent again', async () => {
  const server = await startDraining();
  const channel = await openBrokerChannel();
  const queue = await declareQueue(channel);
  const huge = Buffer.alloc(3 * 1_024 * 1_024, '"');

  await giveUp(channel, huge, gaveUp('huge', { 'x-virement-consumer': queue }));
  await giveUp(channel, anEvent('e1'), gaveUp('e1', { 'x-virement-consumer': queue }));

  const [small, cut] = await lettersOf(server.client, 2);
  expect(cut.reason).toBe('PERMANENT, PAYLOAD_CUT');
  expect(cut.payload).toBe('"'.repeat(PAYLOAD_BYTES_MAX));
  const { errors } = await server.client.send(REPLAY, { ids: [cut.id, small.id] });
  expect(errors?.[0]).toMatchObject({
    message: `The payload of ${cut.id} was cut, so it cannot be sent again. 1 were sent.`,
    extensions: { code: 'BAD_USER_INPUT' },
  });
  expect((await lettersOf(server.client, 1))[0].id).toBe(cut.id);
});

test('a message that fails again has one dead letter, with its last failure', async () => {
  const server = await startDraining();
  const channel = await openBrokerChannel();

  await giveUp(channel, anEvent('e1'), gaveUp('e1'));
  const [first] = await lettersOf(server.client, 1);
  await giveUp(channel, anEvent('e1'), gaveUp('e1', { 'x-virement-consumer': 'mailing' }));
  await giveUp(
    channel,
    anEvent('e1'),
    gaveUp('e1', {
      'x-virement-reason': 'ATTEMPTS_EXHAUSTED',
      'x-virement-attempts': 9,
      'x-virement-error': 'x'.repeat(2_000),
      'x-virement-last-failed-at': '2026-11-27T10:00:00.000Z',
    }),
  );
  await expect
    .poll(async () => (await lettersOf(server.client, 2))[1].attempts, { interval: 20 })
    .toBe(9);

  expect((await server.client.data(LETTERS, { consumer: 'billing' })).deadLetters).toMatchObject({
    totalCount: 1,
    nodes: [
      {
        id: first.id,
        reason: 'ATTEMPTS_EXHAUSTED',
        lastError: 'x'.repeat(1_000),
        lastFailedAt: '2026-11-27T10:00:00.000Z',
      },
    ],
  });
});

test('whatever arrives is a dead letter that the database stores', async () => {
  const server = await startDraining();
  const channel = await openBrokerChannel();
  const anything = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 80 }),
    fc.string({ minLength: 250, maxLength: 400 }),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.array(fc.dictionary(fc.constantFrom('queue', 'reason', 'count', 'time'), fc.string())),
    fc.date().map((date) => (Number.isNaN(date.getTime()) ? '' : date.toISOString())),
  );
  const headers = fc.dictionary(
    fc.constantFrom(
      'x-virement-consumer',
      'x-virement-reason',
      'x-virement-attempts',
      'x-virement-error',
      'x-virement-first-failed-at',
      'x-virement-last-failed-at',
      'x-death',
    ),
    anything,
  );
  let sent = 0;

  await fc.assert(
    fc.asyncProperty(headers, fc.uint8Array({ maxLength: 100 }), async (given, content) => {
      sent += 1;
      const marked = Buffer.concat([Buffer.from(`${sent} `), content]);
      await giveUp(channel, marked, { headers: given });
    }),
    { numRuns: 200 },
  );

  await lettersOf(server.client, sent);
  expect(server.log.filter(({ level }) => Number(level) >= 50)).toEqual([]);
  let after: string | null = null;
  for (let hasNextPage = true; hasNextPage; ) {
    const data: Awaited<ReturnType<Client['data']>> = await server.client.data(LETTERS, {
      first: 20,
      after,
    });
    ({ hasNextPage, endCursor: after } = data.deadLetters.pageInfo);
    const ids = data.deadLetters.nodes.map(({ id }: { id: string }) => id);
    await server.client.data(DISCARD, { ids, reason: 'Noise of a test' });
  }
  await lettersOf(server.client, 0);
});

test('a replayed dead letter is in the queue of its consumer once, as it was published', async () => {
  const server = await startDraining();
  const channel = await openBrokerChannel();
  const queue = await declareQueue(channel);
  await giveUp(channel, anEvent('e1'), gaveUp('e1', { 'x-virement-consumer': queue }));
  const [{ id }] = await lettersOf(server.client, 1);

  const { replayDeadLetters } = await server.client.data(REPLAY, { ids: [id, id.toUpperCase()] });
  const again = await server.client.data(REPLAY, { ids: [id] });

  expect([replayDeadLetters.count, again.replayDeadLetters.count]).toEqual([1, 0]);
  const { content, properties } = await nextOf(channel, queue);
  expect(content.toString()).toBe(anEvent('e1'));
  expect(properties).toMatchObject({
    messageId: 'e1',
    type: TYPE,
    contentType: 'application/cloudevents+json',
    deliveryMode: 2,
  });
  expect(Object.keys(properties.headers ?? {}).filter((name) => name.startsWith('x-'))).toEqual([]);
  expect(await channel.get(queue, { noAck: true })).toBe(false);
  await lettersOf(server.client, 0);
  expect(await auditOf(server.client)).toMatchObject([
    { action: 'replayDeadLetters', outcome: 'NOT_FOUND', subjectId: id, reason: null },
    { action: 'replayDeadLetters', outcome: 'DONE', subjectId: id, reason: null },
    {},
    {},
    {},
  ]);
});

test('a dead letter whose queue is gone is kept, the error names the queue, and others are sent', async () => {
  const server = await startDraining();
  const channel = await openBrokerChannel();
  const queue = await declareQueue(channel);
  const gone = `gone-${randomUUID()}`;
  await giveUp(channel, anEvent('e1'), gaveUp('e1', { 'x-virement-consumer': gone }));
  await giveUp(channel, anEvent('e2'), gaveUp('e2', { 'x-virement-consumer': queue }));
  const [sent, kept] = await lettersOf(server.client, 2);

  const { errors } = await server.client.send(REPLAY, { ids: [kept.id, sent.id] });

  expect(errors).toMatchObject([
    {
      message: `The queue ${gone} does not exist, so its dead letters are kept. 1 were sent.`,
      extensions: { code: 'BAD_USER_INPUT' },
    },
  ]);
  expect((await lettersOf(server.client, 1))[0].id).toBe(kept.id);
  expect((await nextOf(channel, queue)).properties.messageId).toBe('e2');
});

test('a message on which its consumer gives up again at once is a dead letter again', async () => {
  const server = await startDraining();
  const channel = await openBrokerChannel();
  const queue = await declareQueue(channel);
  await channel.consume(queue, (message) => {
    if (!message) return;
    const { messageId } = message.properties;
    const again = gaveUp(String(messageId), { 'x-virement-consumer': queue });
    channel.publish(EXCHANGE, '', message.content, again, () => channel.ack(message));
  });
  for (let number = 0; number < 30; number += 1) {
    await giveUp(channel, anEvent('e'), gaveUp(`e${number}`, { 'x-virement-consumer': queue }));
  }

  for (let round = 0; round < 5; round += 1) {
    const letters = await lettersOf(server.client, 30);
    const ids = letters.map(({ id }: { id: string }) => id);
    await server.client.data(REPLAY, { ids });
  }

  await lettersOf(server.client, 30);
});

test('a discarded dead letter is deleted, and the audit log has the reason', async () => {
  const server = await startDraining();
  const channel = await openBrokerChannel();
  await giveUp(channel, anEvent('e1'), gaveUp('e1'));
  const [{ id }] = await lettersOf(server.client, 1);

  const input = { ids: [id], reason: 'The invoice was paid by hand' };
  const first = await server.client.data(DISCARD, input);
  const second = await server.client.data(DISCARD, input);

  expect([first, second].map(({ discardDeadLetters }) => discardDeadLetters.count)).toEqual([1, 0]);
  await lettersOf(server.client, 0);
  const { reason } = input;
  expect(await auditOf(server.client)).toMatchObject([
    { action: 'discardDeadLetters', outcome: 'NOT_FOUND', subjectId: id, reason },
    { action: 'discardDeadLetters', outcome: 'DONE', subjectId: id, reason },
    {},
    {},
    {},
  ]);
});

test('only operators see dead letters', async () => {
  const provider = await startIdentityProvider();
  const server = await startDraining(provider.env);
  const channel = await openBrokerChannel();
  await giveUp(channel, anEvent('e1'), gaveUp('e1'));
  const operator = server.client.as(await provider.token({ roles: ['operator'] }));
  const [{ id }] = await lettersOf(operator, 1);
  const { account } = await operator.data(`{ account(iban: "${ACME}") { organizationId } }`);
  const org = account.organizationId;
  const roles = ['viewer', 'initiator', 'monitor'];
  const stranger = server.client.as(await provider.token({ org, roles }));

  const node = `{ node(id: "${id}") { id } }`;
  expect((await operator.data(node)).node).toEqual({ id });
  expect((await stranger.data(node)).node).toBeNull();
  for (const [query, variables] of [
    [LETTERS, {}],
    [REPLAY, { ids: [id] }],
    [DISCARD, { ids: [id], reason: 'Mine' }],
  ] as const) {
    const { errors } = await stranger.send(query, variables);
    expect(errors?.[0]?.extensions.code).toBe('FORBIDDEN');
  }
  await lettersOf(operator, 1);
});

test('while the broker is away, a replay is UNAVAILABLE and keeps the dead letter', async () => {
  const { proxy, amqpUrl } = await startBrokerProxy();
  const server = await startDraining({ AMQP_URL: amqpUrl });
  const channel = await openBrokerChannel();
  const queue = await declareQueue(channel);
  await giveUp(channel, anEvent('e1'), gaveUp('e1', { 'x-virement-consumer': queue }));
  const [{ id }] = await lettersOf(server.client, 1);

  await proxy.goDown();
  await expect.poll(() => brokerStatusOf(server.url)).toBe('degraded');
  const refused = await server.client.send(REPLAY, { ids: [id] });
  await lettersOf(server.client, 1);
  await proxy.goUp();
  await expect.poll(() => brokerStatusOf(server.url)).toBe('ok');

  expect(refused).toMatchObject({ status: 503, errors: [{ extensions: { code: 'UNAVAILABLE' } }] });
  expect(refused.headers.get('retry-after')).toBe('5');
  expect((await server.client.data(REPLAY, { ids: [id] })).replayDeadLetters.count).toBe(1);
  expect((await nextOf(channel, queue)).properties.messageId).toBe('e1');
  await giveUp(channel, anEvent('e2'), gaveUp('e2'));
  expect((await lettersOf(server.client, 1))[0].messageId).toBe('e2');
});

test('dead letters stay in the queue while the table is away, and arrive when it is back', async () => {
  const server = await startDraining();
  const channel = await openBrokerChannel();
  const em = server.database.orm.em.fork();
  await em.execute('alter table dead_letter rename to lost');
  for (let number = 0; number < 5; number += 1) {
    await giveUp(channel, anEvent('e'), gaveUp(`e${number}`));
  }
  const unavailable = { msg: 'Database unavailable' };
  await expect
    .poll(() => server.log, { interval: 20 })
    .toContainEqual(expect.objectContaining(unavailable));
  expect((await channel.checkQueue(EXCHANGE)).messageCount).toBeGreaterThanOrEqual(4);
  await em.execute('alter table lost rename to dead_letter');

  const letters = await lettersOf(server.client, 5);
  expect(letters.map(({ messageId }: { messageId: string }) => messageId).sort()).toEqual([
    'e0',
    'e1',
    'e2',
    'e3',
    'e4',
  ]);
});

test.runIf(DIALECT === 'mysql')(
  'each dead letter is stored although the connections to the database and to the broker are cut',
  async () => {
    const database = await createMigratedDatabase();
    const byDatabase = await startDatabaseProxy(database.url);
    const byBroker = await startBrokerProxy();
    const env = { DATABASE_URL: byDatabase.databaseUrl, AMQP_URL: byBroker.amqpUrl };
    const server = await startServerOn(database, env);
    onTestFinished(async () => {
      await server.close();
      await database.drop();
    });
    const channel = await openBrokerChannel();
    await expect.poll(() => brokerStatusOf(server.url)).toBe('ok');

    for (let number = 0; number < 100; number += 1) {
      await giveUp(channel, anEvent('e'), gaveUp(`e${number}`));
      if (number % 20 === 7) byDatabase.proxy.cut();
      if (number % 20 === 17) byBroker.proxy.cut();
    }
    await byDatabase.proxy.goDown();
    for (let number = 100; number < 120; number += 1) {
      await giveUp(channel, anEvent('e'), gaveUp(`e${number}`));
    }
    await expect.poll(async () => (await readinessOf(server.url)).code).toBe(503);
    await byDatabase.proxy.goUp();

    await expect
      .poll(async () => {
        const answer = await server.client.send(LETTERS, { first: 20 });
        return answer.data?.deadLetters.totalCount;
      })
      .toBe(120);
    await expect.poll(async () => (await channel.checkQueue(EXCHANGE)).messageCount).toBe(0);
  },
);

test.runIf(DIALECT === 'mysql')(
  'two servers drain one queue, and store each message once',
  async () => {
    const database = await createMigratedDatabase();
    const one = await startServerOn(database, { AMQP_URL });
    const servers = [one, await startServerOn(database, { AMQP_URL })];
    onTestFinished(async () => {
      for (const server of servers) await server.close();
      await database.drop();
    });
    for (const { url } of servers) await expect.poll(() => brokerStatusOf(url)).toBe('ok');
    const channel = await openBrokerChannel();

    // Each message arrives twice, so both servers may store one at the same time.
    for (let number = 0; number < 200; number += 1) {
      const properties = gaveUp(`e${number >> 1}`);
      channel.publish(EXCHANGE, '', Buffer.from(anEvent('e')), properties);
    }
    await channel.waitForConfirms();

    const arrived = () =>
      servers.map(({ log }) => log.filter(({ msg }) => msg === 'Dead letter received').length);
    await expect.poll(() => arrived().reduce((sum, count) => sum + count)).toBe(200);
    expect(Math.min(...arrived())).toBeGreaterThan(0);
    expect((await one.client.data(LETTERS, { first: 20 })).deadLetters.totalCount).toBe(100);
    const [row] = await one.database.orm.em
      .fork()
      .execute('select sum(arrivals) as arrivals from dead_letter');
    expect(Number(row?.arrivals)).toBe(200);
  },
);

test('kill -9 of a server that drains the queue loses no dead letter', async () => {
  const database = await createMigratedDatabase();
  onTestFinished(() => database.drop());
  const env = { DATABASE_URL: database.url, AMQP_URL };
  const killed = await startProcess(env);
  await expect.poll(() => brokerStatusOf(killed.url)).toBe('ok');
  const channel = await openBrokerChannel();
  for (let number = 0; number < 500; number += 1) {
    channel.publish(EXCHANGE, '', Buffer.from(anEvent('e')), gaveUp(`e${number}`));
  }
  const countIn = async (client: Client) =>
    (await client.data('{ deadLetters(first: 1) { totalCount } }')).deadLetters.totalCount;

  await expect.poll(() => countIn(killed.client), { interval: 5 }).toBeGreaterThan(0);
  await killed.kill();
  const next = await startProcess(env);

  await expect.poll(() => countIn(next.client)).toBe(500);
  await next.stop();
});

test('npm run dead-letters lists, shows, sends and discards dead letters', async () => {
  const database = await createMigratedDatabase();
  onTestFinished(() => database.drop());
  const server = await startServerOn(database, { AMQP_URL });
  await expect.poll(() => brokerStatusOf(server.url)).toBe('ok');
  const channel = await openBrokerChannel();
  const queue = await declareQueue(channel);
  await giveUp(channel, anEvent('e1'), gaveUp('e1', { 'x-virement-consumer': queue }));
  await giveUp(channel, `${anEvent('e2')}\u001b[2J`, gaveUp('e2'));
  const [second, first] = await lettersOf(server.client, 2);
  // A command that writes to an embedded database needs it for itself.
  await server.close();
  const env = { DATABASE_URL: database.url, AMQP_URL };
  const run = (...args: string[]) => runScript('dist/commands/dead-letters.js', env, args);

  const listed = await run();
  expect(listed).toMatchObject({ code: 0 });
  const lines = listed.output.trim().split('\n');
  expect(lines[0]).toMatch(/^id +consumer +type +reason +attempts +last failed at$/);
  expect(lines[1]).toBe(
    `${second.id}  billing${' '.repeat(queue.length - 7)}  ${TYPE}  PERMANENT  3         2026-11-27T09:30:00.125Z`,
  );
  expect(lines[2]).toContain(queue);
  expect((await run('list', '--consumer', 'billing')).output.trim().split('\n')).toHaveLength(2);
  expect(await run('show', '--id', second.id)).toEqual({
    code: 0,
    output: expect.stringContaining(`payload       ${anEvent('e2')}\ufffd[2J\n`),
  });
  expect(await run('replay')).toEqual({ code: 1, output: '--id is missing.\n' });
  expect(await run('replay', '--id', second.id)).toEqual({
    code: 1,
    output: 'The queue billing does not exist, so its dead letters are kept. 0 were sent.\n',
  });
  expect(await run('replay', '--id', first.id)).toEqual({ code: 0, output: '1 sent\n' });
  expect((await nextOf(channel, queue)).properties.messageId).toBe('e1');
  expect(await run('discard', '--id', second.id)).toEqual({
    code: 1,
    output: '--reason is missing.\n',
  });
  expect(await run('discard', '--id', second.id, '--reason', 'Paid by hand')).toEqual({
    code: 0,
    output: '1 discarded\n',
  });
  expect(await run('list')).toEqual({ code: 0, output: 'no dead letters\n' });
  expect(await runScript('dist/commands/verify.js', env)).toMatchObject({ code: 0 });
});

test('a queue that somebody declared as a classic one is drained', async () => {
  const channel = await openBrokerChannel();
  await channel.deleteQueue(EXCHANGE);
  await channel.assertQueue(EXCHANGE, {
    durable: true,
    arguments: { 'x-queue-type': 'classic', 'x-max-length': 1_000 + randomBytes(1).readUInt8() },
  });
  await channel.assertExchange(EXCHANGE, 'fanout', { durable: true });
  await channel.bindQueue(EXCHANGE, EXCHANGE, '');
  onTestFinished(async () => {
    await channel.deleteQueue(EXCHANGE);
  });
  const server = await startDraining();

  await giveUp(channel, anEvent('e1'), gaveUp('e1'));

  expect((await lettersOf(server.client, 1))[0].messageId).toBe('e1');
});

test('a queue that somebody deleted is declared and drained again', async () => {
  const server = await startDraining();
  const channel = await openBrokerChannel();
  await giveUp(channel, anEvent('e1'), gaveUp('e1'));
  await lettersOf(server.client, 1);

  await channel.deleteQueue(EXCHANGE);

  // RabbitMQ drops what arrives before the queue is there.
  await expect
    .poll(async () => {
      await giveUp(channel, anEvent('e2'), gaveUp('e2'));
      return (await server.client.data(LETTERS)).deadLetters.totalCount;
    })
    .toBe(2);
});
