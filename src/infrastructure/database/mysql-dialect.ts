/**
 * MySQL 8.4 and MariaDB. Transactions run at READ COMMITTED: balances are read under their row's
 * lock, and nothing is ever decided on what was read without it, so that REPEATABLE READ's snapshot
 * would only add gap locks and stale reads.
 */
import { DeadlockException, IsolationLevel, LockWaitTimeoutException } from '@mikro-orm/core';
import { MariaDbDriver } from '@mikro-orm/mariadb';
import { MySqlDriver } from '@mikro-orm/mysql';
import { type AbstractSqlDriver, type EntityManager, MikroORM } from '@mikro-orm/sql';
import { CompiledQuery, type DatabaseConnection } from 'kysely';
import { escape as quoted } from 'mysql2';
import { ExplainedError } from '../observability/explained-error.js';
import type { AppendTable, ColumnValue } from './append-rows.js';
import type { Database, DatabaseSettings } from './dialect.js';
import { ormOptions } from './orm-options.js';

/** One is judged while the other is written: more only make smaller groups. */
const GROUPS_MAX = 2;

/** Connections that units of work leave for reads. */
const READ_CONNECTIONS = 2;

/** MariaDB 11.6 and later: the row changed since this transaction's snapshot. */
const ER_CHECKREAD = 1020;

export async function openMySql(settings: DatabaseSettings): Promise<Database> {
  const { databaseUrl, databasePoolMax, lockTimeoutMs } = settings;
  const url = new URL(databaseUrl);
  const driver = url.protocol === 'mariadb:' ? MariaDbDriver : MySqlDriver;
  url.protocol = 'mysql:';
  const orm = await MikroORM.init<AbstractSqlDriver>({
    ...ormOptions('mysql'),
    driver,
    clientUrl: url.href,
    charset: 'utf8mb4',
    collate: 'utf8mb4_bin',
    pool: { max: databasePoolMax },
    ensureDatabase: false,
    onCreateConnection: (connection) =>
      prepareSession(connection as DatabaseConnection, lockTimeoutMs),
  });
  await requireAnswer(orm, url);
  return {
    orm,
    groupsMax: GROUPS_MAX,
    lockWaitersMax: databasePoolMax - GROUPS_MAX - READ_CONNECTIONS,
    migratesAtStart: false,
    snapshotIsolation: { isolationLevel: IsolationLevel.REPEATABLE_READ },
    appendRows,
    isContention: (error) =>
      error instanceof DeadlockException ||
      error instanceof LockWaitTimeoutException ||
      errorNumberOf(error) === ER_CHECKREAD,
    close: () => orm.close(true),
  };
}

/**
 * What a session takes for granted, whatever the server's own mode: MikroORM escapes values with
 * backslashes, so NO_BACKSLASH_ESCAPES must be off, or a value could become SQL; and a value that does
 * not fit is an error, never cut.
 */
const SQL_MODE = [
  'STRICT_ALL_TABLES',
  'ONLY_FULL_GROUP_BY',
  'ERROR_FOR_DIVISION_BY_ZERO',
  'NO_ENGINE_SUBSTITUTION',
].join(',');

/** innodb_lock_wait_timeout counts in whole seconds, at least one: LOCK_TIMEOUT_MS is rounded up. */
async function prepareSession(
  connection: DatabaseConnection,
  lockTimeoutMs: number,
): Promise<void> {
  const seconds = Math.ceil(lockTimeoutMs / 1_000);
  for (const statement of [
    `set session sql_mode = '${SQL_MODE}'`,
    'set session transaction isolation level read committed',
    `set session innodb_lock_wait_timeout = ${seconds}`,
  ]) {
    await connection.executeQuery(CompiledQuery.raw(statement));
  }
}

/** @throws ExplainedError where the server does not answer, refuses us, or has no such database */
async function requireAnswer(orm: MikroORM, { host, pathname }: URL): Promise<void> {
  try {
    await orm.em.execute('select 1');
  } catch (error) {
    await orm.close(true);
    const reason = error instanceof Error ? error.message : String(error);
    throw new ExplainedError(`No database ${pathname.slice(1)} at ${host}: ${reason}`, {
      cause: error,
    });
  }
}

/**
 * Rows in one INSERT: some 130 KB of SQL, 1.3 MB at the very most, far below max_allowed_packet. So few
 * that while the database works on one statement the next is written; ten times more are no faster.
 */
const INSERT_ROWS_MAX = 250;

async function appendRows<Row>(
  em: EntityManager,
  table: AppendTable<Row>,
  rows: Iterable<Row>,
): Promise<void> {
  const columns = table.columns.map((column) => `\`${column}\``).join(', ');
  const insert = `insert into \`${table.name}\` (${columns}) values `;
  let underWay: Promise<unknown> | undefined;
  for (const tuples of inGroupsOf(INSERT_ROWS_MAX, rows, (row) => tupleOf(table, row))) {
    await underWay;
    underWay = em
      .getConnection()
      .execute(insert + tuples.join(', '), [], 'run', em.getTransactionContext());
    // It is awaited after the next statement has been written: until then nobody listens.
    underWay.catch(() => {});
  }
  await underWay;
}

function* inGroupsOf<Row>(
  size: number,
  rows: Iterable<Row>,
  write: (row: Row) => string,
): Iterable<string[]> {
  let group: string[] = [];
  for (const row of rows) {
    group.push(write(row));
    if (group.length < size) continue;
    yield group;
    group = [];
  }
  if (group.length > 0) yield group;
}

function tupleOf<Row>(table: AppendTable<Row>, row: Row): string {
  return `(${table.valuesOf(row).map(literal).join(', ')})`;
}

/** A value in SQL. */
function literal(value: ColumnValue): string {
  if (value === null) return 'null';
  if (typeof value === 'string') return quoted(value);
  if (value instanceof Uint8Array) return `x'${Buffer.from(value).toString('hex')}'`;
  if (value instanceof Date) return `'${value.toISOString().slice(0, -1).replace('T', ' ')}'`;
  return String(value);
}

function errorNumberOf(error: unknown): unknown {
  return error instanceof Error && 'errno' in error ? error.errno : undefined;
}
