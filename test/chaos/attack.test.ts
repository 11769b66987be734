import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { buildSchema } from 'graphql';
import { expect, onTestFinished, test } from 'vitest';
import { ACME, aBulk, ibanOf, transfersOf } from '../support/builders.js';
import { Client } from '../support/client.js';
import { startIdentityProvider } from '../support/identity-provider.js';
import { runScript } from '../support/process.js';
import { CHAOS_SECONDS, CHAOS_SEED, CHAOS_TIMEOUT_MS, Random } from '../support/seeded-random.js';
import { createMigratedDatabase, DIALECT } from '../support/test-database.js';
import { ATTACKS, type Target } from './support/attacks.js';
import { documents } from './support/documents.js';
import { type Fleet, startFleet } from './support/fleet.js';
import { post } from './support/fuzz-clients.js';

/** The duration of the short form. */
const SECONDS = DIALECT === 'mysql' ? 6 : 10;

/** The number of attackers, and the number of clients that send valid documents. */
const ATTACKERS = 6;
const ASKING = 2;

/**
 * The number of connections to the database, and of those that HTTP clients of this process keep for their next
 * request.
 */
const POOL_MAX = 10;
const CLIENTS_KEPT_MAX = 2 * (ATTACKERS + ASKING + 1);

/** The number of transfers on the attacked account, in the long and in the short form. */
const TRANSFERS = CHAOS_SECONDS > 0 ? 100_000 : 20_000;
const BULK_TRANSFERS = 10_000;

/**
 * The maximum latency of a probe during the attack, and the percentage of probes that may exceed it. The short form
 * runs beside other tests, which affect the latency: it requires only that each probe is answered.
 */
const PROBE_MAX_MS = 250;
const PROBES_LATE_PERCENT_MAX = CHAOS_SECONDS > 0 ? 5 : 100;
const PROBE_INTERVAL_MS = 50;

/** Exceeds the memory of a server with its limits on bodies, answers and waiting rows. */
const RESIDENT_MAX_BYTES = 1_024 * 1_024 * 1_024;

const schema = buildSchema(await readFile('src/schema/schema.graphql', 'utf8'));

interface Probes {
  readonly latenciesMs: number[];
  stop(): Promise<void>;
}

/** Requests /readyz repeatedly, as a load balancer does. */
function startProbes(url: string): Probes {
  const latenciesMs: number[] = [];
  let isStopped = false;
  const probing = (async () => {
    while (!isStopped) {
      const start = performance.now();
      const { status } = await fetch(`${url}/readyz`);
      latenciesMs.push(performance.now() - start);
      if (status !== 200) throw new Error(`/readyz is ${status}`);
      await sleep(PROBE_INTERVAL_MS);
    }
  })();
  // A failure of the probes fails the test when they are stopped.
  probing.catch(() => {});
  return {
    latenciesMs,
    stop: () => {
      isStopped = true;
      return probing;
    },
  };
}

async function residentBytes([pid]: readonly number[]): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1_024;
}

async function fileDescriptors([pid]: readonly number[]): Promise<number> {
  return (await readdir(`/proc/${pid}/fd`)).length;
}

async function fill(client: Client): Promise<string[]> {
  const ids: string[] = [];
  for (let first = 0; first < TRANSFERS; first += BULK_TRANSFERS) {
    const rows = transfersOf(BULK_TRANSFERS, '0.01').map((row, index) => ({
      ...row,
      counterpartyIban: ibanOf(index % 1_000),
    }));
    const { bulkTransfer } = await client.perform(aBulk(rows));
    ids.push(bulkTransfer.id, bulkTransfer.transfers.nodes[0].id);
  }
  return ids;
}

/**
 * Makes this attacker's share of all kinds of attack once, and then attacks of random kinds until the end.
 * @returns the number of attacks of each kind
 */
async function attackUntil(
  end: number,
  target: Target,
  attacker: number,
): Promise<Record<string, number>> {
  const random = new Random(`attacker ${attacker}`);
  const counts: Record<string, number> = {};
  const kinds = Object.entries(ATTACKS);
  const make = async ([kind, attack]: (typeof kinds)[number]) => {
    await attack(target, random);
    counts[kind] = (counts[kind] ?? 0) + 1;
  };
  for (let index = attacker; index < kinds.length; index += ATTACKERS) {
    await make(kinds[index] as (typeof kinds)[number]);
  }
  while (Date.now() < end) await make(random.pick([...kinds, ...kinds.slice(0, 2)]));
  return counts;
}

/** Sends valid, expensive documents until the end. @returns their number */
async function askUntil(end: number, target: Target, plausible: readonly string[]) {
  const randomDocuments = documents(
    schema,
    plausible,
    ['query', 'query', 'query', 'mutation'],
    ['100', '50', '20', '3', 'null'],
  );
  const headers = {
    'content-type': 'application/json',
    authorization: `Bearer ${target.token}`,
  };
  let count = 0;
  await fc.assert(
    fc.asyncProperty(randomDocuments, async (document) => {
      const fault = await post(target.url, '/graphql', JSON.stringify(document), headers);
      expect(fault).toBeUndefined();
      count += 1;
    }),
    {
      seed: CHAOS_SEED,
      numRuns: 1e9,
      interruptAfterTimeLimit: Math.max(end - Date.now(), 1),
      endOnFailure: true,
    },
  );
  return count;
}

async function startTarget(): Promise<{ fleet: Fleet; databaseUrl: string; target: Target }> {
  const database = await createMigratedDatabase();
  onTestFinished(() => database.drop());
  const provider = await startIdentityProvider();
  const fleet = await startFleet(1, {
    ...provider.env,
    DATABASE_URL: database.url,
    INTROSPECTION: 'false',
    RATE_LIMIT_COST_PER_SECOND: '10000',
    HEADERS_TIMEOUT_MS: '2000',
    RECEIVE_TIMEOUT_MS: '5000',
    SEND_TIMEOUT_MS: '5000',
  });
  const [url = ''] = fleet.urls;
  const operator = await provider.token({ sub: 'bank', roles: ['operator'] }, '2h');
  const { account } = await new Client(url, operator).data(
    `{ account(iban: "${ACME}") { organizationId } }`,
  );
  const claims = { sub: 'attacker', roles: ['initiator', 'operator'], org: account.organizationId };
  const token = await provider.token(claims, '2h');
  return { fleet, databaseUrl: database.url, target: { url, token } };
}

test(
  'attacks of every kind end no server, cause no internal error and delay no probe',
  async () => {
    const { fleet, databaseUrl, target } = await startTarget();
    const ids = await fill(new Client(target.url, target.token));
    const descriptors = await fileDescriptors(fleet.pids);
    const probes = startProbes(target.url);

    const end = Date.now() + Math.max(SECONDS, CHAOS_SECONDS) * 1_000;
    const [documentCounts, ...counts] = await Promise.all([
      Promise.all(
        Array.from({ length: ASKING }, () =>
          askUntil(end, target, [ACME, ibanOf(1), ibanOf(2), ...ids]),
        ),
      ),
      ...Array.from({ length: ATTACKERS }, (_, index) => attackUntil(end, target, index)),
    ]);
    await probes.stop();

    const total: Record<string, number> = {};
    for (const each of counts)
      for (const [kind, count] of Object.entries(each)) total[kind] = (total[kind] ?? 0) + count;
    const sorted = probes.latenciesMs.toSorted((one, other) => one - other);
    const late = sorted.filter((ms) => ms > PROBE_MAX_MS).length;
    const resident = await residentBytes(fleet.pids);
    console.log(
      `attack: seed ${CHAOS_SEED}, ${documentCounts.join(' + ')} documents, ${JSON.stringify(total)}; ` +
        `${sorted.length} probes, median ${sorted[sorted.length >> 1]?.toFixed(0)} ms, ` +
        `longest ${sorted.at(-1)?.toFixed(0)} ms, ${late} later than ${PROBE_MAX_MS} ms; ` +
        `${Math.round(resident / 2 ** 20)} MB resident`,
    );
    expect(Object.keys(total).sort()).toEqual(Object.keys(ATTACKS).sort());
    expect(fleet.crashes).toEqual([]);
    expect(fleet.errors).toEqual([]);
    expect((100 * late) / sorted.length).toBeLessThanOrEqual(PROBES_LATE_PERCENT_MAX);
    expect(resident).toBeLessThan(RESIDENT_MAX_BYTES);
    // All of the hundreds of abandoned connections are closed.
    await expect
      .poll(() => fileDescriptors(fleet.pids), { timeout: 60_000 })
      .toBeLessThanOrEqual(descriptors + POOL_MAX + CLIENTS_KEPT_MAX);

    expect(await fleet.stop()).toEqual([0]);
    expect(fleet.stderrOutput).toEqual([]);
    const verified = await runScript('dist/commands/verify.js', { DATABASE_URL: databaseUrl });
    expect(verified).toMatchObject({ code: 0 });
  },
  CHAOS_TIMEOUT_MS,
);
