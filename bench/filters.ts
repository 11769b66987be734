/**
 * Measures filters on one account with many transfers: each kind of condition and two combined, common and rare, on the
 * first page and on pages far inside. It fills the ledger at full speed, and reports the rate, the time until everything
 * is indexed, and the bytes of a transfer on disk.
 *
 *   npm run bench:filters [-- --database sqlite|mariadb] [--transfers 1000000] [--rounds 5]
 *     [--script PATH of dist/main.js of another build]
 */
import { globSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { composeIBAN } from 'ibantools';
import type { RowDataPacket } from 'mysql2/promise';
import { LARGE_ACCOUNT } from './harness/bulk-requests.ts';
import { onMariaDb } from './harness/databases.ts';
import { describeMachine, machineLine } from './harness/machine.ts';
import { runProgram } from './harness/program.ts';
import { percentile } from './harness/statistics.ts';
import {
  createLedgerWithAccounts,
  parseLedgerDatabase,
  verifyLedger,
} from './subjects/virement/ledger.ts';
import { PERFORM, PERFORMED } from './subjects/virement/requests.ts';
import { VirementServer } from './subjects/virement/server.ts';

const MINUTES_MAX = 120;
const BULK_TRANSFERS = 10_000;
const BULKS_AT_ONCE = 2;
const COUNTERPARTIES = 50_000;

/** The pages that are walked before a page far inside. */
const PAGES_INSIDE = 40;

const INDEXED_MAX_MS = 120_000;
const INDEXED_POLL_MS = 20;

const { values: options } = parseArgs({
  options: {
    database: { type: 'string', default: 'sqlite' },
    transfers: { type: 'string', default: '1000000' },
    rounds: { type: 'string', default: '5' },
    script: { type: 'string' },
  },
});
const transferCount = Number(options.transfers);
const rounds = Number(options.rounds);
const database = parseLedgerDatabase(options.database);

const PAGE = `query ($iban: String!, $filter: TransferFilter, $after: Cursor) {
  account(iban: $iban) { transfers(first: 50, after: $after, filter: $filter) {
    nodes { counterpartyName counterpartyIban endToEndId amount { amount } } pageInfo { hasNextPage endCursor } } } }`;

interface Row {
  readonly counterpartyName: string;
  readonly counterpartyIban: string;
  readonly endToEndId: string | null;
  readonly amount: { readonly amount: string };
}

interface TransferPage {
  readonly nodes: readonly Row[];
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null };
}

async function readPage(
  server: VirementServer,
  filter: object,
  after: string | null,
): Promise<TransferPage> {
  const answer = await server.ask(PAGE, { iban: LARGE_ACCOUNT, filter, after });
  const { data, errors } = JSON.parse(answer);
  if (errors) throw new Error(answer);
  return data.account.transfers;
}

const NAMES = ['Zoë Müller', 'Ørsted A/S', 'Αθηνά Παππά', 'Bip Bip', 'Jean Dupont'];

/** Returns a bulk. Its counterparties occur every 50,000 rows, its amounts, 1.00 to 9.99, every 900. @param first number of the first row */
function bulkFrom(first: number): object {
  const creditTransfers = Array.from({ length: BULK_TRANSFERS }, (_, index) => {
    const counterparty = (first + index) % COUNTERPARTIES;
    const bban = `TEST${String(counterparty).padStart(10, '0')}`;
    return {
      amount: (1 + ((first + index) % 900) / 100).toFixed(2),
      counterpartyName: `${NAMES[counterparty % NAMES.length]} ${counterparty}`,
      counterpartyIban: composeIBAN({ countryCode: 'NL', bban }),
      description: `Invoice ${first + index}`,
      endToEndId: `E-${first + index}`,
    };
  });
  return { organizationIban: LARGE_ACCOUNT, creditTransfers };
}

async function fillLedger(server: VirementServer): Promise<void> {
  let first = 0;
  const performNext = async () => {
    while (first < transferCount) {
      const from = first;
      first += BULK_TRANSFERS;
      const input = { ...bulkFrom(from), idempotencyKey: String(from) };
      let answer = await server.ask(PERFORM, { input });
      // Bulks wait while the search tables of the account are far behind.
      while (answer.includes('AccountBusy')) answer = await server.ask(PERFORM, { input });
      if (!answer.includes(PERFORMED)) throw new Error(answer);
    }
  };
  await Promise.all(Array.from({ length: BULKS_AT_ONCE }, performNext));
}

/** The conditions of filters, from rows of the account. */
function filtersOf({ nodes: [row] }: TransferPage): Readonly<Record<string, object>> {
  if (!row) throw new Error('The account has no transfers');
  const { counterpartyIban, endToEndId, counterpartyName } = row;
  const { amount } = row.amount;
  return {
    IBAN: { counterpartyIban },
    'IBAN, none': { counterpartyIban: LARGE_ACCOUNT },
    'end-to-end id': { endToEndId },
    'name, common': { counterpartyName: counterpartyName.slice(0, 3) },
    'name, rare': { counterpartyName },
    'name, none': { counterpartyName: 'zzz' },
    'amount, common': { minAmount: '0.01' },
    'amount, rare': { minAmount: amount, maxAmount: amount },
    'amount, none': { minAmount: '999999.99' },
    'IBAN and amount': { counterpartyIban, minAmount: '0.01' },
    'IBAN and amount, none': { counterpartyIban, minAmount: '999999.99' },
    'name and amount': { counterpartyName: counterpartyName.slice(0, 3), minAmount: amount },
    'name and amount, none': { counterpartyName: counterpartyName.slice(0, 3), maxAmount: '0.01' },
  };
}

async function measurePage(
  server: VirementServer,
  filter: object,
  after: string | null,
): Promise<string> {
  const durationsMs: number[] = [];
  for (let round = 0; round < rounds + 1; round += 1) {
    const startedAt = performance.now();
    await readPage(server, filter, after);
    if (round > 0) durationsMs.push(performance.now() - startedAt);
  }
  return `${percentile(durationsMs, 0.5).toFixed(1)}, ${Math.max(...durationsMs).toFixed(1)}`;
}

async function cursorInside(server: VirementServer, filter: object): Promise<string | null> {
  let cursor: string | null = null;
  for (let pages = 0; pages < PAGES_INSIDE; pages += 1) {
    const { pageInfo } = await readPage(server, filter, cursor);
    if (!pageInfo.hasNextPage) return cursor;
    cursor = pageInfo.endCursor;
  }
  return cursor;
}

/** Returns the bytes of a transfer on disk, with indexes and search tables. */
async function bytesOfTransfer(databaseUrl: string): Promise<number> {
  if (database === 'sqlite') {
    const files = globSync(`${databaseUrl.slice('sqlite:'.length)}{,-search}`);
    return files.reduce((sum, file) => sum + statSync(file).size, 0) / transferCount;
  }
  const [[row]] = await onMariaDb(async (connection) => {
    await connection.query('analyze table transfer');
    return connection.query<RowDataPacket[]>(
      `select sum(data_length + index_length) as bytes from information_schema.tables
        where table_schema = database() and (table_name = 'transfer' or table_name like 'search%')`,
    );
  }, databaseUrl);
  return Number(row?.bytes) / transferCount;
}

await runProgram(MINUTES_MAX, async () => {
  console.log(machineLine(describeMachine()));
  const ledger = await createLedgerWithAccounts(database, 'filters');
  const { script } = options;
  const server = await VirementServer.start(ledger.url, script === undefined ? {} : { script });
  const startedAt = performance.now();
  await fillLedger(server);
  const filledMs = performance.now() - startedAt;
  console.log(`${Math.round(transferCount / (filledMs / 1_000))} transfers/s`);
  // The first answer waits until all but the last transfers are indexed.
  const filters = filtersOf(await readPage(server, {}, null));
  const deadline = Date.now() + INDEXED_MAX_MS;
  while ((await server.send(PAGE, { iban: LARGE_ACCOUNT, filter: filters.IBAN })).status !== 200) {
    if (Date.now() > deadline) throw new Error('The transfers are not indexed');
    await sleep(INDEXED_POLL_MS);
  }
  console.log(`indexed after ${Math.round(performance.now() - startedAt - filledMs)} ms more`);
  console.log('\n| filter | first page, ms: median, longest | page far inside |\n|---|---|---|');
  for (const [name, filter] of Object.entries(filters)) {
    const first = await measurePage(server, filter, null);
    const inside = await measurePage(server, filter, await cursorInside(server, filter));
    console.log(`| ${name} | ${first} | ${inside} |`);
  }
  await server.stop();
  console.log(`\n${Math.round(await bytesOfTransfer(ledger.url))} bytes a transfer on disk`);
  if (script === undefined) await verifyLedger(ledger.url);
  await ledger.drop();
});
