import { once } from 'node:events';
import type { Server } from 'node:http';
import { expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { ACME, aBulk, transfersOf } from '../support/builders.js';
import { startIdentityProvider } from '../support/identity-provider.js';
import { startProcess } from '../support/process.js';
import { openConnection } from '../support/raw-connection.js';
import { startServer } from '../support/server.js';
import { createMigratedDatabase } from '../support/test-database.js';

const UPGRADE = 'Connection: Upgrade\r\nUpgrade: websocket\r\n';
const WEBSOCKET = `${UPGRADE}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n`;

/** Upgrade requests that are refused. */
const REFUSED = [
  `GET /foo HTTP/1.1\r\nHost: localhost\r\n${UPGRADE}\r\n`,
  `GET /graphql HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\n${WEBSOCKET}\r\n`,
  `GET /graphql/stream HTTP/1.1\r\nHost: localhost\r\n${UPGRADE}\r\n`,
  `GET /graphql HTTP/1.1\r\nHost: localhost\r\n${UPGRADE}\r\n`,
];

async function aProcess(env: NodeJS.ProcessEnv = {}) {
  const database = await createMigratedDatabase();
  onTestFinished(() => database.drop());
  return startProcess({ DATABASE_URL: database.url, ...env });
}

/** Returns the number of a server's connections. */
function connectionCount(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.getConnections((error, count) => (error ? reject(error) : resolve(count)));
  });
}

test('a client that resets its connection after a refused upgrade does not end the server', async () => {
  const server = await aProcess();

  for (const request of REFUSED) {
    const { socket } = await openConnection(server.url);
    socket.write(request);
    await once(socket, 'data');
    socket.resetAndDestroy();
    // The server stays up even if the reset comes before the answer.
    const other = await openConnection(server.url);
    other.socket.write(request);
    other.socket.resetAndDestroy();
  }

  expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
  expect(await server.stop()).toBe(0);
});

test('a refused upgrade keeps no socket, even if its client stays half open', async () => {
  const { url, http } = await startServer({ WEBSOCKET_CONNECTIONS_MAX: '0' });
  const foreign = `GET /graphql HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\n${WEBSOCKET}\r\n`;
  const own = `GET /graphql HTTP/1.1\r\nHost: localhost\r\n${WEBSOCKET}\r\n`;

  for (const [request, status] of [
    [foreign, 403],
    [own, 429],
  ] as const) {
    const { socket } = await openConnection(url, true);
    socket.write(request);
    const [answer] = await once(socket, 'data');
    expect(String(answer)).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  }

  await expect.poll(() => connectionCount(http.server)).toBe(0);
});

test('an offer of another protocol has no effect', async () => {
  const { url } = await startServer();
  const body = '{"query":"{ __typename }"}';
  const offer =
    'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n';
  const requests = [
    `POST /graphql HTTP/1.1\r\nHost: localhost\r\n${offer}Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    `GET /healthz HTTP/1.1\r\nHost: localhost\r\n${offer}\r\n`,
  ];

  for (const [index, expected] of ['{"data":{"__typename":"Query"}', '{"status":"ok"}'].entries()) {
    const connection = await openConnection(url);
    connection.socket.write(requests[index] ?? '');
    await expect.poll(() => connection.text).toContain(expected);
    expect(connection.text).toMatch(/^HTTP\/1.1 200 /);
  }
});

test('the number of connections is limited', async () => {
  const { url } = await startServer({ CONNECTIONS_MAX: '2' });
  const first = await openConnection(url);
  await openConnection(url);

  const third = await openConnection(url);
  await third.closed;
  expect(first.socket.destroyed).toBe(false);

  first.socket.destroy();
  await expect
    .poll(async () => {
      const next = await openConnection(url);
      next.socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
      await next.closed;
      return next.text;
    })
    .toMatch(/^HTTP\/1.1 200 /);
});

/** Requests whose answers exceed the buffers of the operating system for a client that reads nothing. */
const PIPELINED = 'GET /schema.graphql HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(3_000);

test('a client that does not read its answers is disconnected', async () => {
  const { url, http, client, log } = await startServer({
    SEND_TIMEOUT_MS: '1000',
    HEADERS_TIMEOUT_MS: '600000',
    RECEIVE_TIMEOUT_MS: '3600000',
  });
  const { socket } = await openConnection(url);
  socket.pause();
  socket.write(PIPELINED);

  await expect.poll(() => connectionCount(http.server)).toBe(1);
  await expect.poll(() => connectionCount(http.server)).toBe(0);
  expect(await client.balance(ACME)).toBe('100000.00');
  expect(log).toEqual([]);
});

test('clients that together leave too many answers unread are disconnected early', async () => {
  const { url, http, client } = await startServer({
    SEND_TIMEOUT_MS: '3600000',
    HEADERS_TIMEOUT_MS: '600000',
    RECEIVE_TIMEOUT_MS: '3600000',
    UNREAD_ANSWERS_BYTES_MAX: '65536',
  });
  for (let index = 0; index < 3; index += 1) {
    const { socket } = await openConnection(url);
    socket.pause();
    socket.write(PIPELINED);
  }

  await expect.poll(() => connectionCount(http.server)).toBe(3);
  await expect.poll(() => connectionCount(http.server)).toBe(0);
  expect(await client.balance(ACME)).toBe('100000.00');
});

test('a stopping server answers on every open connection and resets none', async () => {
  const server = await aProcess({ STOP_LINGER_MS: '5000' });
  const ask = 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n';
  const fresh = await Promise.all(Array.from({ length: 10 }, () => openConnection(server.url)));
  const idle = await openConnection(server.url);
  idle.socket.write(ask);
  await expect.poll(() => idle.text).toContain('"ok"');

  const stopped = server.stop();
  // The listener is closed first.
  await expect.poll(() => fetch(`${server.url}/healthz`).catch(() => 'refused')).toBe('refused');
  for (const { socket } of [...fresh, idle]) socket.write(ask);
  await Promise.all([...fresh, idle].map(({ closed }) => closed));

  for (const { text, socket } of [...fresh, idle]) {
    expect(text).toMatch(/HTTP\/1.1 200 .*connection: close.*"ok"/is);
    expect(socket.errored).toBeNull();
  }
  expect(await stopped).toBe(0);
});

test('an uncaught error ends the server after the requests in progress', async () => {
  const crash = new URL('../support/crash-on-signal.mjs', import.meta.url);
  const server = await aProcess({ NODE_OPTIONS: `--import ${crash.href}` });
  let output = '';
  server.process.stdout?.on('data', (chunk) => {
    output += chunk;
  });
  await server.client.balance(ACME);
  const exited = once(server.process, 'exit');

  const inProgress = server.client.perform(aBulk(transfersOf(5_000, '0.01')));
  // The first request is in progress once a later request is answered.
  await server.client.data('{ __typename }');
  server.process.kill('SIGUSR2');

  expect(await inProgress).toMatchObject({ __typename: 'BulkTransferPerformed' });
  expect((await exited)[0]).toBe(1);
  expect(output).toContain('Uncaught error: stopping');
  expect(output).toContain('Thrown for a test');
});

test('tokens of another kind of key are refused, without an error in the log', async () => {
  const provider = await startIdentityProvider('EdDSA');
  const { client, log } = await startServer(provider.env);
  const tokens = await Promise.all(
    ['RS256', 'ES256', 'EdDSA'].map(async (algorithm) =>
      (await startIdentityProvider(algorithm)).token(),
    ),
  );
  const header = (fields: object) => Buffer.from(JSON.stringify(fields)).toString('base64url');
  const odd = [{ alg: 'none' }, { alg: 'HS256' }, { alg: 'EdDSA', crit: ['x'] }, { alg: 5 }, {}];

  for (const token of [...tokens, ...odd.map((fields) => `${header(fields)}.e30.AAAA`), 'x.y.z']) {
    const { status, errors } = await client.as(token).send('{ __typename }');
    expect([status, errors?.[0]?.extensions.code]).toEqual([401, 'UNAUTHENTICATED']);
  }
  expect(log).toEqual([]);
});

test('messages that violate the protocol close a WebSocket, without an error in the log', async () => {
  const { url, log } = await startServer();
  const payload = { query: `subscription { balanceUpdated(accountIban: "${ACME}") { sequence } }` };
  const subscribe = JSON.stringify({ id: 'i'.repeat(1_000), type: 'subscribe', payload });
  const sent: readonly [code: number, messages: readonly string[]][] = [
    [4400, ['{"type":"connection_ack"}']],
    [4400, ['{"id":"1","type":"next","payload":{}}']],
    [4400, ['{"id":"1","type":"error","payload":[{"message":"x"}]}']],
    [4400, ['{"type":"unheard of"}']],
    [4400, [`{"type":"ping","payload":{"x":${'['.repeat(10_000)}${']'.repeat(10_000)}}}`]],
    [4409, [subscribe, subscribe]],
  ];

  for (const [code, messages] of sent) {
    const socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
    onTestFinished(() => socket.terminate());
    await once(socket, 'open');
    socket.send('{"type":"connection_init"}');
    await once(socket, 'message');
    const closed = once(socket, 'close');
    for (const message of messages) socket.send(message);
    expect([messages[0]?.slice(0, 60), (await closed)[0]]).toEqual([
      messages[0]?.slice(0, 60),
      code,
    ]);
  }
  expect(log).toEqual([]);
});
