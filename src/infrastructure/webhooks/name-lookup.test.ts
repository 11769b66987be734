import { createSocket } from 'node:dgram';
import type { LookupAddress } from 'node:dns';
import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import type { LookupAll } from './egress-policy.js';
import { makeNameLookup } from './name-lookup.js';

const TYPE_A = 1;
const NAME_ERROR = 3;

/** Answers a query: addresses for the type A, none for others, and NXDOMAIN for names that begin with "no". */
function answerOf(query: Buffer, address: readonly number[]): Buffer {
  const question = query.subarray(12, query.indexOf(0, 12) + 5);
  const isUnknown = question.subarray(1, 3).toString() === 'no';
  const hasAnswer = !isUnknown && question.readUInt16BE(question.length - 4) === TYPE_A;
  const header = Buffer.alloc(12);
  query.copy(header, 0, 0, 2);
  header.writeUInt16BE(0x8180 | (isUnknown ? NAME_ERROR : 0), 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(hasAnswer ? 1 : 0, 6);
  const record = [0xc0, 12, 0, TYPE_A, 0, 1, 0, 0, 0, 60, 0, 4, ...address];
  return Buffer.concat([header, question, Buffer.from(hasAnswer ? record : [])]);
}

/** Starts a name server on loopback. @returns its address with its port */
async function startNameServer(answer: (query: Buffer) => Buffer | undefined): Promise<string> {
  const socket = createSocket('udp4');
  socket.on('message', (query, { port, address }) => {
    const message = answer(query);
    if (message) socket.send(message, port, address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  onTestFinished(() => void socket.close());
  return `127.0.0.1:${socket.address().port}`;
}

const resolve = (lookup: LookupAll, name: string) =>
  new Promise<LookupAddress[]>((done, fail) => {
    lookup(name, { all: true }, (error, addresses) => (error ? fail(error) : done(addresses)));
  });

test('a name has the addresses of its records', async () => {
  const nameServer = await startNameServer((query) => answerOf(query, [203, 0, 113, 7]));
  const lookup = makeNameLookup({ nameServers: [nameServer] });

  expect(await resolve(lookup, 'hooks.example.com')).toEqual([
    { address: '203.0.113.7', family: 4 },
  ]);
});

test('a name without a record fails', async () => {
  const nameServer = await startNameServer((query) => answerOf(query, [203, 0, 113, 7]));
  const lookup = makeNameLookup({ nameServers: [nameServer] });

  await expect(resolve(lookup, 'no.example.com')).rejects.toMatchObject({ code: 'ENOTFOUND' });
});

test('no name server is asked for localhost', async () => {
  const lookup = makeNameLookup({ nameServers: ['127.0.0.1:9'] });

  expect(await resolve(lookup, 'app.localhost')).toEqual([
    { address: '127.0.0.1', family: 4 },
    { address: '::1', family: 6 },
  ]);
});

test('names whose name server is silent delay no other name', async () => {
  const nameServers = [await startNameServer(() => undefined)];
  const silent = makeNameLookup({ nameServers, timeoutMs: 500 });
  const answered = await startNameServer((query) => answerOf(query, [203, 0, 113, 7]));
  let endedCount = 0;
  const waiting = Array.from({ length: 50 }, (_, n) =>
    resolve(silent, `${n}.example.com`).finally(() => {
      endedCount += 1;
    }),
  );
  const outcomes = Promise.allSettled(waiting);

  await resolve(makeNameLookup({ nameServers: [answered] }), 'hooks.example.com');
  expect(endedCount).toBe(0);

  const codes = (await outcomes).map((outcome) =>
    outcome.status === 'rejected' ? outcome.reason.name : 'found',
  );
  // Its name server has answered nothing, so it may be this machine's own.
  expect(new Set(codes)).toEqual(new Set(['NameServersSilentError']));
}, 30_000);
