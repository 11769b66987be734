/**
 * Measures what one company's load costs another. B performs bulks of one transfer, one after the other, while A
 * is silent, and while A does its worst in several ways. The server and both companies are processes of
 * their own on one machine; run it on a quiet one.
 *
 *   npm run bench:fairness [-- --database sqlite|mariadb] [--seconds 20] [--server ../dist/main.js]
 *     [--loads silent,large,small,reads] [--alone]
 *
 * With --alone it measures instead how much A gets done where nobody else is there, in bulks of 1, 1,000
 * and 10,000 transfers. With --server another build is measured, for comparison.
 */
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { ACCOUNTS, BIC, bulkOrder, OPENING_BALANCE } from './harness/bulk-requests.ts';
import { cleanUp } from './harness/cleanup.ts';
import { type BenchDatabase, createMariaDb, createSqliteFile } from './harness/databases.ts';
import type { CompanyJob, CompanyRun } from './harness/fairness-client.ts';
import { ServerProcess } from './harness/server-process.ts';
import { percentile } from './harness/statistics.ts';
import { Worker } from './harness/worker-process.ts';
import { runCommand } from './subjects/virement/server.ts';

/** A client of B that is not in a hurry. */
const PAUSE_MS = 20;
/** A is at its worst before B begins. */
const LEAD_MS = 1_000;
const SETTLE_MS = 1_000;
const WARM_UP_MS = 1_500;
const ACCOUNTS_OF_A = 4;

const { values } = parseArgs({
  options: {
    database: { type: 'string', default: 'sqlite' },
    seconds: { type: 'string', default: '20' },
    server: { type: 'string', default: '../dist/main.js' },
    'node-option': { type: 'string', multiple: true, default: [] },
    loads: { type: 'string', default: 'silent,large,small,reads' },
    alone: { type: 'boolean', default: false },
  },
});
const durationMs = Number(values.seconds) * 1_000;

const PERFORM = `mutation ($input: PerformBulkTransferInput!) {
  performBulkTransfer(input: $input) { __typename ... on UserError { code } }
}`;

const OPEN = `mutation ($input: OpenAccountInput!) {
  openAccount(input: $input) {
    ... on AccountOpened { account { organizationId } }
    ... on UserError { message }
  }
}`;

const READ = `query ($iban: String!) {
  account(iban: $iban) {
    __typename transfers(first: 100) { nodes { id amount { amount } counterpartyName } }
  }
}`;

const accountsOfA = ACCOUNTS.slice(0, ACCOUNTS_OF_A);
const [accountOfB = ''] = ACCOUNTS.slice(ACCOUNTS_OF_A);

const performing = (iban: string, transfers: number) =>
  JSON.stringify({ query: PERFORM, variables: { input: bulkOrder(iban, transfers) } });

/** The load of a company: its request bodies, and the number of requests in flight. */
interface Load {
  readonly bodies: readonly string[];
  readonly inFlight: number;
}

const LOADS: Readonly<Record<string, Load | undefined>> = {
  silent: undefined,
  large: { bodies: accountsOfA.map((iban) => performing(iban, 9_500)), inFlight: 32 },
  small: { bodies: accountsOfA.map((iban) => performing(iban, 1)), inFlight: 1_000 },
  reads: {
    bodies: accountsOfA.map((iban) => JSON.stringify({ query: READ, variables: { iban } })),
    inFlight: 500,
  },
};

const ALONE: Readonly<Record<string, Load>> = {
  '1 transfer': { bodies: accountsOfA.map((iban) => performing(iban, 1)), inFlight: 64 },
  '1,000 transfers': { bodies: accountsOfA.map((iban) => performing(iban, 1_000)), inFlight: 8 },
  '10,000 transfers': { bodies: accountsOfA.map((iban) => performing(iban, 10_000)), inFlight: 4 },
};

async function createDatabase(): Promise<BenchDatabase> {
  if (values.database === 'sqlite') return createSqliteFile();
  const database = await createMariaDb('fairness');
  await runCommand('migrate', database.url);
  return database;
}

async function openAccount(origin: string, iban: string, organizationId?: string): Promise<string> {
  const variables = {
    input: {
      organizationId,
      organizationName: 'Company',
      iban,
      bic: BIC,
      openingBalance: OPENING_BALANCE,
    },
  };
  const response = await fetch(`${origin}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query: OPEN, variables }),
  });
  const answer = await response.text();
  const { account } = JSON.parse(answer).data?.openAccount ?? {};
  if (!account) throw new Error(answer);
  return account.organizationId;
}

async function openAccounts(origin: string): Promise<void> {
  const [first = '', ...others] = accountsOfA;
  const organizationA = await openAccount(origin, first);
  for (const iban of others) await openAccount(origin, iban, organizationA);
  await openAccount(origin, accountOfB);
}

type Company = Worker<CompanyJob, CompanyRun>;

const companyOf = (): Company => new Worker('fairness-client.ts');

/** B's bulks, one after the other, beside A's load. */
async function measureBeside(origin: string, load: Load | undefined, a: Company, b: Company) {
  const small = { origin, bodies: [performing(accountOfB, 1)], inFlight: 1, pauseMs: PAUSE_MS };
  const flood = load && a.run({ origin, ...load, durationMs: durationMs + LEAD_MS, pauseMs: 0 });
  await sleep(LEAD_MS);
  const { latenciesMs, answers } = await b.run({ ...small, durationMs });
  const answered = latenciesMs.length;
  const ofA = await flood;
  await sleep(SETTLE_MS);
  return {
    'B p50, ms': rounded(percentile(latenciesMs, 0.5)),
    'B p99, ms': rounded(percentile(latenciesMs, 0.99)),
    'B max, ms': rounded(percentile(latenciesMs, 1)),
    'B bulks': answered,
    'B busy': answers.ACCOUNT_BUSY ?? 0,
    'B otherwise failed': answered - (answers.ACCOUNT_BUSY ?? 0) - (answers[PERFORMED] ?? 0),
    'A answers': JSON.stringify(ofA?.answers ?? {}),
    'A p50, ms': ofA ? rounded(percentile(ofA.latenciesMs, 0.5)) : '',
  };
}

async function measureAlone(origin: string, load: Load, a: Company) {
  const job = { origin, ...load, pauseMs: 0 };
  await a.run({ ...job, durationMs: WARM_UP_MS });
  const { answers, elapsedMs } = await a.run({ ...job, durationMs });
  await sleep(SETTLE_MS);
  return { 'bulks per second': rounded(((answers[PERFORMED] ?? 0) / elapsedMs) * 1_000) };
}

const PERFORMED = 'BulkTransferPerformed';

const rounded = (value: number) => Math.round(value * 10) / 10;

async function measure(): Promise<void> {
  const { url } = await createDatabase();
  const server = await ServerProcess.start(resolve(import.meta.dirname, values.server), {
    nodeOptions: values['node-option'],
    env: { DATABASE_URL: url, SEED_DEMO: 'false', AUTH: 'off', NODE_ENV: 'development' },
  });
  const { origin } = server;
  await openAccounts(origin);
  const a = companyOf();
  const b = companyOf();
  const bodies = [performing(accountOfB, 1)];
  await b.run({ origin, bodies, inFlight: 1, durationMs: WARM_UP_MS, pauseMs: 0 });
  const table: Record<string, object> = {};
  if (values.alone) {
    for (const [name, load] of Object.entries(ALONE)) {
      table[name] = await measureAlone(origin, load, a);
    }
  } else {
    for (const name of values.loads.split(',')) {
      table[name] = await measureBeside(origin, LOADS[name], a, b);
    }
  }
  console.table(table);
  const resident = await server.resident();
  console.log(`${values.database}, server RSS peak ${Math.round(resident?.peak ?? 0)} MB`);
}

try {
  await measure();
} finally {
  await cleanUp();
}
