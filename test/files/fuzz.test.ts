/**
 * Sends POST /imports what nobody wrote as a file or as a request: fixtures with bytes removed and inserted, forms and
 * headers that contradict their bodies, any bytes. Every request is answered, and none by an internal error.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BulkTransferOrder } from '../../src/entities/bulk-transfer-order.entity.js';
import { ACME } from '../support/builders.js';
import { csvOf, pain001Of, postFile } from '../support/imports.js';
import { startServer } from '../support/server.js';

/** The seed of all runs: a failure here fails everywhere. */
const SEED = 20_022;
const RUNS = 75;
/** The files that a caller may send at once. */
const AT_ONCE = 2;

/** The longest time until a request is answered. */
const ANSWER_MAX_MS = 60_000;

const FOLDER = new URL('../fixtures/order-files/', import.meta.url);
const FIXTURES = readdirSync(FOLDER)
  .filter((name) => !name.endsWith('.json'))
  .sort()
  .map((name) => readFileSync(new URL(name, FOLDER)));
const FILES = [...FIXTURES, Buffer.from(csvOf(20)), Buffer.from(pain001Of([ACME], 5))];

const TOKENS = ['"', ',', ';', '\r\n', '\0', '8.9E+19', '1.234,56', '\ufeff', '\ud800'].concat(
  ['<', '>', '</', '<!--', ']]>', '&#0;', '&x;', '<!DOCTYPE x [', '<x>', '</CdtTrfTxInf>'],
  ['--x', '--x--', '\r\n\r\n'],
);

const inserted = fc.oneof(
  fc.constantFrom(...TOKENS).map((token) => Buffer.from(token)),
  fc.uint8Array({ maxLength: 8 }).map((bytes) => Buffer.from(bytes)),
);

const edit = fc.record({
  place: fc.double({ min: 0, max: 1, noNaN: true }),
  removed: fc.nat(30),
  inserted,
  repeats: fc.constantFrom(0, 1, 1, 1, 2_000),
});

/** Files with some bytes removed, inserted and repeated. */
const file = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(fc.constantFrom(...FILES), fc.array(edit, { maxLength: 4 }))
      .map(([original, edits]) =>
        edits.reduce((bytes, { place, removed, inserted, repeats }) => {
          const at = Math.floor(place * bytes.length);
          const middle = Array.from({ length: repeats }, () => inserted);
          return Buffer.concat([bytes.subarray(0, at), ...middle, bytes.subarray(at + removed)]);
        }, original),
      ),
  },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)) },
);

const PART_HEADS = [
  'content-disposition: form-data; name="file"; filename="a.csv"',
  'content-disposition: form-data; name="file"; filename="a.csv"\r\ncontent-type: text/csv',
  'content-disposition: form-data; name="account"',
  'content-disposition: form-data; name="__proto__"',
  'content-disposition: form-data',
  'content-disposition: form-data; name="file"; filename="../../\0"',
  `content-disposition: form-data; name="${'n'.repeat(3_000)}"`,
  '',
];

/** Forms, most of them with a file, and some without an end. */
const form = fc
  .tuple(
    fc.array(fc.tuple(fc.constantFrom(...PART_HEADS), file), { maxLength: 3 }),
    fc.constantFrom('--x--\r\n', '--x--\r\n', '--x', ''),
  )
  .map(([parts, end]) =>
    Buffer.concat([
      ...parts.flatMap(([head, body]) => [
        Buffer.from(`--x\r\n${head}\r\n\r\n`),
        body,
        Buffer.from('\r\n'),
      ]),
      Buffer.from(end),
    ]),
  );

const oneOf = (...values: readonly (string | undefined)[]) => fc.constantFrom(...values);

/** One of some values, or none, as is more usual. */
const rarely = (...values: readonly string[]) =>
  fc.oneof(
    { weight: 12, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: fc.constantFrom(...values) },
  );

const headers = fc.record({
  accept: rarely('*/*', 'text/event-stream', 'text/event-stream;q=0', 'x\u00e9'),
  'idempotency-key': rarely('k', 'k'.repeat(300), '', 'a\u00e9, b'),
  'content-encoding': rarely('gzip', 'br', 'identity', 'x'),
  expect: rarely('100-continue', 'x'),
});

const parameter = fc.constantFrom(
  ...['account=', 'account=x', 'format=CSV', 'format=PAIN_001', 'format=x', 'fileName=a.csv'],
  ...['fileName=%00', `fileName=${'n'.repeat(300)}`, '__proto__=x', '%', '%ff=1'],
);

/** The parameters of a request, most of which name an account and nothing else. */
const query = fc.oneof(
  { weight: 8, arbitrary: fc.constant(`account=${ACME}`) },
  {
    weight: 3,
    arbitrary: fc
      .array(parameter, { maxLength: 2 })
      .map((others) => [`account=${ACME}`, ...others].join('&')),
  },
  { weight: 1, arbitrary: parameter },
);

/** How a body is announced, and what is sent of it. */
type Framing = (body: Buffer) => { readonly head: string; readonly sent: Buffer };

const chunkOf = (body: Buffer) =>
  Buffer.concat([Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from('\r\n')]);
const CHUNKED = 'transfer-encoding: chunked';

const COMPLETE: readonly Framing[] = [
  (body) => ({ head: `content-length: ${body.length}`, sent: body }),
  (body) => ({
    head: CHUNKED,
    sent: Buffer.concat([body.length > 0 ? chunkOf(body) : body, Buffer.from('0\r\n\r\n')]),
  }),
];

const BROKEN: readonly Framing[] = [
  (body) => ({ head: CHUNKED, sent: chunkOf(body) }),
  (body) => ({ head: CHUNKED, sent: body }),
  (body) => ({ head: `content-length: ${body.length + 10}`, sent: body }),
  (body) => ({ head: `content-length: ${body.length >> 1}`, sent: body }),
  (body) => ({ head: `content-length: ${body.length}\r\n${CHUNKED}`, sent: body }),
  (body) => ({ head: 'content-length: 99999999999', sent: body }),
  (body) => ({ head: 'content-length: -1', sent: body }),
  (body) => ({ head: 'transfer-encoding: gzip, chunked', sent: chunkOf(body) }),
  (body) => ({ head: 'x: y', sent: body }),
];

/** A framing, and whether the client ends its side after the body, as it always does where the server may wait. */
const framing = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.tuple(
      fc.constantFrom(...COMPLETE),
      fc.constantFrom(false, false, false, false, false, true),
    ),
  },
  { weight: 1, arbitrary: fc.tuple(fc.constantFrom(...BROKEN), fc.constant(true)) },
);

const content = fc.oneof(
  { weight: 8, arbitrary: fc.tuple(oneOf('text/csv', 'application/xml', 'text/xml'), file) },
  { weight: 1, arbitrary: fc.tuple(oneOf(undefined, '', 'x', 'application/json', 'a/b; c'), file) },
  {
    weight: 2,
    arbitrary: fc.tuple(
      oneOf(
        ...['x', 'x', 'x', 'y', '', '"'].map((name) => `multipart/form-data; boundary=${name}`),
      ),
      form,
    ),
  },
);

interface RawRequest {
  /** A character for each byte. */
  readonly bytes: string;
  /** Whether the client ends its side after the bytes. */
  readonly isEnded: boolean;
}

const request: fc.Arbitrary<RawRequest> = fc
  .tuple(content, headers, query, framing)
  .map(([[type, body], others, search, [frame, isEnded]]) => {
    const { head, sent } = frame(body);
    const lines = Object.entries({ 'content-type': type, ...others })
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => `${name}: ${value}`);
    const start = [
      `POST /imports?${search} HTTP/1.1`,
      'host: localhost',
      'connection: close',
      head,
    ];
    const text = [...start, ...lines, '', ''].join('\r\n');
    return { bytes: text + sent.toString('latin1'), isEnded };
  });

/** Sends a request. @returns the answer, which may be empty; undefined if the connection stays open */
function answerTo(url: string, { bytes, isEnded }: RawRequest): Promise<string | undefined> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  return new Promise((resolve) => {
    let text = '';
    const timer = setTimeout(() => socket.destroy(new Error('hung')), ANSWER_MAX_MS);
    let isHung = false;
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
    });
    socket.on('error', ({ message }) => {
      isHung = message === 'hung';
    });
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(isHung ? undefined : text);
    });
    if (isEnded) socket.end(bytes, 'latin1');
    else socket.write(bytes, 'latin1');
  });
}

test('malformed files, forms and headers are answered, cause no internal error, and leave no order half read', async () => {
  const { url, client, database, log } = await startServer();
  const statuses = new Map<string, number>();
  const errors = () => log.filter(({ level }) => level === 'error' || Number(level) >= 50);

  await fc.assert(
    fc.asyncProperty(
      fc.array(request, { minLength: AT_ONCE, maxLength: AT_ONCE }),
      async (together) => {
        const answers = await Promise.all(together.map((one) => answerTo(url, one)));
        expect(errors()).toEqual([]);
        for (const answer of answers) {
          expect(answer).toBeDefined();
          expect(answer).not.toMatch(/^HTTP\/1\.1 5|INTERNAL_SERVER_ERROR/m);
          const status = /^HTTP\/1\.1 ([2-5]\d\d)/m.exec(answer ?? '')?.[1] ?? 'none';
          statuses.set(status, (statuses.get(status) ?? 0) + 1);
        }
      },
    ),
    { seed: SEED, numRuns: RUNS, endOnFailure: true },
  );

  // Some of them are files, and most of them are not.
  expect(statuses.get('201')).toBeGreaterThan(0);
  expect(statuses.get('422')).toBeGreaterThan(0);
  expect(statuses.get('400')).toBeGreaterThan(0);
  const reading = () => database.orm.em.fork().count(BulkTransferOrder, { phase: 'READING' });
  await expect.poll(reading).toBe(0);
  // A request that was broken off gives its place back soon after its connection has ended.
  const send = () => postFile(url, csvOf(3), { query: { account: ACME } });
  await expect.poll(async () => (await send()).status).toBe(201);
  expect(await client.balance(ACME)).toBe('100000.00');
});
