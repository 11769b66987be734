/** The lines of the log about operations, over every transport. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { DatabaseSync } from 'node:sqlite';
import { expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { ACME, aBulk, aTransfer, GLOBEX, transfersOf } from '../support/builders.js';
import { startIdentityProvider } from '../support/identity-provider.js';
import { type ServerProcess, startProcess } from '../support/process.js';
import { Receiver } from '../support/receiver.js';
import { startServer, type TestServer } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';
import { createMigratedDatabase } from '../support/test-database.js';
import { registerWebhook, webhookOf } from '../support/webhooks.js';

const INFO = { LOG_LEVEL: 'info' };

const linesOf = ({ log }: Pick<TestServer, 'log'>) => log.filter(({ msg }) => msg === 'Operation');

/** Waits for a number of lines. @returns the last one */
async function untilLines(server: Pick<TestServer, 'log'>, count: number) {
  await expect.poll(() => linesOf(server).length).toBe(count);
  return linesOf(server).at(-1);
}

const PERFORM = `mutation Payroll($input: PerformBulkTransferInput!) {
  performBulkTransfer(input: $input) { __typename } }`;

test('each operation over HTTP has a line with its name, caller, outcome, rows and cost', async () => {
  const server = await startServer(INFO);
  const { client } = server;

  const performed = await client.send(PERFORM, { input: aBulk([aTransfer(), aTransfer()]) });
  expect(await untilLines(server, 1)).toMatchObject({
    operation: 'Payroll',
    type: 'mutation',
    field: 'performBulkTransfer',
    transport: 'http',
    outcome: 'OK',
    status: 200,
    caller: 'development:developer',
    rows: 2,
    cost: expect.any(Number),
    durationMs: expect.any(Number),
    requestId: performed.headers.get('x-request-id'),
  });

  await client.send(PERFORM, { input: aBulk([aTransfer({ amount: '999999999.99' })]) });
  expect(await untilLines(server, 2)).toMatchObject({ outcome: 'INSUFFICIENT_FUNDS', status: 200 });

  await client.send('{ accounts { nodes { iban } } me { actor } }');
  expect(await untilLines(server, 3)).toMatchObject({
    operation: null,
    type: 'query',
    field: 'several',
    outcome: 'OK',
  });
});

test.each([
  ['a document that is not valid', '{ "query": "{ nothing }" }', 'GRAPHQL_VALIDATION_FAILED'],
  ['a document that cannot be parsed', '{ "query": "{" }', 'GRAPHQL_PARSE_FAILED'],
  ['a body that is no JSON', '{', 'BAD_REQUEST'],
])('%s has a line with its code', async (_, body, outcome) => {
  const server = await startServer(INFO);

  await server.client.post(body);

  const line = await untilLines(server, 1);
  expect(line).toMatchObject({ field: 'unknown', outcome });
});

test('a request without a valid credential has a line without a caller', async () => {
  const provider = await startIdentityProvider();
  const server = await startServer({ ...provider.env, ...INFO });

  await server.client.as('CANARY').send('{ __typename }');

  const line = await untilLines(server, 1);
  expect(line).toMatchObject({
    outcome: 'UNAUTHENTICATED',
    status: 401,
    reason: 'MALFORMED',
    remoteAddress: '127.0.0.1',
  });
  expect(line).not.toHaveProperty('caller');
  expect(JSON.stringify(server.log)).not.toContain('CANARY');
});

test('the reason for which a credential was refused is in the log, over every transport', async () => {
  const provider = await startIdentityProvider();
  const server = await startServer({ ...provider.env, ...INFO });
  const valid = await provider.token({ roles: ['viewer'] });
  const send = (token: string) => server.client.as(token).send('{ __typename }');
  await server.client.send('{ __typename }');
  await send(await provider.token({}, '5m ago'));
  await send(await provider.token({ iss: 'https://other.example' }));
  await send(await provider.token({ aud: 'other' }));
  await send(`${valid.slice(0, -8)}AAAAAAAA`);
  await send(`vmt_0123456789ab_${'A'.repeat(43)}`);
  const socket = new WebSocket(
    `${server.url.replace('http', 'ws')}/graphql`,
    'graphql-transport-ws',
  );
  await once(socket, 'open');
  socket.send('{ "type": "connection_init", "payload": { "authorization": "Bearer wrong" } }');
  await once(socket, 'close');

  await untilLines(server, 6);
  await expect
    .poll(() => server.log.map(({ reason }) => reason).filter(Boolean))
    .toEqual(['MISSING', 'EXPIRED', 'ISSUER', 'AUDIENCE', 'SIGNATURE', 'API_KEY', 'MALFORMED']);
  expect(server.log).toContainEqual(
    expect.objectContaining({ msg: 'Connection refused', transport: 'websocket' }),
  );
});

test('a WebSocket that is refused has a line, and is counted', async () => {
  const server = await startServer({ ...INFO, WEBSOCKET_CONNECTIONS_PER_CALLER_MAX: '1' });
  const open = (origin?: string) =>
    new WebSocket(`${server.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', {
      origin,
    });
  const first = open();
  await once(first, 'open');
  for (const origin of ['https://foreign.example', undefined]) {
    const [error] = await once(open(origin), 'error');
    expect(error.message).toMatch(/403|429/);
  }
  first.close();

  const refused = { msg: 'Connection refused', remoteAddress: '127.0.0.1' };
  expect(server.log).toContainEqual(
    expect.objectContaining({ ...refused, reason: 'FOREIGN_ORIGIN' }),
  );
  expect(server.log).toContainEqual(
    expect.objectContaining({ ...refused, reason: 'TOO_MANY_CONNECTIONS' }),
  );
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  expect(metrics).toContain('virement_connections_refused_total{reason="FOREIGN_ORIGIN"} 1');
  expect(metrics).toContain('virement_connections_refused_total{reason="TOO_MANY_CONNECTIONS"} 1');
});

test('a stranger causes ten lines a second at most, and the next line has the number of the others', async () => {
  const provider = await startIdentityProvider();
  const server = await startServer({ ...provider.env, ...INFO });
  const token = await provider.token({ roles: ['viewer'] });
  const startedAt = performance.now();
  for (let n = 0; n < 60; n += 1) await server.client.as('wrong').send('{ __typename }');
  const seconds = Math.floor((performance.now() - startedAt) / 1_000) + 2;
  await server.client.as(token).send('{ __typename }');

  await expect.poll(() => linesOf(server).at(-1)?.outcome).toBe('OK');
  const lines = linesOf(server);
  expect(lines.length - 1).toBeLessThanOrEqual(10 * seconds);
  const omitted = lines.reduce((sum, line) => sum + Number(line.omitted ?? 0), 0);
  expect(omitted + lines.length).toBe(61);
});

test('the caller of a token is named as in the audit log, with its organizations', async () => {
  const provider = await startIdentityProvider();
  const server = await startServer({ ...provider.env, ...INFO });
  const org = '01900000-0000-7000-8000-000000000001';
  const token = await provider.token({ sub: 'payroll', org, roles: ['viewer'] });

  await server.client.as(token).send('{ __typename }');

  expect(await untilLines(server, 1)).toMatchObject({
    caller: 'token:payroll',
    organizations: [org],
  });
});

const TRANSFERS = `subscription Watch($iban: String!) {
  transferPerformed(accountIban: $iban) { transfer { id } } }`;

test('a subscription over WebSocket has a line at its start and one at its end', async () => {
  const server = await startServer(INFO);
  const subscriber = subscribe(server.url, TRANSFERS, { iban: ACME });
  await expect.poll(() => server.log.map(({ msg }) => msg)).toContain('Subscription started');
  await server.client.perform(aBulk([aTransfer(), aTransfer()]));
  await expect.poll(() => subscriber.events.length).toBe(2);
  subscriber.drop();

  await expect.poll(() => linesOf(server).length).toBe(2);
  expect(linesOf(server)).toContainEqual(
    expect.objectContaining({
      operation: 'Watch',
      type: 'subscription',
      field: 'transferPerformed',
      transport: 'websocket',
      outcome: 'OK',
      events: 2,
    }),
  );
});

test('a subscription by server-sent events has a line at its start and one at its end', async () => {
  const server = await startServer(INFO);
  const response = await fetch(`${server.url}/graphql/stream`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
    body: JSON.stringify({ query: TRANSFERS, variables: { iban: ACME } }),
  });
  const reader = response.body?.getReader();
  await expect.poll(() => server.log.map(({ msg }) => msg)).toContain('Subscription started');
  await server.client.perform(aBulk([aTransfer()]));
  await reader?.read();
  await reader?.cancel();

  await expect.poll(() => linesOf(server).length).toBe(2);
  expect(linesOf(server)).toContainEqual(
    expect.objectContaining({ transport: 'sse', field: 'transferPerformed', events: 1 }),
  );
});

test('a client that does not wait for its answer has a line too', async () => {
  const server = await startServer(INFO);
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  // The body never comes.
  socket.write(
    'POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{',
    () => socket.destroy(),
  );

  expect(await untilLines(server, 1)).toMatchObject({ outcome: 'ABANDONED' });
});

/** Fills the pipe of a server's log, whose reader stands still from now on. */
async function fillLog({ process: { stdout }, client }: ServerProcess) {
  stdout?.pause();
  // A pipe holds 64 KiB, which 1,000 lines exceed several times.
  for (let n = 0; n < 50; n += 1) {
    await Promise.all(Array.from({ length: 20 }, () => client.send('{ __typename }')));
  }
}

test('a reader of the log that stands still stops no request, and the last lines are written at the stop', async () => {
  const database = await createMigratedDatabase();
  onTestFinished(() => database.drop());
  const server = await startProcess({ DATABASE_URL: database.url });
  await fillLog(server);

  server.process.stdout?.resume();
  expect(await server.stop()).toBe(0);
  await expect.poll(() => server.output().split('"Operation"').length - 1).toBe(1_000);
  expect(server.output()).toContain('SIGTERM: stopping');
}, 30_000);

test.each([
  ['a stop', 'SIGTERM', 0],
  ['an uncaught error', 'SIGUSR2', 1],
] as const)(
  'after %s a server ends, although the reader of its log stands still',
  async (_, signal, code) => {
    const database = await createMigratedDatabase();
    onTestFinished(() => database.drop());
    const crash = new URL('../support/crash-on-signal.mjs', import.meta.url);
    const server = await startProcess({
      DATABASE_URL: database.url,
      NODE_OPTIONS: `--import ${crash.href}`,
    });
    await fillLog(server);
    const exited = once(server.process, 'exit');
    const inProgress = server.client.perform(aBulk(transfersOf(5_000, '0.01')));
    // The bulk is in progress once a later request is answered.
    await server.client.send('{ __typename }');

    server.process.kill(signal);

    expect(await inProgress).toMatchObject({ __typename: 'BulkTransferPerformed' });
    expect((await exited)[0]).toBe(code);
  },
  30_000,
);

test('LOG_OPERATIONS chooses the lines', async () => {
  const errors = await startServer({ ...INFO, LOG_OPERATIONS: 'errors' });
  await errors.client.send('{ __typename }');
  await errors.client.send('{ nothing }');
  expect(await untilLines(errors, 1)).toMatchObject({ outcome: 'GRAPHQL_VALIDATION_FAILED' });

  const none = await startServer({ ...INFO, LOG_OPERATIONS: 'none' });
  await none.client.send('{ nothing }');
  expect(linesOf(none)).toEqual([]);
});

test('operations are counted by field and outcome, and what clients send makes no metric', async () => {
  const server = await startServer();
  const read = async () => (await fetch(`${server.url}/metrics`)).text();
  for (let n = 0; n < 5; n += 1) {
    await server.client.send(`query Name${n} { account(iban: "${GLOBEX}") { iban } }`);
    await server.client.send(`{ field${n} }`);
  }

  const text = await read();
  expect(text).toContain('virement_operations_total{field="account",outcome="OK"} 5');
  expect(text).toContain(
    'virement_operations_total{field="unknown",outcome="GRAPHQL_VALIDATION_FAILED"} 5',
  );
  expect(text).toContain('virement_operation_duration_seconds_count{field="account"} 5');
  expect(text).not.toMatch(/Name0|field0|GLOBEX/);
});

/** Returns the number of hits of each limit. @param url the address of the metrics */
async function limitsHit(url: string) {
  const text = await (await fetch(`${url}/metrics`)).text();
  const hits = text.matchAll(/^virement_limits_hit_total\{limit="(\w+)"\} (\d+)$/gm);
  return Object.fromEntries([...hits].map(([, limit, count]) => [limit, Number(count)]));
}

async function openSocket(url: string) {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

test('each limit that a client hits is counted', async () => {
  const { client, url } = await startServer({
    HEADERS_TIMEOUT_MS: '100',
    OPERATION_DEPTH_MAX: '2',
  });
  await client.send('{ accounts { nodes { balance { amount } } } }');
  const headers = Array.from({ length: 101 }, (_, n) => [`x-${n}`, '']);
  await client.send('{ __typename }', {}, Object.fromEntries(headers));
  const slow = await openSocket(url);
  slow.write('POST /graphql HTTP/1.1\r\n');
  slow.resume();
  await once(slow, 'close');

  await expect
    .poll(() => limitsHit(url))
    .toEqual({ TOO_DEEP: 1, HEADERS_TOO_LARGE: 1, REQUEST_TIMEOUT: 1 });
});

test('connections beyond the limit are counted', async () => {
  const { url, metricsUrl = '' } = await startServer({ CONNECTIONS_MAX: '1', METRICS_PORT: '0' });
  const first = await openSocket(url);
  const second = await openSocket(url);
  await once(second, 'close');
  first.destroy();

  await expect.poll(() => limitsHit(metricsUrl)).toEqual({ CONNECTIONS: 1 });
});

/** Texts in every place where a client may put one. */
const CANARIES = Array.from({ length: 8 }, (_, n) => `canary${n}x`);

test('no line has anything else that a client sent over HTTP or a WebSocket', async () => {
  const server = await startServer({ LOG_LEVEL: 'trace' });
  const [name, description, reference, key, header, variable, query, path] = CANARIES;
  const row = aTransfer({ counterpartyName: name, description, endToEndId: reference });
  const { client } = server;

  await client.perform({ ...aBulk([row]), idempotencyKey: key });
  await client.perform({ ...aBulk([{ ...row, amount: '0' }]), idempotencyKey: key });
  await client.perform({ ...aBulk([row, row]), idempotencyKey: key });
  await client.send(PERFORM, { input: { [variable ?? '']: 1 } });
  await client.send(`{ ${query} }`, {}, { 'x-canary': header ?? '', traceparent: header ?? '' });
  await client.send(`{ account(iban: "${query}") { iban } }`);
  await client.post(`{"query": "${query}`);
  await fetch(`${server.url}/graphql/${path}?${path}`);
  const subscriber = subscribe(server.url, `subscription { ${query} }`, {});
  subscriber.drop();

  const text = JSON.stringify(server.log);
  expect(linesOf(server).length).toBeGreaterThan(6);
  for (const canary of CANARIES) expect(text, canary).not.toContain(canary);
});

test('no line has a key, or what a client sent by keys, credits, reasons and cursors', async () => {
  const provider = await startIdentityProvider();
  const server = await startServer({ ...provider.env, LOG_LEVEL: 'trace' });
  const [keyName, description, reference, lastEventId, after, reason, url] = CANARIES;
  const operator = await provider.token({ roles: ['operator'] });
  const { accounts } = await server.client
    .as(operator)
    .data('{ accounts(first: 100) { nodes { iban organizationId } } }');
  const org = accounts.nodes.find(({ iban }: { iban: string }) => iban === ACME).organizationId;
  const token = await provider.token({ org, roles: ['operator', 'initiator'] });
  const client = server.client.as(token);

  const { createApiKey } = await client.data(
    `mutation ($input: CreateApiKeyInput!) {
      createApiKey(input: $input) { ... on ApiKeyCreated { secret } } }`,
    { input: { name: keyName, roles: ['VIEWER'], organizationIds: [org] } },
  );
  await server.client.as(createApiKey.secret).data('{ me { actor } }');
  await server.client.as(`${createApiKey.secret}x`).send('{ me { actor } }');
  await client.send(
    `mutation { registerWebhook(input: { url: "http://127.0.0.1/${url}", events: [ACCOUNT_CREDITED] }) {
      __typename } }`,
  );
  const credit = { iban: ACME, amount: '1', description, idempotencyKey: reference };
  await client.data(
    'mutation ($input: CreditAccountInput!) { creditAccount(input: $input) { __typename } }',
    { input: credit },
  );
  await client.send(`mutation { discardDeadLetters(ids: [], reason: "${reason}") { __typename } }`);
  const query = encodeURIComponent(
    `subscription { transferPerformed(accountIban: "${ACME}", after: "${after}") { cursor } }`,
  );
  const stream = await fetch(`${server.url}/graphql/stream?query=${query}`, {
    headers: { 'last-event-id': lastEventId ?? '', authorization: `Bearer ${token}` },
  });
  expect(await stream.text()).toContain('BAD_USER_INPUT');

  await expect.poll(() => linesOf(server).map(({ transport }) => transport)).toContain('sse');
  const text = JSON.stringify(server.log);
  const secrets = [createApiKey.secret.split('_').at(-1), token];
  for (const canary of [...CANARIES, ...secrets]) expect(text, canary).not.toContain(canary);
});

test('no line has the secret or the URL of a webhook, its event, or what its receiver answered', async () => {
  const { client, log } = await startServer({ LOG_LEVEL: 'trace' });
  const [url, description, answered] = CANARIES;
  const receiver = await Receiver.start();
  receiver.answer = (_call, response) => response.writeHead(410).end(answered);
  const { id, secret } = await registerWebhook(client, { url: `${receiver.url}?token=${url}` });
  await client.perform(aBulk([aTransfer({ description: description ?? '' })]));
  await expect.poll(async () => (await webhookOf(client, id)).status).toBe('DISABLED');

  const text = JSON.stringify(log);
  expect(text).toContain(id);
  for (const canary of [...CANARIES, secret.replace('whsec_', '')]) {
    expect(text, canary).not.toContain(canary);
  }
});

/** Changes the tables of a server, as nobody should. */
function changeTables({ databaseUrl }: TestServer, sql: string) {
  const connection = new DatabaseSync(databaseUrl.replace('sqlite:', ''));
  connection.exec(sql);
  connection.close();
}

test('an error of the database has a line without the values of its statement', async () => {
  const server = await startServer({ LOG_LEVEL: 'trace' });
  const [name, description, reference, key] = CANARIES;
  changeTables(
    server,
    "create trigger fault before insert on transfer begin select raise(abort, 'a fault'); end",
  );

  const row = aTransfer({ counterpartyName: name, description, endToEndId: reference });
  const { errors } = await server.client.send(PERFORM, {
    input: { ...aBulk([row]), idempotencyKey: key },
  });

  const requestId = errors?.[0]?.extensions.requestId;
  expect(server.log).toContainEqual(
    expect.objectContaining({ msg: 'Unexpected error', requestId, err: expect.anything() }),
  );
  const text = JSON.stringify(server.log);
  for (const canary of CANARIES) expect(text, canary).not.toContain(canary);
});
