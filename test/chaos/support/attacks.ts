/**
 * Hostile clients: over raw TCP, where the bytes need not be HTTP, and within the credential and the rate limit of a
 * caller. Each attack ends by itself.
 */
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { ACME, aBulk, ibanOf, transfersOf } from '../../support/builders.js';
import { PERFORM } from '../../support/client.js';
import type { Random } from '../../support/seeded-random.js';

export interface Target {
  readonly url: string;
  /** A valid token for a company that owns ACME's accounts. */
  readonly token: string;
}

export type Attack = (target: Target, random: Random) => Promise<void>;

/** Time for which an attack listens. */
const LISTEN_MS = 400;

/** Time for which an attack waits for an answer. */
const ANSWER_MAX_MS = 60_000;

type Ending = 'end' | 'reset' | 'wait' | 'stop reading';

const ENDINGS: readonly Ending[] = ['end', 'reset', 'reset', 'wait', 'stop reading'];

/** Sends bytes in pieces, then ends the connection in the given way. */
async function sendRaw(url: string, pieces: readonly Buffer[], ending: Ending): Promise<void> {
  const socket: Socket = connect({
    port: Number(new URL(url).port),
    host: '127.0.0.1',
    allowHalfOpen: true,
  });
  socket.on('error', () => {});
  const closed = new Promise((resolve) => socket.once('close', resolve));
  if (ending === 'stop reading') socket.pause();
  else socket.resume();
  for (const piece of pieces) {
    if (socket.destroyed) break;
    socket.write(piece);
    await sleep(1);
  }
  if (ending === 'end') socket.end();
  if (ending === 'reset') socket.resetAndDestroy();
  await Promise.race([closed, sleep(LISTEN_MS)]);
  socket.destroy();
  await closed;
}

const METHODS = [
  'GET',
  'GET',
  'POST',
  'POST',
  'OPTIONS',
  'HEAD',
  'CONNECT',
  'PUT',
  'G\u0000T',
  'get',
];
const PATHS = [
  '/graphql',
  '/graphql',
  '/graphql/stream',
  '/healthz',
  '/graphql?query={__typename}',
  '/nowhere',
  '/%67raphql',
  '//[',
  '*',
  'http://localhost/graphql',
  '/graphiql/../graphql',
  `/${'a'.repeat(3_000)}`,
];
const VERSIONS = ['HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0', 'HTTP/1.1 ', ''];
const BODIES = ['', '{"query":"{ __typename }"}', '{"query":', '[[[[[[', '\u0000\u0001', 'a=b'];

function headersOf(random: Random, { token }: Target, body: string): string[] {
  const any = [
    'Host: localhost',
    'Host: localhost',
    'Host: [::',
    `Authorization: Bearer ${token}`,
    `Authorization: Bearer ${token}`,
    'Authorization: Bearer x.y.z',
    `Authorization: Bearer ${' '.repeat(2_000)}x y`,
    'Content-Type: application/json',
    'Content-Type: application/json',
    'Content-Type: text/plain',
    `Content-Length: ${Buffer.byteLength(body)}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Content-Length: 1000000',
    'Content-Length: -1',
    'Transfer-Encoding: chunked',
    'Transfer-Encoding: chunked, gzip',
    'Connection: Upgrade',
    'Connection: close',
    'Connection: keep-alive, Upgrade, HTTP2-Settings',
    'Upgrade: websocket',
    'Upgrade: websocket',
    'Upgrade: h2c',
    'HTTP2-Settings: AAMAAABk',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Protocol: graphql-transport-ws',
    'Origin: https://evil.example',
    'Expect: 100-continue',
    'Accept: text/event-stream',
    'Idempotency-Key: "\u00ff"',
    'Idempotency-Key: a',
    'traceparent: 00-x',
    `X-Long: ${'x'.repeat(random.between(0, 20_000))}`,
    'Bad header',
    ': empty',
    ' folded: yes',
  ];
  return Array.from({ length: random.between(0, 12) }, () => random.pick(any));
}

function requestOf(random: Random, target: Target): Buffer {
  const body = random.pick(BODIES);
  const head = [
    `${random.pick(METHODS)} ${random.pick(PATHS)} ${random.pick(VERSIONS)}`,
    ...headersOf(random, target, body),
  ].join(random.below(10) === 0 ? '\n' : '\r\n');
  return Buffer.from(`${head}\r\n\r\n${body}`, 'latin1');
}

/** Changes some bytes in a third of all calls. */
function corruptBytes(random: Random, bytes: Buffer): Buffer {
  if (random.below(3) > 0) return bytes;
  const copy = Buffer.from(bytes);
  for (let count = random.between(1, 5); count > 0; count -= 1) {
    if (copy.length > 0) copy[random.below(copy.length)] = random.below(256);
  }
  return copy;
}

/** Sends HTTP with broken grammar, pipelined, in pieces, and cut at a random byte. */
const rawHttp: Attack = async (target, random) => {
  const requests = Array.from({ length: random.pick([1, 1, 2, 10]) }, () =>
    corruptBytes(random, requestOf(random, target)),
  );
  const bytes = Buffer.concat(requests);
  const cut = random.below(2) === 0 ? bytes.length : random.below(bytes.length + 1);
  const at = random.below(cut + 1);
  const pieces = [bytes.subarray(0, at), bytes.subarray(at, cut)];
  await sendRaw(target.url, pieces, random.pick(ENDINGS));
};

const refusedUpgrade: Attack = ({ url }, random) => {
  const path = random.pick(['/foo', '/graphql', '/graphql/stream']);
  const request = `GET ${path} HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\nConnection: Upgrade\r\nUpgrade: ${random.pick(['websocket', 'h2c'])}\r\n\r\n`;
  return sendRaw(url, [Buffer.from(request)], random.pick(ENDINGS));
};

const incompleteBody: Attack = ({ url, token }, random) => {
  const head = `POST /graphql HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: 9000000\r\n\r\n`;
  const body = `{"query":"${'x'.repeat(random.between(10_000, 8_000_000))}`;
  return sendRaw(url, [Buffer.from(head), Buffer.from(body)], 'wait');
};

const unreadAnswers: Attack = ({ url, token }) => {
  const query = encodeURIComponent(
    `{ account(iban: "${ACME}") { transfers(first: 100) { nodes { id description } } } }`,
  );
  const request = `GET /graphql?query=${query} HTTP/1.1\r\nHost: localhost\r\nApollo-Require-Preflight: 1\r\nAuthorization: Bearer ${token}\r\n\r\n`;
  return sendRaw(url, [Buffer.from(request.repeat(20))], 'stop reading');
};

/**
 * Posts a body, and may disconnect before the answer. The server may disconnect first, for instance if a body takes too
 * long.
 */
async function post(
  { url, token }: Target,
  body: string,
  leaveAfterMs = ANSWER_MAX_MS,
): Promise<void> {
  const signal = AbortSignal.timeout(leaveAfterMs);
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${token}` };
  await fetch(`${url}/graphql`, { method: 'POST', headers, body, signal })
    .then((response) => response.arrayBuffer())
    .catch(() => {});
}

const hostileJson: Attack = (target, random) => {
  const count = random.between(1_000, 1_500_000);
  const value = random.pick([
    () => '['.repeat(count),
    () => '['.repeat(count) + ']'.repeat(count),
    () => `[${'{},'.repeat(count)}1]`,
    () => `{${Array.from({ length: count / 10 }, (_, index) => `"k${index}":1`).join(',')}}`,
    () => JSON.stringify('Did you mean '.repeat(count / 10)),
    () => JSON.stringify('\u0300\u0316'.repeat(count)),
  ])();
  const query =
    'query ($a: Int, $b: String!) { account(iban: $b) { transfers(first: $a) { nodes { id } } } }';
  return post(target, `{"query":${JSON.stringify(query)},"variables":{"a":${value},"b":${value}}}`);
};

const hostileDocument: Attack = (target, random) => {
  const query = random.pick([
    () => `{ ${'a'.repeat(100_000)}: __typename }`,
    () => `{ account(iban: """${'\n'.repeat(120_000)}""") { id } }`,
    () =>
      `{ ${Array.from({ length: 30 }, (_, index) => `a${index}: accounts(first: 100) { nodes { transfers(first: 100) { pageInfo { endCursor } } } }`).join(' ')} }`,
    () =>
      `{ account(iban: "${ACME}") { ${Array.from({ length: 30 }, (_, index) => `a${index}: transfers(first: 100, filter: { counterpartyName: "", minAmount: "1" }) { nodes { id } }`).join(' ')} } }`,
    () => `{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }`,
    () => `{ ${'...F '.repeat(900)} } fragment F on Query { __typename }`,
  ])();
  return post(target, JSON.stringify({ query }));
};

const hostileName: Attack = (target, random) => {
  const organizationName = '\u0300\u0316'.repeat(random.between(1_000, 200_000));
  const input = aBulk(transfersOf(1, '0.01'), { organizationName });
  return post(target, JSON.stringify({ query: PERFORM, variables: { input } }));
};

/** Sends a large bulk, and may disconnect before the answer. */
const largeBulk: Attack = (target, random) => {
  const rows = transfersOf(random.between(1_000, 5_000), '0.01').map((row, index) => ({
    ...row,
    counterpartyIban: ibanOf(index % 50),
  }));
  const body = JSON.stringify({ query: PERFORM, variables: { input: aBulk(rows) } });
  return post(target, body, random.pick([ANSWER_MAX_MS, 5, 50, 300]));
};

const badToken: Attack = ({ url }, random) => {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const alg = random.pick(['RS256', 'ES256', 'EdDSA', 'HS256', 'none', '']);
  const claims = { sub: 'x'.repeat(random.between(0, 3_000)), exp: 9e9 };
  return post(
    { url, token: `${part({ alg })}.${part(claims)}.AAAA` },
    '{"query":"{ __typename }"}',
  );
};

const hostileWebSocket: Attack = async ({ url, token }, random) => {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
  socket.on('error', () => {});
  const closed = new Promise((resolve) => socket.once('close', resolve));
  const opened = new Promise((resolve) => socket.once('open', resolve));
  await Promise.race([opened, closed]);
  const payload = { query: `subscription { balanceUpdated(accountIban: "${ACME}") { sequence } }` };
  const id = 'i'.repeat(random.between(1, 2_000));
  const messages = [
    `{"type":"connection_init","payload":{"authorization":"Bearer ${token}"}}`,
    '{"type":"connection_init","payload":{"authorization":"Bearer x"}}',
    '{"type":"connection_ack"}',
    '{"id":"1","type":"next","payload":{}}',
    '{"id":"1","type":"error","payload":[{"message":"x"}]}',
    '{"type":"ping"}',
    JSON.stringify({ id, type: 'subscribe', payload }),
    JSON.stringify({ id, type: 'subscribe', payload: { query: '{'.repeat(10_000) } }),
    `{"type":"ping","payload":{"x":${'['.repeat(10_000)}${']'.repeat(10_000)}}}`,
    'x'.repeat(200_000),
  ];
  socket.send(messages[0] ?? '');
  for (let count = random.between(1, 10); count > 0; count -= 1) {
    if (socket.readyState === WebSocket.OPEN) socket.send(random.pick(messages));
  }
  await Promise.race([closed, sleep(LISTEN_MS)]);
  socket.terminate();
  await closed;
};

/** All kinds of attack, by name. */
export const ATTACKS: Readonly<Record<string, Attack>> = {
  rawHttp,
  refusedUpgrade,
  incompleteBody,
  unreadAnswers,
  hostileJson,
  hostileDocument,
  hostileName,
  largeBulk,
  badToken,
  hostileWebSocket,
};
