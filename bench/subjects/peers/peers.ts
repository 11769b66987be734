/** The peers, as their clients speak to them. Each runs in a process of its own, and is Virement's equal in durability. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ACCOUNTS, BIC, OPENING_BALANCE } from '../../harness/bulk-requests.ts';
import {
  type BenchDatabase,
  createMariaDb,
  createPostgres,
  mysqlUrl,
  onPostgres,
} from '../../harness/databases.ts';
import type { LoadJob } from '../../harness/load-client.ts';
import { PACKAGES } from '../../harness/paths.ts';
import { ServerProcess } from '../../harness/server-process.ts';
import type { SubjectId, Work } from '../subject.ts';
import { bulkJob, prepareLedger, verifyLedger } from '../virement/server.ts';

export const PEER_IDS = [
  'postgraphile',
  'yoga-prisma',
  'express-typeorm',
] as const satisfies readonly SubjectId[];

export type PeerId = (typeof PEER_IDS)[number];

export interface Peer {
  /** Makes the database, its tables and the bench's accounts. */
  prepare(): Promise<BenchDatabase>;
  start(databaseUrl: string): Promise<ServerProcess>;
  job(origin: string, work: Work): LoadJob;
  /** @throws Error where what it left is not a right ledger */
  verify(databaseUrl: string): Promise<void>;
}

const serverOf = (id: PeerId) => join(import.meta.dirname, id, 'server.ts');

const startServer = (id: PeerId) => (databaseUrl: string) =>
  ServerProcess.start(serverOf(id), {
    env: { DATABASE_URL: mysqlUrl(databaseUrl), GRAPHILE_ENV: 'production' },
  });

/** A database with our own tables, so that indexes cost every subject on MariaDB the same. */
const prepareOnMariaDb = (id: PeerId) => async () => {
  const database = await createMariaDb(id);
  await prepareLedger(database.url);
  return database;
};

const PERFORM_BY_FUNCTION = `
  mutation ($input: PerformBulkTransferInput!) {
    performBulkTransfer(input: $input) {
      result { rowId transferCount totalAmountMinor balanceAfterMinor }
    }
  }`;

async function preparePostgres(): Promise<BenchDatabase> {
  const database = await createPostgres('postgraphile');
  const schema = await readFile(join(import.meta.dirname, 'postgraphile/schema.sql'), 'utf8');
  await onPostgres(database.url, async (client) => {
    await client.query(schema);
    await client.query(
      `with opened as (
        insert into account (id, organization_id, organization_name, iban, bic, currency, balance_minor, sequence)
        select new_id(), new_id(), 'Company ' || iban, iban, $2, 'EUR', $3, 1 from unnest($1::text[]) iban
        returning *
      )
      insert into ledger_entry (id, account_id, sequence, kind, currency, amount_minor, balance_after_minor, description, created_at)
      select new_id(), id, 1, 'INCOMING_TRANSFER', currency, balance_minor, balance_minor, 'Opening', created_at from opened`,
      [ACCOUNTS, BIC, OPENING_BALANCE.replace('.', '')],
    );
  });
  return database;
}

/** What verify counts on MariaDB, as far as this peer's function could break it. */
const POSTGRES_VIOLATIONS = `
  select 'account' as violated, a.id from account a
  left join (
    select account_id, count(*) as entries, sum(amount_minor) as total
    from ledger_entry group by account_id
  ) e on e.account_id = a.id
  where e.total is distinct from a.balance_minor or e.entries is distinct from a.sequence
  union all
  select 'bulk', b.id from bulk_transfer b
  left join (
    select bulk_transfer_id, count(*) as transfers, sum(amount_minor) as total
    from transfer group by bulk_transfer_id
  ) t on t.bulk_transfer_id = b.id
  where t.transfers is distinct from b.transfer_count
    or t.total is distinct from b.total_amount_minor
  union all
  select 'outbox', b.id from bulk_transfer b
  left join outbox_message m on m.account_id = b.account_id and m.sequence = b.sequence
  where m.id is null
  limit 20`;

async function verifyPostgres(databaseUrl: string): Promise<void> {
  const { rows } = await onPostgres(databaseUrl, (client) => client.query(POSTGRES_VIOLATIONS));
  if (rows.length > 0) throw new Error(`PostGraphile's ledger is wrong: ${JSON.stringify(rows)}`);
}

export const PEERS: Readonly<Record<PeerId, Peer>> = {
  postgraphile: {
    prepare: preparePostgres,
    start: startServer('postgraphile'),
    job: (origin, work) => ({
      ...bulkJob(origin, work),
      bodies: work.orders.map((input) =>
        JSON.stringify({ query: PERFORM_BY_FUNCTION, variables: { input } }),
      ),
    }),
    verify: verifyPostgres,
  },
  'yoga-prisma': {
    prepare: prepareOnMariaDb('yoga-prisma'),
    start: async (databaseUrl) => {
      await generatePrismaClient();
      return startServer('yoga-prisma')(databaseUrl);
    },
    job: bulkJob,
    verify: verifyLedger,
  },
  'express-typeorm': {
    prepare: prepareOnMariaDb('express-typeorm'),
    start: startServer('express-typeorm'),
    job: (origin, work) => ({
      ...bulkJob(origin, work),
      path: '/bulk-transfers',
      bodies: work.orders.map((order) => JSON.stringify(order)),
    }),
    verify: verifyLedger,
  },
};

/**
 * Writes Prisma's client from its schema. It needs no engine, but asks for one all the same, and would
 * download it: the variable names a program that is there, and is never run.
 */
async function generatePrismaClient(): Promise<void> {
  const prisma = join(PACKAGES, 'prisma/build/index.js');
  const schema = join(import.meta.dirname, 'yoga-prisma/schema.prisma');
  await promisify(execFile)(process.execPath, [prisma, 'generate', '--schema', schema], {
    env: {
      ...process.env,
      CHECKPOINT_DISABLE: '1',
      PRISMA_SCHEMA_ENGINE_BINARY: process.execPath,
    },
  });
}
