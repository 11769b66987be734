/**
 * Measures the effect of company A's load on company B. B performs bulks of one transfer, one after the
 * other, while A is silent and while A sends each load. The server and both companies are processes of
 * their own on one machine; run the program on a quiet one.
 *
 *   npm run bench:fairness [-- --database sqlite|mariadb] [--seconds 20] [--server ../dist/main.js]
 *     [--node-option OPTION] [--loads silent,large,small,reads] [--alone]
 *
 * With --alone the program measures the rate of A's bulks of 1, 1,000 and 10,000 transfers without any
 * other load. With --server it measures another build, for comparison.
 */
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { ACCOUNTS, bulkRequest } from './harness/bulk-requests.ts';
import { type LoadClient, type LoadResult, startLoadClient } from './harness/load-client.ts';
import { describeMachine, machineLine } from './harness/machine.ts';
import { runProgram } from './harness/program.ts';
import { percentile, roundToTenth } from './harness/statistics.ts';
import { createLedger, parseLedgerDatabase } from './subjects/virement/ledger.ts';
import { GRAPHQL_PATH, PERFORMED, performBody } from './subjects/virement/requests.ts';
import { VirementServer } from './subjects/virement/server.ts';

const MINUTES_MAX = 60;

/** Pause of B between an answer and its next request. */
const B_PAUSE_MS = 20;
/** Pause of each of A's requests in flight. It is as short as a timer can be. */
const A_PAUSE_MS = 1;
/** A's load runs for this time before B starts. */
const LEAD_MS = 1_000;
const SETTLE_MS = 1_000;
const WARM_UP_MS = 1_500;
const ACCOUNTS_OF_A = 4;
/** One limit for all loads, so that a company keeps its connections from load to load. */
const CONNECTIONS_MAX = 1_000;

const { values: options } = parseArgs({
  options: {
    database: { type: 'string', default: 'sqlite' },
    seconds: { type: 'string', default: '20' },
    server: { type: 'string', default: '../dist/main.js' },
    'node-option': { type: 'string', multiple: true, default: [] },
    loads: { type: 'string', default: 'silent,large,small,reads' },
    alone: { type: 'boolean', default: false },
  },
});
const durationMs = Number(options.seconds) * 1_000;

const READ = `query ($iban: String!) {
  account(iban: $iban) {
    __typename transfers(first: 100) { nodes { id amount { amount } counterpartyName } }
  }
}`;

const accountsOfA = ACCOUNTS.slice(0, ACCOUNTS_OF_A);
const [accountOfB = ''] = ACCOUNTS.slice(ACCOUNTS_OF_A);

/** The request bodies of a company, and the number of its requests in flight. */
interface Load {
  readonly bodies: readonly string[];
  readonly inFlight: number;
  readonly pauseMs: number;
}

const bulksOfA = (transfers: number, inFlight: number): Load => ({
  bodies: accountsOfA.map((iban) => performBody(bulkRequest(iban, transfers))),
  inFlight,
  pauseMs: A_PAUSE_MS,
});

const LOADS: Readonly<Record<string, Load | undefined>> = {
  silent: undefined,
  large: bulksOfA(9_500, 32),
  small: bulksOfA(1, 1_000),
  reads: {
    bodies: accountsOfA.map((iban) => JSON.stringify({ query: READ, variables: { iban } })),
    inFlight: 500,
    pauseMs: A_PAUSE_MS,
  },
};

const LOADS_ALONE: Readonly<Record<string, Load>> = {
  '1 transfer': bulksOfA(1, 64),
  '1,000 transfers': bulksOfA(1_000, 8),
  '10,000 transfers': bulksOfA(10_000, 4),
};

const LOAD_OF_B: Load = {
  bodies: [performBody(bulkRequest(accountOfB, 1))],
  inFlight: 1,
  pauseMs: B_PAUSE_MS,
};

/** A company's client at the server under test. */
class Company {
  readonly #origin: string;
  readonly #client: LoadClient = startLoadClient();

  constructor(origin: string) {
    this.#origin = origin;
  }

  send({ bodies, inFlight, pauseMs }: Load, durationMs: number): Promise<LoadResult> {
    return this.#client.run({
      origin: this.#origin,
      path: GRAPHQL_PATH,
      bodies,
      connectionsMax: CONNECTIONS_MAX,
      loop: { inFlight, durationMs, countMax: Infinity, pauseMs },
    });
  }
}

async function openAccounts(server: VirementServer): Promise<void> {
  const [first = '', ...others] = accountsOfA;
  const organizationA = await server.openAccount(first);
  for (const iban of others) await server.openAccount(iban, organizationA);
  await server.openAccount(accountOfB);
}

/** Measures B's bulks during A's load. */
async function measureDuring(load: Load | undefined, a: Company, b: Company): Promise<object> {
  const loadOfA = load && a.send(load, durationMs + LEAD_MS);
  await sleep(LEAD_MS);
  const { latenciesMs, answers } = await b.send(LOAD_OF_B, durationMs);
  const resultOfA = await loadOfA;
  await sleep(SETTLE_MS);
  const answered = latenciesMs.length;
  const busy = answers.ACCOUNT_BUSY ?? 0;
  return {
    'B p50, ms': roundToTenth(percentile(latenciesMs, 0.5)),
    'B p99, ms': roundToTenth(percentile(latenciesMs, 0.99)),
    'B max, ms': roundToTenth(percentile(latenciesMs, 1)),
    'B bulks': answered,
    'B busy': busy,
    'B otherwise failed': answered - busy - (answers[PERFORMED] ?? 0),
    'A answers': JSON.stringify(resultOfA?.answers ?? {}),
    'A p50, ms': resultOfA ? roundToTenth(percentile(resultOfA.latenciesMs, 0.5)) : '',
  };
}

async function measureAlone(load: Load, a: Company): Promise<object> {
  await a.send(load, WARM_UP_MS);
  const { answers, elapsedMs } = await a.send(load, durationMs);
  await sleep(SETTLE_MS);
  return { 'bulks per second': roundToTenth(((answers[PERFORMED] ?? 0) / elapsedMs) * 1_000) };
}

/** @throws Error for an unknown load in --loads */
function chosenLoads(): readonly string[] {
  const names = options.loads.split(',');
  const unknown = names.filter((name) => !(name in LOADS));
  if (unknown.length === 0) return names;
  throw new Error(
    `--loads has ${unknown.join(', ')}: choose from ${Object.keys(LOADS).join(', ')}`,
  );
}

async function measureFairness(): Promise<void> {
  const database = parseLedgerDatabase(options.database);
  const loads = chosenLoads();
  const { url } = await createLedger(database, 'fairness');
  const server = await VirementServer.start(url, {
    hasAuthentication: false,
    nodeOptions: options['node-option'],
    script: resolve(import.meta.dirname, options.server),
  });
  await openAccounts(server);
  const a = new Company(server.origin);
  const b = new Company(server.origin);
  await b.send({ ...LOAD_OF_B, pauseMs: A_PAUSE_MS }, WARM_UP_MS);
  const table: Record<string, object> = {};
  if (options.alone) {
    for (const [name, load] of Object.entries(LOADS_ALONE)) {
      table[name] = await measureAlone(load, a);
    }
  } else {
    for (const name of loads) table[name] = await measureDuring(LOADS[name], a, b);
  }
  console.log(machineLine(describeMachine()));
  console.table(table);
  const resident = await server.resident();
  console.log(`${database}, server RSS peak ${Math.round(resident?.peak ?? 0)} MB`);
}

await runProgram(MINUTES_MAX, measureFairness);
