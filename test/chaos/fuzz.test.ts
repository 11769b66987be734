import { readFile } from 'node:fs/promises';
import fc from 'fast-check';
import { buildSchema } from 'graphql';
import { expect, onTestFinished, test } from 'vitest';
import { ACME, ACME_BIC, GLOBEX, ibanOf } from '../support/builders.js';
import { Client } from '../support/client.js';
import { CHAOS_SECONDS, CHAOS_SEED, CHAOS_TIMEOUT_MS } from '../support/seeded-random.js';
import { createMigratedDatabase, DIALECT } from '../support/test-database.js';
import { documents } from './support/documents.js';
import { startFleet } from './support/fleet.js';
import { type Fault, get, post, sendBytes, sendMessages } from './support/fuzz-clients.js';

/** The duration of the short form. Most of the code that it reaches is the same on every database. */
const SECONDS = DIALECT === 'mysql' ? 5 : 10;

/** Time of fuzzing before the first measurement of memory. */
const WARM_UP_SECONDS_MIN = 3;

/** Garbage and caches are far smaller. The long form finds a request that leaks a few kilobytes. */
const GROWTH_MAX_BYTES = 200 * 1024 * 1024;

/** A small heap collects garbage early, so the remaining growth is a leak. */
const HEAP_MAX_MB = 160;

const schema = buildSchema(await readFile('src/schema/schema.graphql', 'utf8'));

type FuzzMessage = (url: string) => Promise<Fault>;

/** @param plausible ids and other texts that the server knows */
function fuzzMessage(plausible: readonly string[]): fc.Arbitrary<FuzzMessage> {
  const randomDocuments = documents(schema, plausible, ['query', 'query', 'mutation']);
  const followed = documents(schema, plausible, ['subscription', 'subscription', 'query']);
  const bytes = fc.uint8Array({ maxLength: 300 });
  const types = fc.constantFrom('application/json', 'text/plain', 'application/graphql', 'x', '');
  const key = fc.constantFrom('key', 'k'.repeat(300), '', 'a, b');
  const json = { 'content-type': 'application/json' };
  const messages = fc.array(
    fc.oneof(
      followed.map((payload, index = 0) =>
        JSON.stringify({ id: `${index}`, type: 'subscribe', payload }),
      ),
      fc
        .record({
          id: fc.jsonValue(),
          type: fc.constantFrom('subscribe', 'ping', 'complete', 'connection_init', 'x'),
          payload: fc.jsonValue(),
        })
        .map((message) => JSON.stringify(message)),
      fc.json(),
      bytes,
    ),
    { maxLength: 6 },
  );
  const opened = JSON.stringify({ type: 'connection_init' });
  return fc.oneof(
    {
      weight: 10,
      arbitrary: randomDocuments.map(
        (document): FuzzMessage =>
          (url) =>
            post(url, '/graphql', JSON.stringify(document), json),
      ),
    },
    {
      weight: 2,
      arbitrary: fc.tuple(randomDocuments, key).map(
        ([document, key]): FuzzMessage =>
          (url) =>
            post(url, '/graphql', JSON.stringify(document), { ...json, 'idempotency-key': key }),
      ),
    },
    {
      weight: 3,
      arbitrary: randomDocuments.map(
        (document): FuzzMessage =>
          (url) =>
            get(url, '/graphql', document),
      ),
    },
    {
      weight: 2,
      arbitrary: fc.json().map(
        (body): FuzzMessage =>
          (url) =>
            post(url, '/graphql', body, json),
      ),
    },
    {
      weight: 1,
      arbitrary: fc.json().map(
        (body): FuzzMessage =>
          (url) =>
            post(url, '/graphql/stream', body, json),
      ),
    },
    {
      weight: 1,
      arbitrary: fc.tuple(bytes, types).map(
        ([body, type]): FuzzMessage =>
          (url) =>
            post(url, '/graphql', body, { 'content-type': type }),
      ),
    },
    {
      weight: 2,
      arbitrary: followed.map(
        (document): FuzzMessage =>
          (url) =>
            post(url, '/graphql/stream', JSON.stringify(document), json),
      ),
    },
    {
      weight: 1,
      arbitrary: followed.map(
        (document): FuzzMessage =>
          (url) =>
            get(url, '/graphql/stream', document),
      ),
    },
    {
      weight: 1,
      arbitrary: bytes.map(
        (sent): FuzzMessage =>
          (url) =>
            sendBytes(url, sent),
      ),
    },
    {
      weight: 1,
      arbitrary: fc
        .tuple(
          fc.constantFrom(
            'POST /graphql HTTP/1.1\r\nHost: x\r\n',
            'GET /graphql?query={ HTTP/1.1\r\n',
            'GET //[ HTTP/1.1\r\nHost: [\r\n\r\n',
          ),
          bytes,
        )
        .map(
          ([start, rest]): FuzzMessage =>
            (url) =>
              sendBytes(url, Buffer.concat([Buffer.from(start), rest])),
        ),
    },
    {
      weight: 3,
      arbitrary: fc
        .tuple(
          fc.constantFrom('graphql-transport-ws', 'graphql-transport-ws', 'graphql-ws'),
          messages,
        )
        .map(
          ([protocol, sent]): FuzzMessage =>
            (url) =>
              sendMessages(url, protocol, [opened, ...sent]),
        ),
    },
    {
      weight: 1,
      arbitrary: messages.map(
        (sent): FuzzMessage =>
          (url) =>
            sendMessages(url, 'graphql-transport-ws', sent),
      ),
    },
  );
}

async function residentBytes(url: string): Promise<number> {
  const metrics = await (await fetch(`${url}/metrics`)).text();
  return Number(/^process_resident_memory_bytes (\S+)$/m.exec(metrics)?.[1]);
}

test(
  'malformed requests at every entry point cause no internal error, log no error and leak no memory',
  async () => {
    const database = await createMigratedDatabase();
    onTestFinished(() => database.drop());
    const fleet = await startFleet(1, {
      DATABASE_URL: database.url,
      NODE_OPTIONS: `--max-old-space-size=${HEAP_MAX_MB}`,
    });
    const [url = ''] = fleet.urls;
    const client = new Client(url);
    const { accounts } = await client.data('{ accounts { nodes { id } pageInfo { endCursor } } }');
    const plausible = [
      ACME,
      GLOBEX,
      ACME_BIC,
      ibanOf(1),
      accounts.pageInfo.endCursor,
      ...accounts.nodes.map(({ id }: { id: string }) => id),
    ];

    const seconds = Math.max(SECONDS, CHAOS_SECONDS);
    const end = Date.now() + seconds * 1_000;
    const warm = Date.now() + Math.max(WARM_UP_SECONDS_MIN, seconds / 4) * 1_000;
    let sent = 0;
    let warmBytes = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fuzzMessage(plausible), { minLength: 4, maxLength: 8 }),
        async (together) => {
          if (warmBytes === 0 && Date.now() > warm) warmBytes = await residentBytes(url);
          const faults = await Promise.all(together.map((one) => one(url)));
          sent += together.length;
          expect(faults.filter((fault) => fault !== undefined)).toEqual([]);
          expect(fleet.crashes).toEqual([]);
        },
      ),
      {
        seed: CHAOS_SEED,
        numRuns: 1e9,
        interruptAfterTimeLimit: end - Date.now(),
        endOnFailure: true,
      },
    );

    await client.balance(ACME);
    const grown = (await residentBytes(url)) - warmBytes;
    console.log(
      `fuzz: seed ${CHAOS_SEED}, ${sent} messages, ${Math.round(grown / 2 ** 20)} MB more after warming up at ${Math.round(warmBytes / 2 ** 20)} MB`,
    );
    expect(fleet.errors).toEqual([]);
    expect(grown).toBeLessThan(GROWTH_MAX_BYTES);
    expect(sent).toBeGreaterThan(0);
    expect(await fleet.stop()).toEqual([0]);
    expect(fleet.crashes).toEqual([]);
    expect(fleet.stderrOutput).toEqual([]);
  },
  CHAOS_TIMEOUT_MS,
);
