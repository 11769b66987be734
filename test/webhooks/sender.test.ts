/** Tests the sender of webhooks with real servers on loopback. Nothing here uses a database. */
import { execFile } from 'node:child_process';
import type { LookupAddress } from 'node:dns';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import http from 'node:http';
import https from 'node:https';
import net, { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { Webhook } from 'standardwebhooks';
import { describe, expect, onTestFinished, test } from 'vitest';
import { VERSION } from '../../src/files.js';
import type { LookupAll } from '../../src/infrastructure/webhooks/egress-policy.js';
import {
  type WebhookCall,
  WebhookSender,
  type WebhookSenderOptions,
} from '../../src/infrastructure/webhooks/webhook-sender.js';
import { canRun } from '../support/can-run.js';
import { type Certificate, makeAuthority, missingOpenssl } from '../support/certificates.js';
import { freePort } from '../support/free-port.js';
import { startRawReceiver, startReceiver } from '../support/webhook-receiver.js';

const SECRET = `whsec_${Buffer.alloc(32, 1).toString('base64')}`;
const OLD_SECRET = `whsec_${Buffer.alloc(32, 2).toString('base64')}`;
const OTHER_SECRET = `whsec_${Buffer.alloc(32, 3).toString('base64')}`;

/** The time of a call that ends by it, whatever has arrived. */
const SHORT_TIMEOUT_MS = 300;

/** The time of a call that ends by it after the headers have arrived. */
const HEADERS_ARRIVE_MS = 3_000;

/** A name that exists in no network. */
const HOST = 'hooks.acme.example';

const hasOpenssl = canRun('webhooks over TLS', await missingOpenssl());

function makeSender(options: WebhookSenderOptions = {}): WebhookSender {
  // A call that fails to end by itself ends the test with the wrong sentence.
  const sender = new WebhookSender({ allowsLoopback: true, timeoutMs: 60_000, ...options });
  onTestFinished(() => sender.close());
  return sender;
}

function aCall(url: string, overrides: Partial<WebhookCall> = {}): WebhookCall {
  return {
    id: 'msg_1',
    url,
    body: '{"specversion":"1.0","data":{"name":"Curaçao"}}',
    secrets: [SECRET],
    timestamp: new Date(),
    ...overrides,
  };
}

/** Resolves every name by the next answer; the last answer repeats. Counts the look-ups. */
function resolverOf(...answers: readonly (readonly string[])[]) {
  const asked: string[] = [];
  const lookup: LookupAll = (hostname, _, callback) => {
    const answer = answers[Math.min(asked.length, answers.length - 1)] ?? [];
    asked.push(hostname);
    const addresses = answer.map(
      (address): LookupAddress => ({ address, family: address.includes(':') ? 6 : 4 }),
    );
    setImmediate(callback, null, addresses);
  };
  return { asked, lookup };
}

/** Sends one call over plain HTTP to a handler. */
async function sendTo(handle: http.RequestListener, options: WebhookSenderOptions = {}) {
  const receiver = await startReceiver(handle);
  const sender = makeSender(options);
  const url = `http://127.0.0.1:${receiver.port}/hook?key=value`;
  return { receiver, sender, url, outcome: await sender.send(aCall(url)) };
}

/** Sends one call to a TCP server. */
async function sendToRaw(handle: (socket: net.Socket) => void, options: WebhookSenderOptions = {}) {
  const receiver = await startRawReceiver(handle);
  const sender = makeSender(options);
  const url = `http://127.0.0.1:${receiver.port}/`;
  return { receiver, sender, url, outcome: await sender.send(aCall(url)) };
}

describe('a call', () => {
  test('has the headers and the signature of Standard Webhooks', async () => {
    const receiver = await startReceiver((_, response) => response.end('ok'));
    const timestamp = new Date();
    const call = aCall(`http://127.0.0.1:${receiver.port}/hook?key=value`, { timestamp });

    expect(await makeSender().send(call)).toEqual({
      httpStatus: 200,
      error: null,
      responseBody: 'ok',
      durationMs: expect.any(Number),
      retryAfterMs: null,
      isOwnFailure: false,
    });
    const [request] = receiver.requests;
    expect(request).toMatchObject({
      method: 'POST',
      url: '/hook?key=value',
      body: call.body,
      headers: {
        'content-type': 'application/cloudevents+json',
        'user-agent': `Virement/${VERSION}`,
        'webhook-id': 'msg_1',
        'webhook-timestamp': String(Math.floor(timestamp.getTime() / 1_000)),
      },
    });
    expect(request?.headers).not.toHaveProperty('accept-encoding');
    const headers = request?.headers as Record<string, string>;
    expect(new Webhook(SECRET).verify(call.body, headers)).toEqual(JSON.parse(call.body));
    expect(() => new Webhook(OTHER_SECRET).verify(call.body, headers)).toThrow();
    expect(() => new Webhook(SECRET).verify(`${call.body} `, headers)).toThrow();
  });

  test('is signed by each of two secrets, the first one first', async () => {
    const receiver = await startReceiver((_, response) => response.end());
    const call = aCall(`http://127.0.0.1:${receiver.port}/`, { secrets: [SECRET, OLD_SECRET] });
    await makeSender().send(call);

    const headers = receiver.requests[0]?.headers as Record<string, string>;
    for (const secret of call.secrets) new Webhook(secret).verify(call.body, headers);
    expect(() => new Webhook(OTHER_SECRET).verify(call.body, headers)).toThrow();
    expect(headers['webhook-signature']).toBe(
      call.secrets
        .map((secret) => new Webhook(secret).sign(call.id, call.timestamp, call.body))
        .join(' '),
    );
  });

  test.each([
    ['no secret', { secrets: [] }],
    ['an empty secret', { secrets: ['whsec_'] }],
    ['a secret that is not base64', { secrets: ['whsec_*'] }],
    ['an id that would add a header', { id: 'a\r\nx: y' }],
  ])('with %s fails without a request', async (_, overrides) => {
    const receiver = await startReceiver((__, response) => response.end());

    const outcome = await makeSender().send(aCall(`http://127.0.0.1:${receiver.port}/`, overrides));

    expect(outcome).toMatchObject({ httpStatus: null, error: 'The call failed.' });
    expect(receiver.requests).toEqual([]);
  });

  test('uses one connection for many calls', async () => {
    // A second connection would be opened if the first one were not free at the moment of the next call.
    const { receiver, sender, url } = await sendTo(
      (_, response) => response.end('a'.repeat(60_000)),
      { connectionsPerOrigin: 1 },
    );
    for (let count = 0; count < 20; count += 1) await sender.send(aCall(url));

    expect(receiver.requests).toHaveLength(21);
    expect(receiver.connections).toBe(1);
  });

  test('waits for one of the limited connections of its origin', async () => {
    const receiver = await startReceiver((_, response) => response.end());
    const sender = makeSender({ connectionsPerOrigin: 2 });
    const call = aCall(`http://127.0.0.1:${receiver.port}/`);

    const outcomes = await Promise.all(Array.from({ length: 20 }, () => sender.send(call)));

    expect(outcomes.filter(({ httpStatus }) => httpStatus === 200)).toHaveLength(20);
    expect(receiver.connections).toBeLessThanOrEqual(2);
  });

  test('fails beyond the limit of origins, until an earlier origin has no connection', async () => {
    const first = await startReceiver((_, response) => {
      response.setHeader('connection', 'close').end();
    });
    const second = await startReceiver((_, response) => response.end());
    const sender = makeSender({ originsMax: 1 });
    const refused = await sender.send(aCall(`http://127.0.0.1:${await freePort()}/`));
    expect(refused.error).toBe('The connection was refused.');
    const send = async ({ port }: { port: number }) =>
      (await sender.send(aCall(`http://127.0.0.1:${port}/`))).httpStatus;

    await expect.poll(() => send(first)).toBe(200);
    await expect.poll(() => send(second)).toBe(200);
    expect(await sender.send(aCall(`http://127.0.0.1:${first.port}/`))).toMatchObject({
      httpStatus: null,
      error: 'The server calls too many receivers now.',
    });
  });

  test('ends when the sender is closed, with its sockets', async () => {
    const receiver = await startRawReceiver((socket) => socket.resume());
    const sender = makeSender();
    const call = aCall(`http://127.0.0.1:${receiver.port}/`);
    const pending = sender.send(call);
    await expect.poll(() => receiver.openConnections).toBe(1);

    await sender.close();

    expect((await pending).error).toBe('The server is stopping.');
    await expect.poll(() => receiver.openConnections).toBe(0);
    expect((await sender.send(call)).error).toBe('The server is stopping.');
  });
});

describe('a response', () => {
  test.each([200, 204, 299, 400, 410, 500, 503])('of status %i is the outcome', async (status) => {
    const { outcome } = await sendTo((_, response) => response.writeHead(status).end());

    expect(outcome).toMatchObject({ httpStatus: status, error: null, responseBody: '' });
  });

  test.each([
    ['120', 120_000],
    ['Mon, 28 Nov 2095 12:00:00 GMT', 86_400_000],
    ['Fri, 28 Nov 2025 12:00:00 GMT', 0],
    ['soon', null],
  ])('of status 429 can ask to wait: %s', async (value, retryAfterMs) => {
    const { outcome } = await sendTo((_, response) =>
      response.writeHead(429, { 'retry-after': value }).end('slow down'),
    );

    expect(outcome).toMatchObject({ httpStatus: 429, responseBody: 'slow down', retryAfterMs });
  });

  test.each([301, 302, 303, 307, 308])('of status %i is not followed', async (status) => {
    const target = await startReceiver((_, response) => response.end());
    const { outcome, receiver } = await sendTo((_, response) =>
      response.writeHead(status, { location: `http://127.0.0.1:${target.port}/` }).end(),
    );

    expect(outcome).toMatchObject({ httpStatus: status, error: null });
    expect(receiver.requests).toHaveLength(1);
    expect(target.connections).toBe(0);
  });

  test('that redirects to the metadata of a cloud is not followed', async () => {
    const { outcome } = await sendTo((_, response) =>
      response.writeHead(302, { location: 'http://169.254.169.254/latest/meta-data/' }).end(),
    );

    expect(outcome).toMatchObject({ httpStatus: 302, error: null });
  });

  test('is kept up to 1 KB, in whole characters', async () => {
    const { outcome } = await sendTo((_, response) => response.end(`\0${'€'.repeat(2_000)}`));

    expect(outcome.responseBody).toBe(`\ufffd${'€'.repeat(341)}`);
  });

  test('is not decompressed', async () => {
    const { outcome } = await sendTo((_, response) =>
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('a'.repeat(1_000_000))),
    );

    expect(outcome).toMatchObject({ httpStatus: 200, error: null });
    expect(outcome.responseBody).not.toContain('aaaa');
    expect(outcome.responseBody).toContain('\ufffd');
  });

  test('of endless length is cut off, and its connection is closed', async () => {
    let sentBytes = 0;
    const { outcome, receiver } = await sendToRaw((socket) => {
      const block = Buffer.alloc(65_536, 'a');
      const pump = () => {
        do sentBytes += block.length;
        while (socket.writable && socket.write(block));
      };
      socket.on('drain', pump);
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        pump();
      });
    });

    expect(outcome).toMatchObject({ httpStatus: 200, error: null });
    expect(outcome.responseBody).toBe('a'.repeat(1_024));
    await expect.poll(() => receiver.openConnections).toBe(0);
    // Buffers of the two sockets and of the kernel hold a few MiB.
    expect(sentBytes).toBeLessThan(64 * 1_024 * 1_024);
  });

  test('with too large headers is an error', async () => {
    const { outcome } = await sendToRaw((socket) => {
      socket.once('data', () => {
        socket.write(`HTTP/1.1 200 OK\r\nx: ${'a'.repeat(20_000)}\r\n\r\n`);
      });
    });

    expect(outcome).toMatchObject({
      httpStatus: null,
      error: 'The headers of the response are too large.',
    });
  });

  test('that is no HTTP is an error', async () => {
    const { outcome } = await sendToRaw((socket) => {
      socket.once('data', () => socket.end('SSH-2.0-OpenSSH_9.2\r\n'));
    });

    expect(outcome).toMatchObject({ httpStatus: null, error: 'The response is not valid HTTP.' });
  });

  test.each([
    ['never begins', ''],
    ['begins with one letter', 'H'],
    ['stops within its headers', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n'],
  ])('that %s ends by the timeout', async (_, text) => {
    const { outcome, receiver } = await sendToRaw(
      (socket) => {
        socket.once('data', () => socket.write(text));
      },
      { timeoutMs: SHORT_TIMEOUT_MS },
    );

    expect(outcome).toMatchObject({
      httpStatus: null,
      error: 'No response within 0.3 seconds.',
      responseBody: null,
    });
    await expect.poll(() => receiver.openConnections).toBe(0);
  });

  test.each([
    ['is silent after its headers', ''],
    ['stops within its body', 'half'],
  ])('that %s ends by the timeout, with its status', async (_, text) => {
    const { outcome, receiver } = await sendToRaw(
      (socket) => {
        socket.once('data', () => {
          socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n${text}`);
        });
      },
      { timeoutMs: HEADERS_ARRIVE_MS },
    );

    expect(outcome).toMatchObject({
      httpStatus: 200,
      error: 'No response within 3 seconds.',
      responseBody: text,
    });
    await expect.poll(() => receiver.openConnections).toBe(0);
  });

  test('that comes byte by byte ends by the timeout', async () => {
    const { outcome } = await sendToRaw(
      (socket) => {
        socket.once('data', () => {
          socket.write('HTTP/1.1 200 OK\r\n\r\n');
          const timer = setInterval(() => socket.write('a'), 10);
          socket.once('close', () => clearInterval(timer));
        });
      },
      { timeoutMs: SHORT_TIMEOUT_MS },
    );

    expect(outcome.error).toBe('No response within 0.3 seconds.');
  });
});

describe('a failed connection', () => {
  test('is refused by a port that nobody listens on', async () => {
    const outcome = await makeSender().send(aCall(`http://127.0.0.1:${await freePort()}/`));

    expect(outcome).toEqual({
      httpStatus: null,
      error: 'The connection was refused.',
      responseBody: null,
      durationMs: expect.any(Number),
      retryAfterMs: null,
      isOwnFailure: false,
    });
    expect(Number.isInteger(outcome.durationMs)).toBe(true);
  });

  test.each([
    ['reset', (socket: net.Socket) => socket.resetAndDestroy()],
    ['ended', (socket: net.Socket) => socket.end()],
  ])('is %s by the receiver', async (_, end) => {
    const { outcome } = await sendToRaw((socket) => {
      socket.once('data', () => end(socket));
    });

    expect(outcome).toMatchObject({ httpStatus: null, error: 'The connection was reset.' });
  });

  test('is reset within the body, with its status', async () => {
    const { outcome } = await sendToRaw((socket) => {
      socket.once('data', () => {
        socket.end('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf');
      });
    });

    expect(outcome).toMatchObject({ httpStatus: 200, error: 'The connection was reset.' });
  });

  test('has a name that does not exist', async () => {
    const lookup: LookupAll = (_, __, callback) => {
      callback(Object.assign(new Error('getaddrinfo'), { code: 'ENOTFOUND' }), []);
    };
    const outcome = await makeSender({ lookup }).send(aCall(`https://${HOST}/`));

    expect(outcome.error).toBe('The host name was not resolved.');
  });

  test('has a name whose look-up never ends', async () => {
    const sender = makeSender({ lookup: () => {}, timeoutMs: SHORT_TIMEOUT_MS });

    expect((await sender.send(aCall(`https://${HOST}/`))).error).toBe(
      'No response within 0.3 seconds.',
    );
  });
});

describe.runIf(hasOpenssl)('TLS', () => {
  const { lookup } = resolverOf(['127.0.0.1']);

  /** Sends a call to a server with a certificate. */
  async function sendOverTls(certificate: Certificate, trusted?: Certificate) {
    const receiver = await startReceiver((_, response) => response.end('ok'), certificate);
    const sender = makeSender({
      lookup,
      ...(trusted ? { trustedCertificates: await readFile(trusted.cert, 'utf8') } : {}),
    });
    const outcome = await sender.send(aCall(`https://${HOST}:${receiver.port}/`));
    return { outcome, receiver };
  }

  /** Makes a certificate for HOST that was valid during one day in 2020. */
  async function makeExpired(): Promise<Certificate> {
    const folder = await mkdtemp(join(tmpdir(), 'virement-expired-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const [cert, key, request] = ['cert.pem', 'key.pem', 'request.pem'].map((name) =>
      join(folder, name),
    ) as [string, string, string];
    const run = (args: readonly string[]) => promisify(execFile)('openssl', args);
    const subject = ['-subj', `/CN=${HOST}`, '-addext', `subjectAltName=DNS:${HOST}`];
    await run([
      'req',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      key,
      '-out',
      request,
      ...subject,
    ]);
    await run([
      ...['x509', '-req', '-in', request, '-signkey', key, '-out', cert, '-days', '-1'],
      ...['-copy_extensions', 'copy'],
    ]);
    return { cert, key };
  }

  test('carries a call to a receiver with a trusted certificate, by HTTP/1.1', async () => {
    const authority = await makeAuthority();
    const { outcome, receiver } = await sendOverTls(await authority.sign(HOST), authority);

    expect(outcome).toMatchObject({ httpStatus: 200, error: null });
    expect(receiver.requests[0]?.headers.host).toBe(`${HOST}:${receiver.port}`);
  });

  test('is refused for a certificate of an unknown authority', async () => {
    const authority = await makeAuthority();
    const { outcome, receiver } = await sendOverTls(await authority.sign(HOST));

    expect(outcome.error).toMatch(
      /^The certificate is not valid: UNABLE_TO_VERIFY_LEAF_SIGNATURE\.$/,
    );
    expect(receiver.requests).toEqual([]);
  });

  test('is refused for a certificate that signs itself', async () => {
    const { outcome, receiver } = await sendOverTls(await makeAuthority());

    expect(outcome.error).toBe('The certificate is not valid: DEPTH_ZERO_SELF_SIGNED_CERT.');
    expect(receiver.requests).toEqual([]);
  });

  test('is refused for a certificate of another name', async () => {
    const authority = await makeAuthority();
    const { outcome, receiver } = await sendOverTls(
      await authority.sign('other.example'),
      authority,
    );

    expect(outcome.error).toBe('The certificate is not valid: ERR_TLS_CERT_ALTNAME_INVALID.');
    expect(receiver.requests).toEqual([]);
  });

  test('is refused for an expired certificate', async () => {
    const expired = await makeExpired();
    const { outcome, receiver } = await sendOverTls(expired, expired);

    expect(outcome.error).toBe('The certificate is not valid: CERT_HAS_EXPIRED.');
    expect(receiver.requests).toEqual([]);
  });

  test('is refused for a receiver without TLS', async () => {
    const receiver = await startReceiver((_, response) => response.end());
    const outcome = await makeSender({ lookup }).send(aCall(`https://${HOST}:${receiver.port}/`));

    expect(outcome.error).toBe('The TLS handshake failed.');
  });
});

describe('an address that is not public', () => {
  const REFUSED = { httpStatus: null, error: 'The address is not public.', responseBody: null };

  /** The spellings of this machine. */
  const LITERALS = [
    ...['127.0.0.1', '127.1', '0x7f.1', '0x7f000001', '2130706433', '017700000001', '127.0.0.1.'],
    ...[
      '１２７.０.０.１',
      '0.0.0.0',
      '0',
      '[::ffff:127.0.0.1]',
      '[::ffff:7f00:1]',
      '[::1]',
      '[::]',
    ],
    ...['localhost', 'localhost.', 'LOCALHOST', 'hooks.localhost'],
  ];

  test.each(LITERALS)('is not called as %s', async (host) => {
    const receiver = await startRawReceiver((socket) => socket.resume());
    const sender = makeSender({ allowsLoopback: false, timeoutMs: 5_000 });
    for (const scheme of ['https', 'http']) {
      expect(await sender.send(aCall(`${scheme}://${host}:${receiver.port}/`))).toMatchObject(
        REFUSED,
      );
    }

    expect(receiver.connections).toBe(0);
  });

  test.each([
    ...['169.254.169.254', '0xa9fea9fe', '[::ffff:a9fe:a9fe]', '100.64.0.1', '10.0.0.1'],
    ...['[fd00:ec2::254]', '[64:ff9b::a00:1]', '[2002:a00:1::]', '[::7f00:1]', '0.0.0.0', '[::]'],
  ])('is not called as %s, even in development', async (host) => {
    const sender = makeSender({ timeoutMs: 5_000 });

    expect(await sender.send(aCall(`https://${host}/`))).toMatchObject(REFUSED);
  });

  test.each([
    ['this machine', ['127.0.0.1']],
    ['this machine and a public address', ['127.0.0.1', '8.8.8.8']],
    ['this machine, mapped to IPv6', ['::ffff:127.0.0.1']],
  ])('is not called by a name for %s', async (_, answer) => {
    const receiver = await startRawReceiver((socket) => socket.resume());
    const { lookup, asked } = resolverOf(answer);
    const sender = makeSender({ allowsLoopback: false, lookup, timeoutMs: 5_000 });

    expect(await sender.send(aCall(`https://${HOST}:${receiver.port}/`))).toMatchObject(REFUSED);
    expect(asked).toEqual([HOST]);
    expect(receiver.connections).toBe(0);
  });

  test.each([
    ['the metadata of a cloud', ['169.254.169.254']],
    ['this machine and a private address', ['127.0.0.1', '10.0.0.1']],
  ])('is not called by a name for %s, even in development', async (_, answer) => {
    const receiver = await startRawReceiver((socket) => socket.resume());
    const { lookup } = resolverOf(answer);
    const sender = makeSender({ lookup, timeoutMs: 5_000 });

    const outcome = await sender.send(aCall(`https://${HOST}:${receiver.port}/`));

    expect(outcome).toMatchObject(REFUSED);
    expect(receiver.connections).toBe(0);
  });

  test('is not called by a name that had an allowed address before', async () => {
    const receiver = await startReceiver((_, response) => {
      response.setHeader('connection', 'close').end();
    });
    // A connection to 0.0.0.0 would reach the receiver.
    const { lookup, asked } = resolverOf(['127.0.0.1'], ['0.0.0.0']);
    const sender = makeSender({ lookup, timeoutMs: 5_000 });
    const call = aCall(`http://localhost:${receiver.port}/`);

    expect(await sender.send(call)).toMatchObject({ httpStatus: 200, error: null });
    await expect.poll(() => receiver.openConnections).toBe(0);
    expect(await sender.send(call)).toMatchObject(REFUSED);
    // A second look-up between the check and the connection could have had another answer.
    expect(asked).toEqual(['localhost', 'localhost']);
    expect(receiver.connections).toBe(1);
  });

  test('is called in development', async () => {
    const receiver = await startReceiver((_, response) => response.end());
    const { lookup } = resolverOf(['127.0.0.1']);
    const sender = makeSender({ lookup });
    for (const host of ['127.0.0.1', 'localhost', 'hooks.localhost']) {
      const outcome = await sender.send(aCall(`http://${host}:${receiver.port}/`));
      expect(outcome).toMatchObject({ httpStatus: 200, error: null });
    }
  });

  test.each([
    ...['http://hooks.acme.example/', 'ftp://hooks.acme.example/', 'no URL', ''],
    'https://user:hunter2@hooks.acme.example/',
  ])('is not asked for by the URL %j, which nobody could register', async (url) => {
    const { lookup, asked } = resolverOf(['127.0.0.1']);

    expect(await makeSender({ lookup }).send(aCall(url))).toMatchObject({
      httpStatus: null,
      error: 'The URL is not valid.',
    });
    expect(asked).toEqual([]);
  });
});

describe('a proxy', () => {
  /** Starts a proxy, with a certificate by TLS, that connects every CONNECT request to a port of this machine. */
  async function startConnectProxy(targetPort: number, certificate?: Certificate) {
    const asked: {
      readonly target: string | undefined;
      readonly credentials: string | undefined;
    }[] = [];
    const sockets = new Set<net.Socket>();
    const refuse: http.RequestListener = (request, response) => {
      asked.push({ target: request.url, credentials: undefined });
      response.writeHead(405).end();
    };
    const server = certificate
      ? https.createServer(
          { cert: await readFile(certificate.cert), key: await readFile(certificate.key) },
          refuse,
        )
      : http.createServer(refuse);
    server.on('connection', (socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
    });
    server.on('connect', (request, client: net.Socket) => {
      asked.push({ target: request.url, credentials: request.headers['proxy-authorization'] });
      const target = net.connect(targetPort, '127.0.0.1', () => {
        client.write('HTTP/1.1 200 Connection established\r\n\r\n');
        client.pipe(target).pipe(client);
      });
      target.on('error', () => client.end('HTTP/1.1 502 Bad Gateway\r\n\r\n'));
      client.on('error', () => target.destroy());
      client.once('close', () => target.destroy());
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(async () => {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    });
    const { port } = server.address() as AddressInfo;
    const scheme = certificate ? 'https' : 'http';
    const host = certificate ? 'localhost' : '127.0.0.1';
    return { asked, proxyUrl: `${scheme}://user:pa%3Ass@${host}:${port}` };
  }

  test.runIf(hasOpenssl)('resolves the name, and carries the call through a tunnel', async () => {
    const authority = await makeAuthority();
    const receiver = await startReceiver(
      (_, response) => response.end('ok'),
      await authority.sign(HOST),
    );
    const { asked, proxyUrl } = await startConnectProxy(receiver.port);
    const resolver = resolverOf(['127.0.0.1']);
    const sender = makeSender({
      allowsLoopback: false,
      connectionsPerOrigin: 1,
      proxyUrl,
      lookup: resolver.lookup,
      trustedCertificates: await readFile(authority.cert, 'utf8'),
    });

    for (let count = 0; count < 2; count += 1) {
      expect(await sender.send(aCall(`https://${HOST}/`))).toMatchObject({
        httpStatus: 200,
        error: null,
        responseBody: 'ok',
      });
    }
    const credentials = `Basic ${Buffer.from('user:pa:ss').toString('base64')}`;
    expect(asked).toEqual([{ target: `${HOST}:443`, credentials }]);
    expect(resolver.asked).toEqual([]);
    expect(receiver.requests[0]?.headers).not.toHaveProperty('proxy-authorization');
  });

  test.runIf(hasOpenssl)('can be reached by TLS', async () => {
    const authority = await makeAuthority();
    const receiver = await startReceiver(
      (_, response) => response.end('ok'),
      await authority.sign(HOST),
    );
    const { asked, proxyUrl } = await startConnectProxy(
      receiver.port,
      await authority.sign('localhost'),
    );
    const trustedCertificates = await readFile(authority.cert, 'utf8');
    const sender = makeSender({ allowsLoopback: false, proxyUrl, trustedCertificates });

    expect(await sender.send(aCall(`https://${HOST}/`))).toMatchObject({
      httpStatus: 200,
      error: null,
    });
    expect(asked.map(({ target }) => target)).toEqual([`${HOST}:443`]);
  });

  test.runIf(hasOpenssl)('without a valid certificate is never asked', async () => {
    const { asked, proxyUrl } = await startConnectProxy(await freePort(), await makeAuthority());
    const sender = makeSender({ allowsLoopback: false, proxyUrl });

    expect((await sender.send(aCall(`https://${HOST}/`))).error).toBe(
      'The proxy did not connect to the host.',
    );
    expect(asked).toEqual([]);
  });

  test.runIf(hasOpenssl)('does not weaken the check of the certificate', async () => {
    const authority = await makeAuthority();
    const receiver = await startReceiver(
      (_, response) => response.end('ok'),
      await authority.sign('other.example'),
    );
    const { proxyUrl } = await startConnectProxy(receiver.port);
    const trustedCertificates = await readFile(authority.cert, 'utf8');
    const sender = makeSender({ allowsLoopback: false, proxyUrl, trustedCertificates });

    expect((await sender.send(aCall(`https://${HOST}/`))).error).toBe(
      'The certificate is not valid: ERR_TLS_CERT_ALTNAME_INVALID.',
    );
    expect(receiver.requests).toEqual([]);
  });

  test('also tunnels calls by http', async () => {
    const receiver = await startReceiver((_, response) => response.end('ok'));
    const { asked, proxyUrl } = await startConnectProxy(receiver.port);
    const outcome = await makeSender({ proxyUrl }).send(aCall('http://hooks.localhost/'));

    expect(outcome).toMatchObject({ httpStatus: 200, error: null });
    expect(asked.map(({ target }) => target)).toEqual(['hooks.localhost:80']);
  });

  test.each([
    ...['127.0.0.1', '2130706433', '[::1]', '[::ffff:7f00:1]', '169.254.169.254', '10.0.0.1'],
    ...['localhost', 'localhost.', 'hooks.localhost', 'hooks.localhost.'],
  ])('is not asked for %s', async (host) => {
    const { asked, proxyUrl } = await startConnectProxy(await freePort());
    const sender = makeSender({ allowsLoopback: false, proxyUrl });

    expect((await sender.send(aCall(`https://${host}/`))).error).toBe('The address is not public.');
    expect(asked).toEqual([]);
  });

  test('that cannot connect is an error without its address', async () => {
    const { proxyUrl } = await startConnectProxy(await freePort());

    expect(await makeSender({ proxyUrl }).send(aCall(`https://${HOST}/`))).toMatchObject({
      httpStatus: null,
      error: 'The proxy did not connect to the host.',
    });
  });

  test('that is down is an error without its address', async () => {
    const proxyUrl = `http://127.0.0.1:${await freePort()}`;

    expect((await makeSender({ proxyUrl }).send(aCall(`https://${HOST}/`))).error).toBe(
      'The proxy did not connect to the host.',
    );
  });

  test('that never answers ends by the timeout', async () => {
    const receiver = await startRawReceiver((socket) => socket.resume());
    const proxyUrl = `http://127.0.0.1:${receiver.port}`;
    const sender = makeSender({ proxyUrl, timeoutMs: SHORT_TIMEOUT_MS });

    expect((await sender.send(aCall(`https://${HOST}/`))).error).toBe(
      'No response within 0.3 seconds.',
    );
  });
});
