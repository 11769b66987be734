import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getIntrospectionQuery } from 'graphql';
import { describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { ACME, aBulk, aTransfer, PAYROLL, transfersOf } from '../support/builders.js';
import { PERFORM } from '../support/client.js';
import { startIdentityProvider } from '../support/identity-provider.js';
import { openConnection } from '../support/raw-connection.js';
import { startServer } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';

const BALANCE = `subscription { balanceUpdated(accountIban: "${ACME}") { sequence } }`;
const EVENT_STREAM = { 'content-type': 'application/json', accept: 'text/event-stream' };

const times = (count: number, of: (index: number) => string) =>
  Array.from({ length: count }, (_, index) => of(index)).join(' ');

/** Limits that are so small that the operations in these tests stay readable. */
const SMALL = {
  OPERATION_TOKENS_MAX: '300',
  OPERATION_DEPTH_MAX: '6',
  OPERATION_ALIASES_MAX: '3',
  OPERATION_ROOT_FIELDS_MAX: '4',
  OPERATION_COST_MAX: '40',
};

const inTransfers = (inner: string) =>
  `account(iban: "${ACME}") { transfers(first: 1) { nodes { ${inner} } } }`;

const OVER: readonly [code: string, query: string][] = [
  ['TOO_MANY_TOKENS', `{ ${'__typename '.repeat(300)} }`],
  ['TOO_DEEP', `{ ${inTransfers('bulkTransfer { account { balance { amount } } }')} }`],
  ['TOO_MANY_ALIASES', `{ ${times(4, (index) => `a${index}: __typename`)} }`],
  ['TOO_MANY_ROOT_FIELDS', `{ ${'__typename '.repeat(5)} }`],
  ['TOO_MANY_DIRECTIVES', `{ __typename ${'@a '.repeat(101)} }`],
  ['TOO_EXPENSIVE', '{ accounts(first: 40) { nodes { id } } }'],
  ['TOO_EXPENSIVE', '{ accounts(first: 2) { nodes { transfers { nodes { id } } } } }'],
];

/** Requests a stream. @returns the status of the answer, and its body if that is short */
async function stream(url: string, body: object) {
  const aborter = new AbortController();
  onTestFinished(() => aborter.abort());
  const response = await fetch(`${url}/graphql/stream`, {
    method: 'POST',
    headers: EVENT_STREAM,
    body: JSON.stringify(body),
    signal: aborter.signal,
  });
  return { response, leave: () => aborter.abort() };
}

/** Opens a connection that may be refused. */
function openSocket(url: string, origin?: string, headers: Record<string, string> = {}) {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', {
    headers,
    ...(origin !== undefined && { origin }),
  });
  onTestFinished(() => socket.terminate());
  const outcome = new Promise<string | number | undefined>((resolve) => {
    socket.once('open', () => resolve('open'));
    socket.once('unexpected-response', (_, { statusCode }) => resolve(statusCode));
    socket.once('error', () => resolve('error'));
  });
  return { socket, outcome };
}

/** Returns all data that a server sends on a raw connection until it closes the connection. */
async function talk(url: string, ...chunks: string[]): Promise<string> {
  const connection = await openConnection(url);
  for (const chunk of chunks) connection.socket.write(chunk);
  await connection.closed;
  return connection.text;
}

describe('an operation over a limit', () => {
  test('is answered with 400 and the code of the limit', async () => {
    const { client } = await startServer(SMALL);

    for (const [code, query] of OVER) {
      const answer = await client.send(query);
      expect([
        code,
        answer.status,
        answer.errors?.map(({ extensions }) => extensions.code),
      ]).toEqual([code, 400, [code]]);
      expect(answer.data).toBeUndefined();
    }
  });

  test('is not run, and the server continues', async () => {
    const { client, log } = await startServer({ OPERATION_COST_MAX: '15' });

    const refused = await client.send(PERFORM, { input: PAYROLL });
    expect(refused.status).toBe(400);
    expect(refused.errors?.[0]?.extensions).toMatchObject({ code: 'TOO_EXPENSIVE', limit: 15 });

    expect(await client.balance(ACME)).toBe('100000.00');
    expect(log).toEqual([]);
  });

  test('is refused by WebSocket and by server-sent events with the same code', async () => {
    const { url } = await startServer({ ...SMALL, OPERATION_COST_MAX: '10' });
    const over = [
      ['TOO_MANY_TOKENS', `subscription { ${'x '.repeat(300)} }`],
      ['TOO_DEEP', 'subscription { a { b { c { d { e { f { g } } } } } } }'],
      ['TOO_EXPENSIVE', BALANCE.replace('sequence', 'account { id }')],
    ] as const;

    for (const [code, query] of over) {
      const overSocket = subscribe(url, query);
      await expect
        .poll(() => overSocket.errors)
        .toMatchObject([{ extensions: { code }, message: expect.any(String) }]);
      const { response } = await stream(url, { query });
      expect([response.status, await response.json()]).toMatchObject([
        400,
        { errors: [{ extensions: { code } }] },
      ]);
    }
  });

  test('is refused without much work, however its fragments multiply', async () => {
    const { client } = await startServer();
    const chain = times(
      200,
      (index) => `fragment F${index} on Query { ...F${index + 1} ...F${index + 1} }`,
    );
    const last = 'fragment F200 on Query { accounts { nodes { id } } }';

    // With exponential time the test would not end.
    const answer = await client.send(`{ ...F0 } ${chain} ${last}`);

    expect(answer.status).toBe(400);
  });

  test('is neither introspection nor a query for a page of 100', async () => {
    const { client } = await startServer();

    await client.data(getIntrospectionQuery({ inputValueDeprecation: true }));
    await client.data(`{ account(iban: "${ACME}") { transfers(first: 100) { nodes {
      account { iban balance { amount } } bulkTransfer { id account { iban } } } } } }`);
  });
});

test('a response has its cost, including the rows of its bulk', async () => {
  const { client } = await startServer({
    RATE_LIMIT_COST_PER_SECOND: '1',
    RATE_LIMIT_BURST: '10000',
  });
  const mutation = `mutation ($input: PerformBulkTransferInput!) {
    performBulkTransfer(input: $input) { __typename }
  }`;
  const perform = async (rows: number) => {
    const input = { organizationIban: ACME, creditTransfers: transfersOf(rows) };
    const response = await client.post(JSON.stringify({ query: mutation, variables: { input } }));
    const { extensions } = (await response.json()) as {
      extensions: { cost: { requested: number; left: number } };
    };
    return extensions.cost;
  };

  expect(await perform(1)).toEqual({ requested: 10, left: 9_990 });
  const { requested, left } = await perform(1_000);
  expect(requested).toBe(10 + 50);
  // The bucket has refilled a little already.
  expect(left).toBeGreaterThanOrEqual(9_930);
  expect(left).toBeLessThan(9_990);
});

test('a caller over its rate limit gets a retry delay, over each transport', async () => {
  const { client, url } = await startServer({
    OPERATION_COST_MAX: '100',
    RATE_LIMIT_COST_PER_SECOND: '1',
    RATE_LIMIT_BURST: '100',
  });
  const query = '{ accounts(first: 60) { nodes { id } } }';
  expect((await client.send(query)).status).toBe(200);

  const answer = await client.send(query);

  expect(answer.status).toBe(429);
  expect(answer.errors?.[0]?.extensions.code).toBe('RATE_LIMITED');
  const seconds = Number(answer.headers.get('retry-after'));
  expect(seconds).toBeGreaterThan(10);
  expect(seconds).toBeLessThan(60);

  // A caller without any units is refused before its operation is examined.
  expect((await client.send('{ accounts(first: 30) { nodes { id } } }')).status).toBe(200);
  await expect.poll(async () => (await client.send('{')).status).toBe(429);
  const { response } = await stream(url, { query: BALANCE });
  expect(response.status).toBe(429);
  const refused = subscribe(url, BALANCE);
  await expect
    .poll(() => refused.errors)
    .toMatchObject([
      { extensions: { code: 'RATE_LIMITED', retryAfterSeconds: expect.any(Number) } },
    ]);
});

test('a caller is counted by its identity, whatever its address', async () => {
  const { env, token } = await startIdentityProvider();
  const { client } = await startServer({
    ...env,
    OPERATION_COST_MAX: '100',
    RATE_LIMIT_COST_PER_SECOND: '1',
    RATE_LIMIT_BURST: '100',
  });
  const one = client.as(await token({ sub: 'one' }));
  const other = client.as(await token({ sub: 'other' }));
  const query = '{ accounts(first: 60) { nodes { id } } }';
  expect((await one.send(query)).status).toBe(200);

  expect((await one.send(query)).status).toBe(429);
  expect((await one.as(await token({ sub: 'one' })).send(query)).status).toBe(429);
  expect((await other.send(query)).status).toBe(200);
});

test("a page of a listed origin may send a token, which its browser's preflight request does not have", async () => {
  const { env, token } = await startIdentityProvider();
  const { client, url } = await startServer({ ...env, CORS_ORIGINS: 'https://app.example' });
  const origin = 'https://app.example';

  const preflight = await fetch(`${url}/graphql`, {
    method: 'OPTIONS',
    headers: { origin, 'access-control-request-method': 'POST' },
  });
  expect(preflight.status).toBe(204);
  expect(preflight.headers.get('access-control-allow-headers')).toContain('authorization');
  const answer = await client.as(await token()).send('{ __typename }', {}, { origin });
  expect(answer).toMatchObject({ status: 200, data: { __typename: 'Query' } });
  expect(answer.headers.get('access-control-allow-origin')).toBe(origin);
  // The page can read a refusal as well.
  const refused = await client.send('{ __typename }', {}, { origin });
  expect(refused.status).toBe(401);
  expect(refused.headers.get('access-control-allow-origin')).toBe(origin);
});

test('a path in another spelling has the same limits', async () => {
  const { env, token } = await startIdentityProvider();
  const { url } = await startServer(env);
  const ask = (headers: Record<string, string>) =>
    fetch(`${url}/%67raphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: '{"query":"{ __typename }"}',
    });

  expect((await ask({})).status).toBe(401);
  expect((await ask({ authorization: `Bearer ${await token()}` })).status).toBe(200);
});

test('an operation cannot be one of a batch', async () => {
  const { client } = await startServer();

  const response = await client.post(JSON.stringify([{ query: '{ __typename }' }]));

  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({
    errors: [{ extensions: { code: 'BAD_REQUEST' } }],
  });
});

describe('a server without introspection', () => {
  test('shows and suggests no part of the schema', async () => {
    const { client, url } = await startServer({ INTROSPECTION: 'false' });

    const introspection = await client.send('{ __schema { types { name } } }');
    expect(introspection.status).toBe(400);
    expect((await fetch(`${url}/schema.graphql`)).status).toBe(404);
    const nearly = [
      await client.send('{ account(ibn: "x") { id } }'),
      await client.send('{ acount(iban: "x") { id } }'),
      await client.send(PERFORM, { input: { ...PAYROLL, organisationIban: 'x' } }),
    ];
    for (const { status, errors } of nearly) {
      expect(status).toBe(400);
      expect(JSON.stringify(errors)).not.toContain('Did you mean');
    }
    const overSocket = subscribe(url, 'subscription { balanceUpdate }');
    await expect.poll(() => overSocket.errors).toHaveLength(1);
    expect(JSON.stringify(overSocket.errors)).not.toContain('Did you mean');
  });

  test('is the default of production, which has no GraphiQL either', async () => {
    const identityProvider = await startIdentityProvider();
    const { client: stranger, url } = await startServer({
      ...identityProvider.env,
      NODE_ENV: 'production',
    });

    const token = await identityProvider.token();
    const client = stranger.as(token);
    expect((await client.send('{ __schema { types { name } } }')).status).toBe(400);
    expect((await fetch(`${url}/graphiql/`)).status).toBe(404);
    const page = await (await fetch(url)).text();
    expect([...page.matchAll(/href="([^"]+)"/g)].map(([, path]) => path)).toEqual([
      '/favicon.svg',
      '/livez',
      '/readyz',
      '/metrics',
    ]);
    const inBrowser = await fetch(`${url}/graphql`, {
      headers: { accept: 'text/html', authorization: `Bearer ${token}` },
      redirect: 'manual',
    });
    expect(inBrowser.status).toBe(400);
  });

  test('differs from one with introspection, which suggests names', async () => {
    const { client } = await startServer();

    const { errors } = await client.send('{ acount(iban: "x") { id } }');

    expect(errors?.[0]?.message).toContain('Did you mean');
  });
});

describe('a caller', () => {
  test('has a limited number of connections, and gets them back', async () => {
    const { url } = await startServer({ WEBSOCKET_CONNECTIONS_PER_CALLER_MAX: '2' });
    const first = openSocket(url);
    expect(await first.outcome).toBe('open');
    expect(await openSocket(url).outcome).toBe('open');

    expect(await openSocket(url).outcome).toBe(429);

    first.socket.terminate();
    await expect.poll(() => openSocket(url).outcome).toBe('open');
  });

  test('shares a limited number of connections with all callers', async () => {
    const { url } = await startServer({ WEBSOCKET_CONNECTIONS_MAX: '1' });
    expect(await openSocket(url).outcome).toBe('open');

    expect(await openSocket(url).outcome).toBe(429);
  });

  test('has a limited number of subscriptions over all transports, and gets them back', async () => {
    const { url } = await startServer({ SUBSCRIPTIONS_PER_CALLER_MAX: '2' });
    const overSocket = subscribe(url, BALANCE);
    await expect.poll(() => overSocket.events.length).toBe(1);
    const overEvents = await stream(url, { query: BALANCE });
    expect(overEvents.response.status).toBe(200);

    const refused = subscribe(url, BALANCE);
    await expect
      .poll(() => refused.errors)
      .toMatchObject([{ extensions: { code: 'TOO_MANY_SUBSCRIPTIONS' } }]);
    expect((await stream(url, { query: BALANCE })).response.status).toBe(429);

    overSocket.drop();
    await expect
      .poll(async () => (await stream(url, { query: BALANCE })).response.status)
      .toBe(200);
    overEvents.leave();
    await expect
      .poll(async () => (await stream(url, { query: BALANCE })).response.status)
      .toBe(200);
  });

  test('gets back the subscriptions that it completes while the connection stays open', async () => {
    const { url } = await startServer({ SUBSCRIPTIONS_PER_CALLER_MAX: '1' });
    const { socket, outcome } = openSocket(url);
    await outcome;
    /** The first message of each operation. */
    const seen = new Map<string, string>();
    socket.on('message', (text) => {
      const { id = '', type } = JSON.parse(String(text));
      if (!seen.has(id)) seen.set(id, type);
    });
    socket.send('{"type":"connection_init"}');
    await expect.poll(() => seen.get('')).toBe('connection_ack');

    const answerTo = async (id: string) => {
      socket.send(JSON.stringify({ id, type: 'subscribe', payload: { query: BALANCE } }));
      await expect.poll(() => seen.get(id)).toBeDefined();
      return seen.get(id);
    };
    for (const round of [1, 2, 3]) {
      let id = '';
      await expect
        .poll(() => {
          id = `${round} ${crypto.randomUUID()}`;
          return answerTo(id);
        })
        .toBe('next');
      expect(await answerTo('one more')).toBe('error');
      seen.delete('one more');
      socket.send(JSON.stringify({ id, type: 'complete' }));
    }
  });
});

describe('a connection', () => {
  const SHORT = { HEADERS_TIMEOUT_MS: '200', RECEIVE_TIMEOUT_MS: '400' };
  const HEAD = 'POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n';

  test.each([
    ['sends its headers byte by byte', HEAD],
    ['sends its body byte by byte', `${HEAD}Content-Length: 100\r\n\r\n{`],
    ['sends nothing', ''],
  ])('that %s is closed', async (_, text) => {
    const { url, client } = await startServer(SHORT);

    expect(await talk(url, text)).toMatch(
      /^(HTTP\/1.1 408 Request Timeout\r\n.*REQUEST_TIMEOUT.*)?$/s,
    );

    // Even an honest client may be late by 200 ms on a busy machine.
    await expect.poll(async () => (await client.send('{ __typename }')).status).toBe(200);
  });

  test('whose request takes too long is closed with an error', async () => {
    // The request timeout is at least five seconds longer than the lock timeout.
    const settings = { REQUEST_TIMEOUT_MS: '1000', LOCK_TIMEOUT_MS: '10' };
    // Demo accounts might not be opened within such a short lock timeout.
    const { url } = await startServer({ ...settings, SEED_DEMO: 'false' });

    const answer = await talk(url, `${HEAD}Connection: close\r\nContent-Length: 100\r\n\r\n{`);

    expect(answer).toMatch(/^HTTP\/1.1 503 /);
    expect(answer).toContain('"code":"TIMEOUT"');
  });

  test.each([
    ['too large', `X-Large: ${'x'.repeat(20_000)}\r\n`],
    ['too many', times(101, (index) => `X-${index}: x\r\n`).replaceAll('\n ', '\n')],
  ])('whose headers are %s gets an error', async (_, headers) => {
    const { url } = await startServer();

    const answer = await talk(
      url,
      `${HEAD}${headers}Connection: close\r\nContent-Length: 2\r\n\r\n{}`,
    );

    expect(answer).toMatch(/^HTTP\/1.1 431 /);
    expect(answer).toContain('HEADERS_TOO_LARGE');
  });

  test('that sends nothing does not delay a stop', async () => {
    const { url, http } = await startServer();
    const closed = talk(url);
    await once(http.server, 'connection');
    const start = Date.now();

    await http.close();

    expect(await closed).toBe('');
    expect(Date.now() - start).toBeLessThan(5_000);
  });

  test('that does not send HTTP gets an error', async () => {
    const { url } = await startServer();

    expect(await talk(url, 'hello\r\n\r\n')).toMatch(/^HTTP\/1.1 400 .*BAD_REQUEST/s);
  });
});

describe('a server behind a proxy', () => {
  const from = (address: string) => ({ 'x-forwarded-for': `198.51.100.1, ${address}` });

  test('limits each client separately, over HTTP and WebSocket, if it trusts the proxy', async () => {
    const { client, url } = await startServer({
      TRUST_PROXY: '127.0.0.0/8',
      RATE_LIMIT_COST_PER_SECOND: '1',
      RATE_LIMIT_BURST: '100',
      OPERATION_COST_MAX: '100',
      WEBSOCKET_CONNECTIONS_PER_CALLER_MAX: '1',
    });
    const page = '{ accounts(first: 90) { nodes { id } } }';
    const statusFrom = async (address: string) =>
      (await client.send(page, {}, from(address))).status;

    expect(await statusFrom('203.0.113.1')).toBe(200);
    expect(await statusFrom('203.0.113.1')).toBe(429);
    expect(await statusFrom('203.0.113.2')).toBe(200);
    expect(await openSocket(url, undefined, from('203.0.113.1')).outcome).toBe('open');
    expect(await openSocket(url, undefined, from('203.0.113.1')).outcome).toBe(429);
    expect(await openSocket(url, undefined, from('203.0.113.2')).outcome).toBe('open');
  });

  test("has the client's address in the audit log if it trusts the proxy", async () => {
    const { client } = await startServer({ TRUST_PROXY: '1' });

    await client.perform(aBulk([aTransfer()]), from('203.0.113.1'));

    const { auditLog } = await client.data('{ auditLog(first: 1) { nodes { remoteAddress } } }');
    expect(auditLog.nodes).toEqual([{ remoteAddress: '203.0.113.1' }]);
  });

  test('counts all clients as one if it trusts no proxy', async () => {
    const { client, url } = await startServer({ WEBSOCKET_CONNECTIONS_PER_CALLER_MAX: '1' });

    await client.perform(aBulk([aTransfer()]), from('203.0.113.1'));

    const { auditLog } = await client.data('{ auditLog(first: 1) { nodes { remoteAddress } } }');
    expect(auditLog.nodes).toEqual([{ remoteAddress: '127.0.0.1' }]);
    expect(await openSocket(url, undefined, from('203.0.113.1')).outcome).toBe('open');
    expect(await openSocket(url, undefined, from('203.0.113.2')).outcome).toBe(429);
  });
});

describe('a page of another origin', () => {
  const FOREIGN = 'https://other.example';

  test.each(['/graphql', '/graphql/stream'])(
    'can make no browser send %s a request that has an effect',
    async (path) => {
      const { url } = await startServer();
      const query = encodeURIComponent(BALANCE);
      const requests = [
        fetch(`${url}${path}`, {
          method: 'POST',
          body: JSON.stringify({ query: '{ __typename }' }),
        }),
        fetch(`${url}${path}`, {
          method: 'POST',
          body: new URLSearchParams({ query: '{ __typename }' }),
        }),
        fetch(`${url}${path}?query=${query}`, { headers: { origin: FOREIGN } }),
        fetch(`${url}${path}?query=${query}`, { headers: { 'sec-fetch-site': 'cross-site' } }),
      ];

      for (const response of await Promise.all(requests)) {
        expect([400, 403, 415]).toContain(response.status);
        expect(response.headers.get('access-control-allow-origin')).toBeNull();
      }
    },
  );

  test('may call and connect if its origin is listed', async () => {
    const { env, token } = await startIdentityProvider();
    const started = await startServer({ ...env, CORS_ORIGINS: `https://app.example,${FOREIGN}` });
    const { url } = started;
    const authorization = `Bearer ${await token()}`;
    const client = started.client.as(await token());

    const preflight = await fetch(`${url}/graphql`, {
      method: 'OPTIONS',
      headers: {
        origin: FOREIGN,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'content-type,idempotency-key,authorization',
      },
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get('access-control-allow-origin')).toBe(FOREIGN);
    expect(preflight.headers.get('access-control-allow-headers')).toContain('idempotency-key');
    const answer = await client.send('{ __typename }', {}, { origin: FOREIGN });
    expect(answer.headers.get('access-control-allow-origin')).toBe(FOREIGN);
    expect(await openSocket(url, FOREIGN).outcome).toBe('open');
    const events = await fetch(`${url}/graphql/stream`, {
      method: 'POST',
      headers: { ...EVENT_STREAM, origin: FOREIGN, authorization },
      body: JSON.stringify({ query: 'subscription { nothing }' }),
    });
    expect(events.headers.get('access-control-allow-origin')).toBe(FOREIGN);

    const unlisted = 'http://localhost:3001';
    const other = await client.send('{ __typename }', {}, { origin: unlisted });
    expect(other.headers.get('access-control-allow-origin')).toBeNull();
    expect(await openSocket(url, unlisted).outcome).toBe(403);
  });

  test.each([
    'http://localhost:5173',
    'http://127.0.0.1:3000',
    'http://[::1]:8080',
    'http://localhost',
  ])('may call and connect without authentication if its origin is %s', async (origin) => {
    const { url, client } = await startServer();

    const preflight = await fetch(`${url}/graphql`, {
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'content-type',
      },
    });

    expect(preflight.headers.get('access-control-allow-origin')).toBe(origin);
    const answer = await client.send('{ __typename }', {}, { origin });
    expect([answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([
      200,
      origin,
    ]);
    expect(await openSocket(url, origin).outcome).toBe('open');
    const events = await fetch(`${url}/graphql/stream`, {
      method: 'POST',
      headers: { ...EVENT_STREAM, origin },
      body: JSON.stringify({ query: 'subscription { nothing }' }),
    });
    expect([events.status, events.headers.get('access-control-allow-origin')]).toEqual([
      200,
      origin,
    ]);
  });

  test.each([
    'https://evil.example',
    'http://localhost.evil.example',
    'http://127.0.0.1.evil.example:4000',
    'null',
  ])('may not call without authentication if its origin is %s', async (origin) => {
    const { url, client } = await startServer();

    const answer = await client.post('{"query":"{__typename}"}', { origin });

    expect([answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([403, null]);
    expect(await openSocket(url, origin).outcome).toBe(403);
  });

  test('may not call if authentication is on, even from this machine', async () => {
    const { env, token } = await startIdentityProvider();
    const { url, client } = await startServer(env);
    const origin = 'http://localhost:5173';

    const answer = await client.as(await token()).send('{ __typename }', {}, { origin });

    expect(answer.headers.get('access-control-allow-origin')).toBeNull();
    expect(await openSocket(url, origin).outcome).toBe(403);
  });
});

test('every answer tells browsers to load nothing from other origins', async () => {
  const { url } = await startServer();

  for (const path of ['/', '/graphiql/', '/healthz', '/nowhere']) {
    const { headers } = await fetch(url + path);
    expect(headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(headers.get('content-security-policy')).not.toContain('http');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('x-frame-options')).toBe('DENY');
    expect(headers.get('referrer-policy')).toBe('no-referrer');
  }
});

describe('trusted documents', () => {
  const ACCOUNTS = 'query Accounts($first: Int) { accounts(first: $first) { nodes { iban } } }';
  const idOf = (text: string) => createHash('sha256').update(text).digest('hex');
  const persisted = (text: string) => ({
    extensions: { persistedQuery: { version: 1, sha256Hash: idOf(text) } },
  });

  async function startTrusting(mode: string) {
    const folder = await mkdtemp(join(tmpdir(), 'virement-trusted-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const file = join(folder, 'persisted-documents.json');
    const documents = [ACCOUNTS, BALANCE].map((text) => [`sha256:${idOf(text)}`, text]);
    await writeFile(file, JSON.stringify(Object.fromEntries(documents)));
    return startServer({ TRUSTED_DOCUMENTS: mode, TRUSTED_DOCUMENTS_FILE: file });
  }

  test('are run by their id over HTTP', async () => {
    const { client, url } = await startTrusting('only');
    const variables = { first: 1 };
    const data = { accounts: { nodes: [{ iban: ACME }] } };

    for (const body of [
      { documentId: `sha256:${idOf(ACCOUNTS)}`, variables },
      { documentId: idOf(ACCOUNTS), variables, operationName: 'Accounts' },
      { ...persisted(ACCOUNTS), variables },
      { query: ACCOUNTS, variables },
    ]) {
      const response = await client.post(JSON.stringify(body));
      expect([response.status, await response.json()]).toMatchObject([200, { data }]);
    }
    for (const parameters of [
      { documentId: idOf(ACCOUNTS) },
      { extensions: JSON.stringify(persisted(ACCOUNTS).extensions) },
    ]) {
      const search = new URLSearchParams({ ...parameters, variables: JSON.stringify(variables) });
      const headers = { 'apollo-require-preflight': 'true' };
      const response = await fetch(`${url}/graphql?${search}`, { headers });
      expect([response.status, await response.json()]).toMatchObject([200, { data }]);
    }
  });

  test('are run by their id over WebSocket and server-sent events', async () => {
    const { url } = await startTrusting('only');

    const { socket, outcome } = openSocket(url);
    await outcome;
    const seen: { readonly id?: string; readonly type: string; readonly payload?: unknown }[] = [];
    socket.on('message', (text) => seen.push(JSON.parse(String(text))));
    socket.send('{"type":"connection_init"}');
    await expect.poll(() => seen).toHaveLength(1);
    const payloads = {
      byId: { query: '', documentId: idOf(BALANCE) },
      byHash: { query: '', ...persisted(BALANCE) },
      other: { query: `${BALANCE} ` },
    };
    for (const [id, payload] of Object.entries(payloads)) {
      socket.send(JSON.stringify({ id, type: 'subscribe', payload }));
    }
    const answerTo = (name: string) => seen.find(({ id }) => id === name);
    await expect.poll(() => answerTo('byId')?.type).toBe('next');
    await expect.poll(() => answerTo('byHash')?.type).toBe('next');
    await expect
      .poll(() => answerTo('other'))
      .toMatchObject({ payload: [{ extensions: { code: 'PERSISTED_QUERY_ONLY' } }] });

    expect((await stream(url, { documentId: idOf(BALANCE) })).response.status).toBe(200);
    const refused = await stream(url, { query: `${BALANCE} ` });
    expect([refused.response.status, await refused.response.json()]).toMatchObject([
      400,
      { errors: [{ extensions: { code: 'PERSISTED_QUERY_ONLY' } }] },
    ]);
  });

  test('are the only accepted documents if the mode is only', async () => {
    const { client, log } = await startTrusting('only');

    expect(await client.send('{ __typename }')).toMatchObject({
      status: 400,
      errors: [{ extensions: { code: 'PERSISTED_QUERY_ONLY' } }],
    });
    const unknown = await client.post(JSON.stringify({ documentId: 'x' }));
    expect([unknown.status, await unknown.json()]).toMatchObject([
      400,
      { errors: [{ extensions: { code: 'PERSISTED_QUERY_NOT_FOUND' } }] },
    ]);
    expect(log).toEqual([]);
  });

  test('are the only accepted documents, whatever the spelling of the address', async () => {
    const { url } = await startTrusting('only');
    const other = encodeURIComponent('{ __typename }');
    const trusted = encodeURIComponent(ACCOUNTS);

    for (const search of [
      `query=${other}&query=${trusted}`,
      `query=${trusted}&query=${other}`,
      `documentId=x&query=${other}`,
      `%71uery=${other}`,
      `x=%&query=${other}`,
      `;query=${other}`,
      `query=${other}#&query=${trusted}`,
    ]) {
      const headers = { 'apollo-require-preflight': 'true' };
      const body = await (await fetch(`${url}/graphql?${search}`, { headers })).text();
      expect([search, body]).toEqual([search, expect.not.stringContaining('"__typename"')]);
    }
  });

  test('are the only ones that are not logged by their hash if the mode is log', async () => {
    const { client, log } = await startTrusting('log');
    const text = '{ account(iban: "NL91ABNA0417164300") { id } }';

    expect((await client.send(text)).status).toBe(200);
    expect((await client.send(ACCOUNTS)).status).toBe(200);

    expect(log).toMatchObject([{ sha256: idOf(text) }]);
    expect(JSON.stringify(log)).not.toContain('NL91ABNA0417164300');
  });
});
