/**
 * MySQL 8.4 and MariaDB. Transactions run at READ COMMITTED: balances are read under their row's
 * lock, and nothing is ever decided on what was read without it, so that REPEATABLE READ's snapshot
 * would only add gap locks and stale reads.
 */
import { setImmediate as turnOfTheLoop } from 'node:timers/promises';
import { DeadlockException, IsolationLevel, LockWaitTimeoutException } from '@mikro-orm/core';
import { MariaDbDriver } from '@mikro-orm/mariadb';
import { MySqlDriver } from '@mikro-orm/mysql';
import { type AbstractSqlDriver, type EntityManager, MikroORM } from '@mikro-orm/sql';
import { CompiledQuery, MysqlDialect, type Transaction } from 'kysely';
import { format } from 'mysql2';
import { ExplainedError } from '../observability/explained-error.js';
import { reasonOf } from '../observability/secrets.js';
import type { AppendBatch, ColumnValue } from './append-rows.js';
import type { Database, DatabaseSettings } from './dialect.js';
import { FairSlots } from './fair-slots.js';
import { MySqlPool, type PrepareSession } from './mysql-pool.js';
import { ormOptions } from './orm-options.js';

/** One is judged while the other is written: more only make smaller groups. */
const GROUPS_MAX = 2;

/** Connections that units of work leave for reads. */
const READ_CONNECTIONS = 2;

/** MariaDB 11.6 and later: the row changed since this transaction's snapshot. */
const ER_CHECKREAD = 1020;

/** Part of LOCK_TIMEOUT_MS that a connection may take to open: whoever waits for it is told in time. */
const CONNECT_TIMEOUT_SHARE = 0.8;
const CONNECT_TIMEOUT_MIN_MS = 1_000;
const CONNECT_TIMEOUT_MAX_MS = 10_000;

export async function openMySql(settings: DatabaseSettings): Promise<Database> {
  const { databaseUrl, databasePoolMax } = settings;
  const url = new URL(databaseUrl);
  const driver = url.protocol === 'mariadb:' ? MariaDbDriver : MySqlDriver;
  const pool = poolOf(url, settings);
  const orm = await MikroORM.init<AbstractSqlDriver>({
    ...ormOptions('mysql'),
    driver,
    dbName: decodeURIComponent(url.pathname.slice(1)),
    charset: 'utf8mb4',
    collate: 'utf8mb4_bin',
    ensureDatabase: false,
    driverOptions: new MysqlDialect({ pool }),
  });
  await requireAnswer(orm, url);
  // What is wrong at start is told by the error that ends it.
  if (settings.onUnavailable) pool.onUnavailable = settings.onUnavailable;
  return {
    orm,
    groupsMax: GROUPS_MAX,
    readSlots: new FairSlots(databasePoolMax - GROUPS_MAX),
    lockWaitersMax: databasePoolMax - GROUPS_MAX - READ_CONNECTIONS,
    migratesAtStart: false,
    snapshotIsolation: { isolationLevel: IsolationLevel.REPEATABLE_READ },
    appendRows,
    isContention: (error) =>
      error instanceof DeadlockException ||
      error instanceof LockWaitTimeoutException ||
      errorNumberOf(error) === ER_CHECKREAD,
    isWritable: () => isWritable(orm),
    close: () => orm.close(true),
  };
}

function poolOf(url: URL, settings: DatabaseSettings): MySqlPool {
  const { lockTimeoutMs, databasePoolMax } = settings;
  const connectTimeout = Math.min(
    Math.max(lockTimeoutMs * CONNECT_TIMEOUT_SHARE, CONNECT_TIMEOUT_MIN_MS),
    CONNECT_TIMEOUT_MAX_MS,
  );
  return new MySqlPool(
    {
      host: decodeURIComponent(url.hostname),
      port: Number(url.port || MYSQL_PORT),
      user: decodeURIComponent(url.username),
      password: decodeURIComponent(url.password),
      database: decodeURIComponent(url.pathname.slice(1)),
      connectionLimit: databasePoolMax,
      connectTimeout,
      // For appended rows. What a client sent is escaped by the driver, or is an IBAN or an id by its shape.
      multipleStatements: true,
      // As MikroORM reads what comes back.
      timezone: 'Z',
      dateStrings: true,
      supportBigNumbers: true,
      jsonStrings: true,
    },
    (query) => prepareSession(query, settings),
  );
}

/** Tells whether the server takes writes. A user with the privilege to write all the same is told that it does not. */
async function isWritable(orm: MikroORM): Promise<boolean> {
  const [row] = await orm.em
    .fork()
    .execute<Record<string, unknown>[]>(
      'select @@global.read_only as readOnly, @@global.innodb_read_only as innodbReadOnly',
    );
  // MariaDB 12 has other words beside OFF.
  return Object.values(row ?? {}).every((value) => WRITABLE.includes(String(value)));
}

const WRITABLE: readonly string[] = ['0', 'OFF'];

const MYSQL_PORT = 3_306;

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
  query: Parameters<PrepareSession>[0],
  { lockTimeoutMs, statementTimeoutMs }: DatabaseSettings,
): Promise<void> {
  const seconds = Math.ceil(lockTimeoutMs / 1_000);
  const [server] = await query('select version() as version');
  const isMariaDb = String(server?.version).includes('MariaDB');
  const statements = [
    `set session sql_mode = '${SQL_MODE}'`,
    'set session transaction isolation level read committed',
    `set session innodb_lock_wait_timeout = ${seconds}`,
    ...(statementTimeoutMs === undefined ? [] : [statementTimeout(statementTimeoutMs, isMariaDb)]),
  ];
  await query(statements.join('; '));
}

/** MariaDB counts in seconds, and for all statements; MySQL in milliseconds, and for reads. */
function statementTimeout(timeoutMs: number, isMariaDb: boolean): string {
  return isMariaDb
    ? `set session max_statement_time = ${timeoutMs / 1_000}`
    : `set session max_execution_time = ${timeoutMs}`;
}

/** @throws ExplainedError where the server does not answer, refuses us, or has no such database */
async function requireAnswer(orm: MikroORM, { host, pathname }: URL): Promise<void> {
  try {
    await orm.em.execute('select 1');
  } catch (error) {
    await orm.close(true);
    throw new ExplainedError(`No database ${pathname.slice(1)} at ${host}: ${reasonOf(error)}`);
  }
}

/**
 * Rows that are sent at once: few at first, so that the database soon has something to do; then some
 * 150 KB of SQL, 2.5 MB at the very most, far below max_allowed_packet. More at a time are no faster.
 */
const PACKET_ROWS_FIRST = 200;
const PACKET_ROWS_MAX = 500;

async function appendRows(em: EntityManager, batches: readonly AppendBatch[]): Promise<void> {
  let underWay: Promise<void> | undefined;
  for (const statements of packetsOf(batches)) {
    await underWay;
    underWay = execute(em, statements);
    // It is awaited after the next have been written: until then nobody listens.
    underWay.catch(() => {});
    // Now they are on their way, and the next are written while the database works on them.
    await turnOfTheLoop();
  }
  await underWay;
}

/**
 * The INSERTs of rows, those of one table after those of another, as many together as are sent at
 * once: a round trip for each table would take longer than most bulks' rows. Each is written when it is
 * asked for.
 */
function* packetsOf(batches: readonly AppendBatch[]): Iterable<string> {
  let rowsMax = PACKET_ROWS_FIRST;
  let rowCount = 0;
  let statements: string[] = [];
  for (const { table, columns, tuples } of batches) {
    const names = columns.map((column) => `\`${column}\``).join(', ');
    const insert = (rows: ColumnValue[][]) =>
      format(`insert into \`${table}\` (${names}) values ?`, [rows], false, 'Z');
    let rows: ColumnValue[][] = [];
    for (const tuple of tuples) {
      rows.push(tuple);
      rowCount += 1;
      if (rowCount < rowsMax) continue;
      yield [...statements, insert(rows)].join('; ');
      rowsMax = Math.min(rowsMax * 2, PACKET_ROWS_MAX);
      rowCount = 0;
      statements = [];
      rows = [];
    }
    if (rows.length > 0) statements.push(insert(rows));
  }
  if (statements.length > 0) yield statements.join('; ');
}

/** Past MikroORM, which would write the values a second time. */
async function execute(em: EntityManager, statements: string): Promise<void> {
  const transaction = em.getTransactionContext<Transaction<unknown>>();
  if (!transaction) throw new Error('Rows are appended in a transaction');
  try {
    await transaction.executeQuery(CompiledQuery.raw(statements));
  } catch (error) {
    throw em
      .getPlatform()
      .getExceptionConverter()
      .convertException(error as Error);
  }
}

function errorNumberOf(error: unknown): unknown {
  return error instanceof Error && 'errno' in error ? error.errno : undefined;
}
