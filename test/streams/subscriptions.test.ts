import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { followList } from '../../src/application/follow-account.js';
import { firstPositionOf } from '../../src/domain/postings.js';
import { InProcessBroker } from '../../src/infrastructure/broker/in-process-broker.js';
import { Hub } from '../../src/infrastructure/feeds/hub.js';
import { MikroOrmLedgerReader } from '../../src/infrastructure/ledger/ledger-reader.js';
import { makeLogger } from '../../src/infrastructure/observability/logger.js';
import { ACME, aBulk, aTransfer, GLOBEX, transfersOf } from '../support/builders.js';
import type { Client } from '../support/client.js';
import { startProcess } from '../support/process.js';
import { CHAOS_SEED, Random } from '../support/seeded-random.js';
import { startServer } from '../support/server.js';
import { type Subscriber, subscribe, subscriptionCount } from '../support/subscriber.js';
import { createMigratedDatabase, DIALECT } from '../support/test-database.js';

const TRANSFERS = `subscription ($iban: String!, $after: Cursor) {
  transferPerformed(accountIban: $iban, after: $after) {
    cursor transfer { index description bulkTransfer { id } account { sequence } }
  }
}`;
const BULKS = `subscription ($iban: String!, $after: Cursor) {
  bulkTransferPerformed(accountIban: $iban, after: $after) { cursor bulkTransfer { id transferCount } }
}`;
const BALANCE = `subscription ($iban: String!) {
  balanceUpdated(accountIban: $iban) { balance { amount } sequence at account { iban } }
}`;

const textsOf = ({ events }: Subscriber) => events.map(({ transfer }) => transfer.description);

/** Subscribes, and waits until the subscription is live: its own server has an event for it. */
async function followLive(url: string, query: string) {
  const balance = subscribe(url, BALANCE, { iban: ACME });
  const subscriber = subscribe(url, query, { iban: ACME });
  await expect.poll(() => balance.events.length).toBe(1);
  return subscriber;
}

test('each transfer is sent when it is performed, in order, with its cursor', async () => {
  const { client, url } = await startServer();
  const subscriber = await followLive(url, TRANSFERS);
  // This request goes over HTTP, so the subscription, which was sent before, is active.
  await client.data('{ __typename }');
  await expect
    .poll(async () => {
      await client.perform(aBulk([aTransfer({ description: 'probe' })]));
      return subscriber.events.length;
    })
    .toBeGreaterThan(0);
  const probes = subscriber.events.length;

  const { bulkTransfer } = await client.perform(aBulk(transfersOf(3)));

  await expect.poll(() => textsOf(subscriber).slice(-3)).toEqual(['Row 0', 'Row 1', 'Row 2']);
  expect(subscriber.events.length).toBeGreaterThanOrEqual(probes + 3);
  expect(subscriber.events.at(-1)).toMatchObject({
    cursor: expect.any(String),
    transfer: { index: 2, bulkTransfer: { id: bulkTransfer.id } },
  });
});

test('a subscription after a cursor sends every later transfer, then new ones, without gaps or repetitions', async () => {
  const { client, url } = await startServer();
  for (let bulk = 0; bulk < 5; bulk += 1) {
    const rows = transfersOf(60).map((row, index) => ({ ...row, description: `${bulk}.${index}` }));
    await client.perform(aBulk(rows));
  }
  const { account } = await client.data(
    `{ account(iban: "${ACME}") { transfers(last: 1) { edges { cursor } } } }`,
  );
  const after = account.transfers.edges[0].cursor;

  const performing = (async () => {
    for (let bulk = 5; bulk < 15; bulk += 1) {
      const rows = transfersOf(40).map((row, index) => ({
        ...row,
        description: `${bulk}.${index}`,
      }));
      await client.perform(aBulk(rows));
    }
  })();
  const subscriber = subscribe(url, TRANSFERS, { iban: ACME, after });
  await performing;

  const expected = Array.from({ length: 15 }, (_, bulk) =>
    Array.from({ length: bulk < 5 ? 60 : 40 }, (_unused, index) => `${bulk}.${index}`),
  ).flat();
  await expect.poll(() => subscriber.events.length).toBe(700 - 1);
  expect(textsOf(subscriber)).toEqual(expected.slice(1));
});

test('clients that reconnect at random get exactly the committed sequence', async () => {
  const { client, url } = await startServer();
  const BULK_COUNT = 60;
  const texts = Array.from({ length: BULK_COUNT }, (_, bulk) => [`${bulk}.0`, `${bulk}.1`]).flat();
  let isDone = false;
  const first = await client.perform(aBulk([aTransfer({ description: 'first' })]));
  expect(first.__typename).toBe('BulkTransferPerformed');
  const { account } = await client.data(
    `{ account(iban: "${ACME}") { transfers(first: 1) { edges { cursor } } } }`,
  );

  const follow = async (_: unknown, number: number) => {
    const random = new Random(`follower ${number}`);
    const seen: string[] = [];
    let after = account.transfers.edges[0].cursor;
    while (seen.length < texts.length) {
      const subscriber = subscribe(url, TRANSFERS, { iban: ACME, after });
      const enough = isDone ? texts.length - seen.length : random.between(1, 8);
      await expect.poll(() => isDone || subscriber.events.length >= enough).toBe(true);
      if (isDone) {
        const left = texts.length - seen.length;
        await expect.poll(() => subscriber.events.length).toBe(left);
      }
      subscriber.drop();
      const events = [...subscriber.events];
      seen.push(...events.map(({ transfer }) => transfer.description));
      after = events.at(-1)?.cursor ?? after;
    }
    return seen;
  };
  const followers = Array.from({ length: 8 }, follow);
  for (let bulk = 0; bulk < BULK_COUNT; bulk += 1) {
    await client.perform(
      aBulk([aTransfer({ description: `${bulk}.0` }), aTransfer({ description: `${bulk}.1` })]),
    );
  }
  isDone = true;

  for (const seen of await Promise.all(followers))
    expect(seen, `seed ${CHAOS_SEED}`).toEqual(texts);
});

test('the balance is sent at once, then after each change, and never goes back', async () => {
  const { client, url } = await startServer();
  const balance = subscribe(url, BALANCE, { iban: GLOBEX });
  await expect.poll(() => balance.events.length).toBe(1);
  expect(balance.events[0]).toMatchObject({
    balance: { amount: '250000.00' },
    sequence: '1',
    account: { iban: GLOBEX },
  });

  await Promise.all(
    Array.from({ length: 20 }, () =>
      client.perform(aBulk([aTransfer({ amount: '1', counterpartyIban: GLOBEX })])),
    ),
  );

  await expect.poll(() => balance.events.at(-1).balance.amount).toBe('250020.00');
  const sequences = balance.events.map(({ sequence }) => Number(sequence));
  expect(sequences).toEqual([...new Set(sequences)].sort((one, other) => one - other));
});

test('one event is sent for each bulk', async () => {
  const { client, url } = await startServer();
  const first = await client.perform(aBulk(transfersOf(2)));
  const { account } = await client.data(
    `{ account(iban: "${ACME}") { bulkTransfers { edges { cursor } } } }`,
  );
  const subscriber = subscribe(url, BULKS, {
    iban: ACME,
    after: account.bulkTransfers.edges[0].cursor,
  });

  const second = await client.perform(aBulk(transfersOf(3)));

  await expect.poll(() => subscriber.events.length).toBe(1);
  expect(subscriber.events[0].bulkTransfer).toEqual({
    id: second.bulkTransfer.id,
    transferCount: 3,
  });
  expect(first.bulkTransfer.id).not.toBe(second.bulkTransfer.id);
});

test('an unknown account and a cursor of another account are refused with a code', async () => {
  const { url } = await startServer();
  const unknown = subscribe(url, BALANCE, { iban: 'GB33BUKB20201555555555' });
  const foreign = subscribe(url, TRANSFERS, { iban: ACME, after: 'rubbish' });
  const malformed = subscribe(url, 'subscription { nothing }');

  await expect
    .poll(() => unknown.errors)
    .toEqual([expect.objectContaining({ extensions: { code: 'ACCOUNT_NOT_FOUND' } })]);
  await expect
    .poll(() => foreign.errors)
    .toEqual([
      expect.objectContaining({
        message: 'The cursor does not belong to this list: use a cursor from one of its pages.',
        extensions: { code: 'BAD_USER_INPUT' },
      }),
    ]);
  await expect.poll(() => malformed.errors.length).toBe(1);
});

interface Message {
  readonly id?: string;
  readonly type: string;
  // biome-ignore lint/suspicious/noExplicitAny: what comes is what the test asserts
  readonly payload?: any;
}

/** Opens a connection that is ready for operations, message by message. */
async function connectRaw(url: string): Promise<{ socket: WebSocket; seen: readonly Message[] }> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
  onTestFinished(() => socket.terminate());
  const seen: Message[] = [];
  socket.on('message', (text) => seen.push(JSON.parse(String(text))));
  await once(socket, 'open');
  socket.send('{"type":"connection_init"}');
  await expect.poll(() => seen.map(({ type }) => type)).toContain('connection_ack');
  return { socket, seen };
}

test('a client error is reported as such and ends no other operation', async () => {
  const { url, log } = await startServer();
  const { socket, seen } = await connectRaw(url);

  const queries = {
    syntax: 'subscription {',
    field: 'subscription { nothing }',
    variable: 'subscription ($iban: String!) { balanceUpdated(accountIban: $iban) { sequence } }',
    right: `subscription { balanceUpdated(accountIban: "${ACME}") { sequence } }`,
  };
  for (const [id, query] of Object.entries(queries)) {
    socket.send(JSON.stringify({ id, type: 'subscribe', payload: { query } }));
  }

  await expect.poll(() => seen.find(({ id }) => id === 'right')?.type).toBe('next');
  const codeOf = (name: string) =>
    seen.find(({ id, type }) => id === name && type === 'error')?.payload?.[0]?.extensions?.code;
  await expect.poll(() => codeOf('syntax')).toBe('GRAPHQL_PARSE_FAILED');
  await expect.poll(() => codeOf('field')).toBe('GRAPHQL_VALIDATION_FAILED');
  // The variables are checked with the operation, so the refusal is its result.
  await expect
    .poll(() => seen.find(({ id }) => id === 'variable'))
    .toMatchObject({ payload: { errors: [{ extensions: { code: 'BAD_USER_INPUT' } }] } });
  expect(log).toEqual([]);
});

test('a page of another origin cannot connect', async () => {
  const { url } = await startServer();
  const connectFrom = async (origin: string) => {
    const socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', {
      origin,
    });
    onTestFinished(() => socket.terminate());
    return new Promise((resolve) => {
      socket.once('open', () => resolve('open'));
      socket.once('error', () => resolve('refused'));
    });
  };

  expect(await connectFrom('https://evil.example')).toBe('refused');
  expect(await connectFrom(url)).toBe('open');
});

test('a read before a commit is not shared with subscribers that come after the commit', async () => {
  const { client, database } = await startServer();
  await client.perform(aBulk([aTransfer({ description: 'first' })]));
  const reader = new LateReader(database);
  const hub = new Hub(reader, new InProcessBroker(), makeLogger('silent'));
  const account = await reader.accountByIban(ACME);
  if (!account) throw new Error('The demo company has no account');
  const told: string[] = [];
  const follow = async () => {
    const after = firstPositionOf(account.sequence);
    const { value } = await followList(hub, account, 'transfers', after).next();
    told.push(value.transfer.description);
  };

  const early = follow();
  await expect.poll(() => reader.reads).toBe(1);
  await client.perform(aBulk([aTransfer({ description: 'second' })]));
  hub.noteChanges([{ iban: ACME, sequence: account.sequence + 1n }]);
  const late = follow();
  reader.tell();

  await expect.poll(() => told).toEqual(['second', 'second']);
  await Promise.all([early, late]);
  await hub.close();
});

/** A reader that reads the ledger at once, and answers when the test allows it. */
class LateReader extends MikroOrmLedgerReader {
  reads = 0;
  readonly #gate = Promise.withResolvers<void>();

  tell(): void {
    this.#gate.resolve();
  }

  override async transfers(...range: Parameters<MikroOrmLedgerReader['transfers']>) {
    const page = await super.transfers(...range);
    this.reads += 1;
    await this.#gate.promise;
    return page;
  }
}

test('a temporary database outage ends no subscription', async () => {
  const { client, url, database, log } = await startServer();
  const subscriber = subscribe(url, BULKS, { iban: ACME, after: await newestBulk(client) });
  const sql = (statement: string) => database.orm.em.fork().execute(statement);
  await client.perform(aBulk([aTransfer()]));
  await expect.poll(() => subscriber.events.length).toBe(1);

  await sql('alter table bulk_transfer rename to bulk_transfer_away');
  await client.data(
    `mutation { creditAccount(input: { iban: "${ACME}", amount: "1", description: "" }) { __typename } }`,
  );
  const outage = { msg: 'Database unavailable', reason: 'DATABASE_INCOMPLETE' };
  await expect.poll(() => log).toContainEqual(expect.objectContaining(outage));
  await sql('alter table bulk_transfer_away rename to bulk_transfer');
  await client.perform(aBulk([aTransfer()]));

  await expect.poll(() => subscriber.events.length).toBe(2);
  expect(subscriber.errors).toEqual([]);
});

async function newestBulk(client: Client): Promise<string> {
  await client.perform(aBulk([aTransfer()]));
  const { account } = await client.data(
    `{ account(iban: "${ACME}") { bulkTransfers(first: 1) { edges { cursor } } } }`,
  );
  return account.bulkTransfers.edges[0].cursor;
}

test('a client that reads nothing does not delay a stop', async () => {
  const database = await createMigratedDatabase();
  onTestFinished(() => database.drop());
  const server = await startProcess({ DATABASE_URL: database.url });
  const stuck = subscribe(server.url, BALANCE, { iban: ACME });
  await expect.poll(() => stuck.events.length).toBe(1);
  stuck.pause();

  const start = Date.now();
  expect(await server.stop()).toBe(0);
  expect(Date.now() - start).toBeLessThan(9_000);
});

test('a connection may have 100 operations at once, and one more is refused', async () => {
  const { url } = await startServer();
  const { socket, seen } = await connectRaw(url);

  const query = `subscription { balanceUpdated(accountIban: "${ACME}") { sequence } }`;
  for (let id = 1; id <= 101; id += 1) {
    socket.send(JSON.stringify({ id: String(id), type: 'subscribe', payload: { query } }));
  }

  await expect.poll(() => seen.filter(({ type }) => type === 'next').length).toBe(100);
  const refused = seen.filter(({ type }) => type === 'error');
  expect(refused).toMatchObject([
    { id: '101', payload: [{ extensions: { code: 'TOO_MANY_OPERATIONS' } }] },
  ]);
});

test('operations of one connection get their own frames, in order, whatever their ids are', async () => {
  const { client, url } = await startServer();
  const { socket, seen } = await connectRaw(url);
  const ids = ['1', 'a "quoted" \\ id', 'ü\u2028\u{1f980}'];
  const query = `subscription { transferPerformed(accountIban: "${ACME}") { transfer { description } } }`;
  const balance = `subscription { balanceUpdated(accountIban: "${ACME}") { sequence } }`;
  const send = (message: object) => socket.send(JSON.stringify(message));
  /** Waits until the server has handled all messages before. */
  const untilHandled = async (id: string) => {
    send({ id, type: 'subscribe', payload: { query: balance } });
    await expect.poll(() => seen.some((message) => message.id === id)).toBe(true);
  };
  for (const id of ids) send({ id, type: 'subscribe', payload: { query } });
  await untilHandled('begun');
  const descriptionsOf = (id: string) =>
    seen
      .filter((message) => message.type === 'next' && message.id === id)
      .map(({ payload }) => payload.data.transferPerformed.transfer.description);
  const performed: string[] = [];
  const perform = async () => {
    const rows = transfersOf(50).map((row, index) => ({
      ...row,
      description: `"é" ${performed.length + index}`,
    }));
    await client.perform(aBulk(rows));
    performed.push(...rows.map(({ description }) => description));
  };

  await perform();
  for (const id of ids) await expect.poll(() => descriptionsOf(id)).toEqual(performed);
  send({ id: ids[1], type: 'complete' });
  await untilHandled('completed');
  await perform();

  await expect.poll(() => descriptionsOf(ids[0] ?? '')).toEqual(performed);
  await expect.poll(() => descriptionsOf(ids[2] ?? '')).toEqual(performed);
  expect(descriptionsOf(ids[1] ?? '')).toEqual(performed.slice(0, 50));
});

test('a slow client that disconnects leaves no subscription behind', async () => {
  const { client, url, log } = await startServer();
  const { socket } = await connectRaw(url);
  const repeated = Array.from({ length: 8 }, (_, number) => `text${number}: description`);
  const query = `subscription { transferPerformed(accountIban: "${ACME}") { transfer { ${repeated} } } }`;
  socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query } }));
  await expect.poll(() => subscriptionCount(url)).toBe(1);
  socket.pause();
  const description = '🥕'.repeat(140);
  await client.perform(aBulk(transfersOf(10_000, '0.01').map((row) => ({ ...row, description }))));
  // Meanwhile the buffers of both systems fill up, and an event waits for them.
  await sleep(1_500);

  socket.terminate();

  await expect.poll(() => subscriptionCount(url), { timeout: 10_000 }).toBe(0);
  expect(log.filter(({ level }) => Number(level) >= 50)).toEqual([]);
});

test('queries and mutations over a WebSocket are refused: they need HTTP, for their idempotency keys', async () => {
  const { client, url } = await startServer();
  const { socket, seen } = await connectRaw(url);
  const mutation = `mutation { creditAccount(input: { iban: "${ACME}", amount: "1", description: "" }) {
    __typename } }`;

  socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query: mutation } }));

  await expect
    .poll(() => seen.find(({ id }) => id === '1'))
    .toMatchObject({ type: 'error', payload: [{ extensions: { code: 'BAD_REQUEST' } }] });
  expect(await client.balance(ACME)).toBe('100000.00');
});

test('a client that requests more than the server can answer is disconnected', async () => {
  const { client, url } = await startServer();
  const { socket } = await connectRaw(url);
  const query = `subscription { balanceUpdated(accountIban: "${ACME}") { sequence } }`;
  const closed = once(socket, 'close');

  for (let id = 1; id <= 2_000; id += 1) {
    socket.send(JSON.stringify({ id: String(id), type: 'subscribe', payload: { query } }));
    socket.send(JSON.stringify({ id: String(id), type: 'complete' }));
  }

  expect((await closed)[0]).toBe(4291);
  expect(await client.balance(ACME)).toBe('100000.00');
});

test('a stopping server closes the connection with 1001', async () => {
  const { url, http } = await startServer();
  const subscriber = subscribe(url, BALANCE, { iban: ACME });
  await expect.poll(() => subscriber.events.length).toBe(1);

  await http.close();

  await expect.poll(() => subscriber.closeCodes).toEqual([1001]);
});

test('a bulk of 10,000 reaches many subscribers while mutations continue', async () => {
  const { client, url } = await startServer();
  const { account } = await client.data(`{ account(iban: "${ACME}") { id } }`);
  expect(account.id).toBeTruthy();
  await client.perform(aBulk([aTransfer({ description: 'first' })]));
  const { account: withCursor } = await client.data(
    `{ account(iban: "${ACME}") { transfers(first: 1) { edges { cursor } } } }`,
  );
  const after = withCursor.transfers.edges[0].cursor;
  const slim = `subscription ($iban: String!, $after: Cursor) {
    transferPerformed(accountIban: $iban, after: $after) { transfer { index } }
  }`;
  const subscribers = Array.from({ length: 10 }, () => subscribe(url, slim, { iban: ACME, after }));

  await client.perform(aBulk(transfersOf(10_000)));
  expect(
    await client.perform({ organizationIban: GLOBEX, creditTransfers: [aTransfer()] }),
  ).toMatchObject({ __typename: 'BulkTransferPerformed' });

  for (const { events } of subscribers) {
    await expect.poll(() => events.length, { timeout: 150_000 }).toBe(10_000);
    expect(events.map(({ transfer }) => transfer.index)).toEqual(
      Array.from({ length: 10_000 }, (_, index) => index),
    );
  }
});

/** Tests of clients that read slowly take long, and their database only has to answer. */
const testOnSqlite = test.runIf(DIALECT === 'sqlite');

testOnSqlite(
  'a client that stops reading is disconnected, delays nobody, and misses nothing after it reconnects',
  async () => {
    const { client, url } = await startServer();
    await client.perform(aBulk([aTransfer({ description: 'first' })]));
    const { account } = await client.data(
      `{ account(iban: "${ACME}") { transfers(first: 1) { edges { cursor } } } }`,
    );
    const after = account.transfers.edges[0].cursor;
    const stuck = subscribe(url, TRANSFERS, { iban: ACME, after });
    const other = subscribe(url, TRANSFERS, { iban: ACME, after });
    await client.perform(aBulk([aTransfer({ description: 'second' })]));
    await expect.poll(() => [stuck.events.length, other.events.length]).toEqual([1, 1]);

    stuck.pause();
    const rows = transfersOf(10_000, '0.01').map((row) => ({
      ...row,
      description: '🥕'.repeat(140),
    }));
    await client.perform(aBulk(rows));
    await client.perform(aBulk(rows));

    const patience = { timeout: 240_000 };
    await expect.poll(() => other.events.length, patience).toBe(20_001);
    // The server has dropped the unread events when it disconnected the client.
    await expect.poll(() => stuck.isCut(), patience).toBe(true);
    const resumed = subscribe(url, TRANSFERS, { iban: ACME, after: stuck.events.at(-1).cursor });
    const left = 20_001 - stuck.events.length;
    await expect.poll(() => resumed.events.length, patience).toBe(left);
  },
  600_000,
);
