/**
 * The dialect of MySQL 8.4 and MariaDB. Transactions run at READ COMMITTED. Balances are read under the lock of their
 * row, and no decision uses a value that was read without the lock. The snapshot of REPEATABLE READ would only add gap
 * locks and stale reads.
 */
import { createHash } from 'node:crypto';
import { setImmediate as turnOfTheLoop } from 'node:timers/promises';
import { DeadlockException, IsolationLevel, LockWaitTimeoutException } from '@mikro-orm/core';
import { MariaDbDriver } from '@mikro-orm/mariadb';
import { MySqlDriver } from '@mikro-orm/mysql';
import { type AbstractSqlDriver, type EntityManager, MikroORM } from '@mikro-orm/sql';
import { CompiledQuery, MysqlDialect, type Transaction } from 'kysely';
import { format } from 'mysql2';
import { ExplainedError } from '../observability/explained-error.js';
import { reasonOf } from '../observability/secrets.js';
import { sqlSpans } from '../observability/sql-spans.js';
import { SEARCH_COLUMNS, WATERMARK } from '../search/search-tables.js';
import type { AppendBatch, ColumnValue } from './append-rows.js';
import type { Database, DatabaseAccess, DatabaseSettings, DatabaseStatus } from './dialect.js';
import { FairSlots } from './fair-slots.js';
import { MySqlPool } from './mysql-pool.js';
import { MySqlPresence } from './mysql-presence.js';
import { type AskServer, prepareSession, requireCapableServer } from './mysql-session.js';
import { type MySqlAddress, parseMySqlUrl } from './mysql-url.js';
import { ormOptions } from './orm-options.js';
import { writeInTransaction } from './transaction.js';
import { needsOtherServer, unavailabilityOf } from './unavailability.js';
import { writtenTablesOf } from './written-tables.js';

/** One group is checked while the other is written. More groups would only be smaller. */
const GROUPS_MAX = 2;

/** The connection of the indexer, which runs one transaction at a time. */
const INDEXER_CONNECTIONS = 1;

/** Connections that units of work and the indexer leave free for reads, if the connection pool has six or more. */
const READ_CONNECTIONS = 2;

/** The error of MariaDB 11.6 and later for a row that changed since this transaction's snapshot. */
const ER_CHECKREAD = 1020;

/** The part of LOCK_TIMEOUT_MS that a connection may take to open, so that a waiting caller gets the error in time. */
const CONNECT_TIMEOUT_SHARE = 0.8;
const CONNECT_TIMEOUT_MIN_MS = 1_000;
const CONNECT_TIMEOUT_MAX_MS = 10_000;

export async function openMySql(
  settings: DatabaseSettings,
  access: DatabaseAccess,
): Promise<Database> {
  const { databaseUrl, databasePoolMax } = settings;
  const address = parseMySqlUrl(databaseUrl);
  const driver = databaseUrl.startsWith('mariadb:') ? MariaDbDriver : MySqlDriver;
  const pool = poolOf(address, settings);
  const orm = await MikroORM.init<AbstractSqlDriver>({
    ...ormOptions('mysql'),
    ...sqlSpans(databaseUrl.startsWith('mariadb:') ? 'mariadb' : 'mysql'),
    driver,
    dbName: address.database,
    charset: 'utf8mb4',
    collate: 'utf8mb4_bin',
    ensureDatabase: false,
    driverOptions: new MysqlDialect({ pool }),
  });
  await requireServer(orm, pool, settings, access);
  // The error that ends the start already reports what is wrong, so the callback is set only afterwards.
  const presence = new MySqlPresence(address);
  pool.onUnavailable = (reason, error) => {
    if (needsOtherServer(reason)) presence.renew();
    settings.onUnavailable?.(reason, error);
  };
  // The connections that reads and waits for a lock share.
  const shared = Math.max(databasePoolMax - GROUPS_MAX - INDEXER_CONNECTIONS, 1);
  return {
    orm,
    groupsMax: GROUPS_MAX,
    readSlots: new FairSlots(shared),
    lockWaitersMax: Math.max(shared - READ_CONNECTIONS, 1),
    migratesAtStart: false,
    snapshotIsolation: { isolationLevel: IsolationLevel.REPEATABLE_READ },
    whileMigrating: (work) => withMigrationLock(orm, work),
    appendRows: (em, batches) => appendRows(em, batches, pool.server.packetBytesMax),
    writeSearch: (statements) => writeInTransaction(orm, statements),
    deleteSome: ({ name }, condition, rowsMax) =>
      `delete from ${name} where ${condition} limit ${rowsMax}`,
    byIndex: (index) => ({ indexHint: `force index (${index})` }),
    isContention: (error) =>
      error instanceof DeadlockException ||
      error instanceof LockWaitTimeoutException ||
      errorNumberOf(error) === ER_CHECKREAD,
    readStatus: () => readStatus(orm),
    requireUsable: makeCheck(orm, pool, ledgerStatementsOf(orm)),
    requireSearchable: makeCheck(orm, pool, SEARCH_STATEMENTS),
    hasOwnClock: true,
    lastEntryAt: async () => undefined,
    presence,
    get connectionUse() {
      return pool.connectionUse;
    },
    close: async () => {
      await presence.close();
      await orm.close(true);
    },
  };
}

/** The time for which one migration waits for another, in seconds. */
const MIGRATION_LOCK_WAIT_S = 60;

/** MySQL's limit on the length of a lock name. */
const LOCK_NAME_CHARACTERS_MAX = 64;

/**
 * Runs work while it holds the migration lock. The lock belongs to one connection and ends with it, so a migration that
 * crashes leaves no lock.
 */
async function withMigrationLock<Result>(
  orm: MikroORM<AbstractSqlDriver>,
  work: () => Promise<Result>,
): Promise<Result> {
  const database = orm.config.get('dbName') ?? '';
  // Locks are global to the database server, so the name of the lock contains the name of the database.
  const digest = createHash('sha256').update(database).digest('hex');
  const lock = `virement_migration_${digest}`.slice(0, LOCK_NAME_CHARACTERS_MAX);
  return orm.em
    .fork()
    .getKysely()
    .connection()
    .execute(async (connection) => {
      const getLock = `select get_lock('${lock}', ${MIGRATION_LOCK_WAIT_S}) as isLocked`;
      const { rows } = await connection.executeQuery<{ isLocked: unknown }>(
        CompiledQuery.raw(getLock),
      );
      if (Number(rows[0]?.isLocked) !== 1) {
        throw new ExplainedError(
          `Another migration of ${database} has been running for ${MIGRATION_LOCK_WAIT_S} seconds: try again when it is done.`,
        );
      }
      try {
        return await work();
      } finally {
        await connection.executeQuery(CompiledQuery.raw(`do release_lock('${lock}')`));
      }
    });
}

function poolOf(address: MySqlAddress, settings: DatabaseSettings): MySqlPool {
  const { lockTimeoutMs, databasePoolMax } = settings;
  const connectTimeout = Math.min(
    Math.max(lockTimeoutMs * CONNECT_TIMEOUT_SHARE, CONNECT_TIMEOUT_MIN_MS),
    CONNECT_TIMEOUT_MAX_MS,
  );
  return new MySqlPool(
    {
      ...address,
      connectionLimit: databasePoolMax,
      connectTimeout,
      // Appended rows need multiple statements. The driver escapes the values that a client sent; IBANs and ids are
      // safe by their format.
      multipleStatements: true,
      // The driver would look for placeholders in the text of thousands of rows.
      queryFormat: (sql: string, values: ColumnValue[]) =>
        values.length === 0 ? sql : format(sql, values, false, UTC),
      // MikroORM expects results in this form.
      timezone: UTC,
      dateStrings: true,
      supportBigNumbers: true,
      jsonStrings: true,
    },
    (ask) => prepareSession(ask, settings),
  );
}

/**
 * Returns whether the server accepts writes, and its time. A user who may write to a read-only server also gets "not
 * writable".
 */
async function readStatus(orm: MikroORM): Promise<DatabaseStatus> {
  const [row] = await orm.em.fork().execute<{ nowMs: string; [readOnly: string]: unknown }[]>(
    `select cast(unix_timestamp(now(3)) * 1000 as signed) as nowMs,
      @@global.read_only as readOnly, @@global.innodb_read_only as innodbReadOnly`,
  );
  const { nowMs, ...readOnly } = row ?? { nowMs: '' };
  return {
    // MariaDB 12 has other values beside OFF.
    isWritable: Object.values(readOnly).every((value) => WRITABLE.includes(String(value))),
    nowMs: Number(nowMs),
  };
}

/** The time for which the check waits for the metadata lock of a table, in seconds. One second is MySQL's minimum. */
const CHECK_LOCK_WAIT_S = 1;

/**
 * Makes the check that the server's user can run statements. The check prepares the statements and executes none.
 *
 * - PREPARE checks names and privileges. It takes the weakest metadata lock, which LOCK TABLES, a dump, a copying ALTER
 *   and FLUSH TABLES WITH READ LOCK allow. An executed INSERT, even of no row, would wait for all of these.
 * - DDL that changes a table or waits for it excludes even this lock, so the wait is short. Only the session of the
 *   check has the short wait, and only during the check.
 * - A privilege that is granted again may not apply to an open connection. All connections are therefore renewed.
 */
function makeCheck(
  orm: MikroORM<AbstractSqlDriver>,
  pool: MySqlPool,
  statements: readonly string[],
): () => Promise<void> {
  const prepares = statements.map((sql) => format('prepare virement_check from ?', [sql]));
  const check = [
    `set session lock_wait_timeout = ${CHECK_LOCK_WAIT_S}`,
    ...prepares,
    'deallocate prepare virement_check',
  ].join('; ');
  let isDenied = false;
  return async () => {
    const kysely = orm.em.fork().getKysely();
    try {
      await kysely.connection().execute(async (connection) => {
        try {
          await connection.executeQuery(CompiledQuery.raw(check));
        } finally {
          const restore = CompiledQuery.raw('set session lock_wait_timeout = default');
          // This statement fails if the connection failed. The first error of the connection says more.
          await connection.executeQuery(restore).catch(() => {});
        }
      });
    } catch (error) {
      if (unavailabilityOf(error) === 'DATABASE_ACCESS_DENIED') isDenied = true;
      throw converted(orm.em, error);
    }
    if (isDenied) pool.renew();
    isDenied = false;
  };
}

/** Returns statements that use every column of the ledger, and every privilege on it that the server needs. */
function ledgerStatementsOf(orm: MikroORM): string[] {
  return writtenTablesOf(orm).flatMap(({ table, columns, updatedColumns, isPruned }) => {
    const assignments = updatedColumns.map((column) => `${column} = ?`);
    return [
      `select ${columns} from ${table}`,
      // MariaDB checks privileges on the columns of an INSERT … SELECT only when it executes the statement.
      `insert into ${table} (${columns}) values (${columns.map(() => '?')})`,
      ...(assignments.length > 0 ? [`update ${table} set ${assignments} where 1 = 0`] : []),
      ...(isPruned ? [`delete from ${table} where 1 = 0`] : []),
    ];
  });
}

/** Statements that use every column of the search tables, and every privilege on them that the server needs. */
const SEARCH_STATEMENTS: readonly string[] = [
  ...SEARCH_COLUMNS.flatMap(({ name, columns }) => [
    `select ${columns.join(', ')} from ${name}`,
    // REPLACE needs the privileges to insert and to delete.
    `replace into ${name} (${columns.join(', ')}) values (${columns.map(() => '?')})`,
  ]),
  `update ${WATERMARK.name} set sequence = ?, entry_id = ? where 1 = 0`,
];

const WRITABLE: readonly string[] = ['0', 'OFF'];

/** @throws ExplainedError if the server does not answer, refuses the user, lacks the database, or lacks a capability */
async function requireServer(
  orm: MikroORM,
  pool: MySqlPool,
  { databaseUrl, bulkTransfersMax }: DatabaseSettings,
  access: DatabaseAccess,
): Promise<void> {
  const ask: AskServer = (sql) => orm.em.execute(sql);
  try {
    await ask('select 1').catch((error) => {
      const { host, pathname } = new URL(databaseUrl);
      throw new ExplainedError(
        `The database ${pathname.slice(1)} at ${host} cannot be used: ${reasonOf(error)}`,
      );
    });
    if (access === 'read-only') return;
    await requireCapableServer(pool.server, ask, bulkTransfersMax);
  } catch (error) {
    await orm.close(true);
    throw error;
  }
}

/** The time zone of all times in the database. */
const UTC = 'Z';

/**
 * Limits the rows of one packet. The first packet is small, so that the database soon has work. Later packets have some
 * 150 KB of SQL, and 2.5 MB at most. Larger packets are not faster.
 */
const PACKET_ROWS_FIRST = 200;
const PACKET_ROWS_MAX = 500;

/** The bytes of a packet beside its SQL, with a margin. */
const PACKET_OVERHEAD_BYTES = 1_024;

async function appendRows(
  em: EntityManager,
  batches: readonly AppendBatch[],
  packetBytesMax: number,
): Promise<void> {
  const bytesMax = packetBytesMax - PACKET_OVERHEAD_BYTES;
  let underWay: Promise<void> | undefined;
  for (const statements of packetsOf(batches, bytesMax)) {
    await underWay;
    underWay = execute(em, statements);
    // The packet is awaited after the next packet is built. This handler prevents an unhandled rejection until then.
    underWay.catch(() => {});
    // This turn lets the driver send the packet. The next packet is built while the database works on this one.
    await turnOfTheLoop();
  }
  await underWay;
}

/** Rows of one table that one statement inserts. */
interface Insert {
  readonly batch: AppendBatch;
  readonly rows: ColumnValue[][];
}

/**
 * Yields INSERT statements, one table after another, as many together as one packet holds. A round trip for each table
 * would take longer than the rows of most bulks. Each packet is built when it is requested.
 */
function* packetsOf(batches: readonly AppendBatch[], bytesMax: number): Iterable<string> {
  let rowsMax = PACKET_ROWS_FIRST;
  let rowCount = 0;
  let inserts: Insert[] = [];
  for (const batch of batches) {
    let rows: ColumnValue[][] = [];
    for (const tuple of batch.tuples) {
      rows.push(tuple);
      rowCount += 1;
      if (rowCount < rowsMax) continue;
      yield* fittingPackets([...inserts, { batch, rows }], bytesMax);
      rowsMax = Math.min(rowsMax * 2, PACKET_ROWS_MAX);
      rowCount = 0;
      inserts = [];
      rows = [];
    }
    if (rows.length > 0) inserts.push({ batch, rows });
  }
  if (inserts.length > 0) yield* fittingPackets(inserts, bytesMax);
}

/** Yields INSERTs as one packet, or in halves if the server does not accept a packet of that size. */
function* fittingPackets(inserts: readonly Insert[], bytesMax: number): Iterable<string> {
  const packet = inserts.map(sqlOf).join('; ');
  const halves = fits(packet, bytesMax) ? undefined : halvesOf(inserts);
  if (!halves) yield packet;
  else for (const half of halves) yield* fittingPackets(half, bytesMax);
}

/**
 * Tells whether a packet fits. UTF-8 takes at most three bytes for a UTF-16 unit, so few packets need to be measured.
 */
function fits(packet: string, bytesMax: number): boolean {
  return packet.length * 3 <= bytesMax || Buffer.byteLength(packet) <= bytesMax;
}

/** Returns the INSERTs in two halves; undefined for a single row, which always fits. */
function halvesOf(inserts: readonly Insert[]): readonly (readonly Insert[])[] | undefined {
  const [first] = inserts;
  if (inserts.length !== 1 || !first) return cutInTwo(inserts);
  const { batch, rows } = first;
  return rows.length > 1 ? cutInTwo(rows).map((half) => [{ batch, rows: half }]) : undefined;
}

function cutInTwo<Item>(items: readonly Item[]): readonly Item[][] {
  const middle = Math.ceil(items.length / 2);
  return [items.slice(0, middle), items.slice(middle)];
}

/** Returns an INSERT. A column that is null in all rows is left out, because each value costs the database time. */
function sqlOf({ batch: { table, columns }, rows }: Insert): string {
  const isUsed = columns.map((_, index) => rows.some((row) => row[index] !== null));
  const used = <Value>(values: readonly Value[]) => values.filter((_, index) => isUsed[index]);
  const names = used(columns).map((column) => `\`${column}\``);
  const values = isUsed.includes(false) ? rows.map(used) : rows;
  return format(`insert into \`${table}\` (${names.join(', ')}) values ?`, [values], false, UTC);
}

/** Executes statements without MikroORM, which would serialise the values a second time. */
async function execute(em: EntityManager, statements: string): Promise<void> {
  const transaction = em.getTransactionContext<Transaction<unknown>>();
  if (!transaction) throw new Error('Rows are appended in a transaction');
  try {
    await transaction.executeQuery(CompiledQuery.raw(statements));
  } catch (error) {
    throw converted(em, error);
  }
}

/** Returns MikroORM's exception for an error that did not pass through MikroORM. */
function converted(em: EntityManager, error: unknown): Error {
  return em
    .getPlatform()
    .getExceptionConverter()
    .convertException(error as Error);
}

function errorNumberOf(error: unknown): unknown {
  return error instanceof Error && 'errno' in error ? error.errno : undefined;
}
