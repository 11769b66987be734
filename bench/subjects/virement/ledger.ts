/** Creates, fills and recounts ledgers with the tables of the server under test. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { RowDataPacket } from 'mysql2/promise';
import { ACCOUNTS } from '../../harness/bulk-requests.ts';
import {
  type BenchDatabase,
  createMariaDb,
  createSqliteFile,
  onMariaDb,
} from '../../harness/databases.ts';
import { DIST } from '../../harness/paths.ts';
import { addOrganization } from './access-token.ts';
import { VirementServer } from './server.ts';

const OUTPUT_BYTES_MAX = 16 * 1_024 * 1_024;

const LEDGER_DATABASES = ['sqlite', 'mariadb'] as const;

export type LedgerDatabase = (typeof LEDGER_DATABASES)[number];

/** Reads the option --database of a program. @throws Error for an unknown database */
export function parseLedgerDatabase(option: string): LedgerDatabase {
  const database = LEDGER_DATABASES.find((name) => name === option);
  if (database) return database;
  throw new Error(`--database is ${option}: set it to ${LEDGER_DATABASES.join(' or ')}`);
}

/** Creates a database with the tables of the ledger. @param name tells the databases of one program apart */
export async function createLedger(kind: LedgerDatabase, name: string): Promise<BenchDatabase> {
  const database = kind === 'mariadb' ? await createMariaDb(name) : await createSqliteFile();
  await runCommand('migrate', database.url);
  return database;
}

/** Creates a ledger with every account of the bench. The accounts are opened through the API. */
export async function createLedgerWithAccounts(
  kind: LedgerDatabase,
  name: string,
): Promise<BenchDatabase> {
  const database = await createLedger(kind, name);
  const server = await VirementServer.start(database.url);
  try {
    const [first = '', ...others] = ACCOUNTS;
    const organizationId = await server.openAccount(first);
    addOrganization(organizationId);
    await Promise.all(others.map((iban) => server.openAccount(iban, organizationId)));
    await server.untilPublished();
  } finally {
    await server.stop();
  }
  return database;
}

/** Recounts every invariant of a ledger. @throws Error that lists the violations */
export function verifyLedger(databaseUrl: string): Promise<void> {
  return runCommand('verify', databaseUrl);
}

/** Counts the ledger entries that are not in the search tables. */
const ENTRIES_BEHIND = `select coalesce(sum(account.sequence - coalesce(watermark.sequence, 0)), 0) as behind
  from account left join search_watermark watermark on watermark.account_short_id = account.short_id`;

/** Returns the number of ledger entries that are not in the search tables. */
export async function entriesBehind(databaseUrl: string): Promise<number> {
  if (databaseUrl.startsWith('sqlite:')) {
    const file = databaseUrl.slice('sqlite:'.length);
    const ledger = new DatabaseSync(file, { readOnly: true });
    try {
      ledger.exec(`attach '${file}-search' as search`);
      return Number(ledger.prepare(ENTRIES_BEHIND).get()?.behind);
    } finally {
      ledger.close();
    }
  }
  const [[row]] = await onMariaDb(
    (connection) => connection.query<RowDataPacket[]>(ENTRIES_BEHIND),
    databaseUrl,
  );
  return Number(row?.behind);
}

const INDEXED_MAX_MS = 120_000;
const INDEXED_POLL_MS = 50;

/** Waits until all transfers are in the search tables. */
export async function untilIndexed(databaseUrl: string): Promise<void> {
  const deadline = Date.now() + INDEXED_MAX_MS;
  while ((await entriesBehind(databaseUrl)) > 0) {
    if (Date.now() > deadline) {
      throw new Error(`Transfers are not indexed after ${INDEXED_MAX_MS / 1_000} seconds`);
    }
    await sleep(INDEXED_POLL_MS);
  }
}

/** Runs a command of the server to its end. @throws Error with its output if it fails */
async function runCommand(name: 'migrate' | 'verify', databaseUrl: string): Promise<void> {
  const env = { PATH: process.env.PATH, TZ: 'UTC', DATABASE_URL: databaseUrl };
  try {
    await promisify(execFile)(process.execPath, [join(DIST, 'commands', `${name}.js`)], {
      env,
      maxBuffer: OUTPUT_BYTES_MAX,
    });
  } catch (error) {
    const output = error instanceof Error && 'stdout' in error ? error.stdout : '';
    throw new Error(`The command ${name} failed on ${databaseUrl}:\n${output}`, { cause: error });
  }
}
