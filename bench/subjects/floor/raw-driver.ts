/**
 * The process of a floor: the cost of the database and its driver, without a server, GraphQL or an ORM.
 * It checks funds only. Its ledger has the rows of the server under test, in the tables that the job names.
 *
 * One bulk is one transaction of seven statements or more: begin, the locked read of the account, one
 * INSERT each for bulk, entry and outbox message, one for each 1,000 transfers, one UPDATE, commit.
 */
import { createPool, type Pool, type PoolConnection, type RowDataPacket } from 'mysql2/promise';
import type { BulkRequest } from '../../harness/bulk-requests.ts';
import { mysqlUrl } from '../../harness/databases.ts';
import { type LoadLoop, type LoopResult, runLoadLoop } from '../../harness/load-loop.ts';
import { answerJobs } from '../../harness/worker-process.ts';
import { bulkDescription } from '../bulk-rules.ts';
import { newId, type PostedBulk, type Tables, type Value } from './tables.ts';
import { TABLES_OF_2026 } from './tables-2026-11.ts';
import { TABLES_OF_TODAY } from './tables-of-today.ts';

/**
 * The way in which values reach the database. query: the driver escapes them into the text of the
 * statement. execute: they are bound to a prepared statement.
 */
export type ValueBinding = 'query' | 'execute';

const TABLES = { today: TABLES_OF_TODAY, '2026-11': TABLES_OF_2026 } as const satisfies Record<
  string,
  Tables
>;

export type TablesName = keyof typeof TABLES;

export interface RawDriverJob {
  readonly tables: TablesName;
  readonly bulks: readonly BulkRequest[];
  readonly form: ValueBinding;
  readonly connections: number;
  readonly loop: LoadLoop;
}

const INSERT_ROWS_MAX = 1_000;

interface LockedAccount {
  readonly id: Buffer;
  readonly balanceMinor: bigint;
  readonly sequence: bigint;
}

const pools = new Map<number, Pool>();

function poolOf(connections: number): Pool {
  const open = pools.get(connections);
  if (open) return open;
  const opened = createPool({
    uri: mysqlUrl(process.env.DATABASE_URL ?? ''),
    connectionLimit: connections,
    timezone: 'Z',
    supportBigNumbers: true,
    bigNumberStrings: true,
    charset: 'utf8mb4_bin',
  });
  opened.on('connection', (connection) => {
    connection.query('set session transaction isolation level read committed');
  });
  pools.set(connections, opened);
  return opened;
}

async function lock(connection: PoolConnection, iban: string): Promise<LockedAccount> {
  const [rows] = await connection.execute<RowDataPacket[]>(
    'select id, balance_minor, sequence from account where iban = ? for update',
    [iban],
  );
  const [row] = rows;
  if (!row) throw new Error(`No account has the IBAN ${iban}`);
  return { id: row.id, balanceMinor: BigInt(row.balance_minor), sequence: BigInt(row.sequence) };
}

async function insertTransfers(
  connection: PoolConnection,
  { transferColumns }: Tables,
  rows: readonly (readonly Value[])[],
  form: ValueBinding,
): Promise<void> {
  const values = `(${transferColumns.map(() => '?').join(',')})`;
  for (let start = 0; start < rows.length; start += INSERT_ROWS_MAX) {
    const part = rows.slice(start, start + INSERT_ROWS_MAX);
    const sql = `insert into transfer (${transferColumns.join(',')}) values ${part.map(() => values).join(',')}`;
    const flat = part.flat();
    await (form === 'query' ? connection.query(sql, flat) : connection.execute(sql, flat));
  }
}

async function post(
  connection: PoolConnection,
  tables: Tables,
  { organizationIban, creditTransfers }: BulkRequest,
  form: ValueBinding,
): Promise<void> {
  const account = await lock(connection, organizationIban);
  const at = new Date();
  const transfers = creditTransfers.map((row) => ({
    ...row,
    amountMinor: BigInt(row.amount.replace('.', '')),
  }));
  const total = transfers.reduce((sum, { amountMinor }) => sum + amountMinor, 0n);
  const balance = account.balanceMinor - total;
  if (balance < 0n) throw new Error('Insufficient funds');
  const sequence = account.sequence + 1n;
  const bulk: PostedBulk = { accountId: account.id, sequence, at };
  const bulkId = tables.bulkId(bulk);
  const count = transfers.length;
  await connection.execute(
    `insert into bulk_transfer (id, account_id, sequence, transfer_count, currency,
      total_amount_minor, balance_after_minor, created_at) values (?,?,?,?,?,?,?,?)`,
    [bulkId, account.id, sequence, count, 'EUR', total, balance, at],
  );
  const rows = transfers.map((row, index) =>
    tables.transferValues(row, index, { ...bulk, bulkId }),
  );
  await insertTransfers(connection, tables, rows, form);
  await connection.execute(
    `insert into ledger_entry (id, account_id, sequence, kind, currency, amount_minor,
      balance_after_minor, bulk_transfer_id, description, created_at) values (?,?,?,?,?,?,?,?,?,?)`,
    [
      newId(),
      account.id,
      sequence,
      'BULK_TRANSFER',
      'EUR',
      -total,
      balance,
      bulkId,
      bulkDescription(count),
      at,
    ],
  );
  await connection.execute(
    `insert into outbox_message (id, type, ${tables.outboxSubject}, sequence, created_at, due_at)
      values (?,?,?,?,?,?)`,
    [newId(), 'bulk-transfer.performed', account.id, sequence, at, at],
  );
  await connection.execute(
    'update account set balance_minor = ?, sequence = ?, updated_at = ? where id = ?',
    [balance, sequence, at, account.id],
  );
}

async function perform(
  pool: Pool,
  tables: Tables,
  bulk: BulkRequest,
  form: ValueBinding,
): Promise<void> {
  const connection = await pool.getConnection();
  try {
    await connection.beginTransaction();
    await post(connection, tables, bulk, form);
    await connection.commit();
  } catch (error) {
    await connection.rollback();
    throw error;
  } finally {
    connection.release();
  }
}

function runJob({ tables, bulks, form, connections, loop }: RawDriverJob): Promise<LoopResult> {
  const pool = poolOf(connections);
  return runLoadLoop(loop, (index) => {
    const bulk = bulks[index % bulks.length];
    if (!bulk) throw new Error('The job has no bulk to perform');
    return perform(pool, TABLES[tables], bulk, form);
  });
}

answerJobs(runJob, async () => {
  for (const pool of pools.values()) await pool.end();
});
