/**
 * The dialect of the embedded database. SQLite has no row locks. One process owns the file, one connection writes, and
 * transactions run one after another. Each transaction is therefore alone, and every read of a balance is a locked
 * read.
 */
import { existsSync, mkdirSync, realpathSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import { setImmediate as turnOfTheLoop } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { LockWaitTimeoutException } from '@mikro-orm/core';
import { type AbstractSqlDriver, MikroORM, SqliteDriver } from '@mikro-orm/sql';
import { SqliteDialect } from 'kysely';
import { SQLITE_CHECKPOINT_THREAD } from '../../files.js';
import { ExplainedError } from '../observability/explained-error.js';
import { reasonOf } from '../observability/secrets.js';
import { sqlSpans } from '../observability/sql-spans.js';
import type { AppendBatch, ColumnValue } from './append-rows.js';
import type { Database, DatabaseAccess, DatabaseSettings } from './dialect.js';
import { FairSlots } from './fair-slots.js';
import { ormOptions } from './orm-options.js';
import { SolePresence } from './presence.js';
import {
  attachSearchFile,
  attachSearchInMemory,
  SearchFile,
  type SearchWriter,
} from './sqlite-search.js';
import { writeInTransaction } from './transaction.js';
import { isDamage, sqliteCodeOf, unavailabilityOf } from './unavailability.js';
import { writtenTablesOf } from './written-tables.js';

const MEMORY = ':memory:';

/**
 * The time for which SQLite itself waits for another process. This process is blocked meanwhile. The longer wait, which
 * does not block this process, is in the unit of work.
 */
const BUSY_TIMEOUT_MS = 20;

/**
 * Settings of the connection.
 * - WAL lets readers run beside the writer.
 * - FULL lets a commit survive a power loss.
 * - The cache has 32 MB, because a bulk of 10,000 touches some 2,000 pages of its indexes.
 * - A thread beside this one copies the log into the file. If the log reaches 64 MB nevertheless, this thread copies
 *   the rest, and the log soon restarts.
 */
const SETTINGS = [
  `pragma busy_timeout = ${BUSY_TIMEOUT_MS}`,
  'pragma journal_mode = WAL',
  'pragma synchronous = FULL',
  'pragma cache_size = -32768',
  'pragma wal_autocheckpoint = 16000',
];

/** The error for a file that another process has. */
class DatabaseInUseError extends ExplainedError {
  override readonly name = 'DatabaseInUseError';
}

/** @throws ExplainedError if the file cannot be opened, is not a database, or cannot be written */
export async function openSqlite(
  { databaseUrl, onUnavailable = () => {} }: DatabaseSettings,
  access: DatabaseAccess,
): Promise<Database> {
  const file = databaseUrl.slice('sqlite:'.length);
  const releaseFile = access === 'read-only' ? requireFile(file) : claimFile(file);
  let connection: DatabaseSync;
  try {
    connection = openFile(file, access);
  } catch (error) {
    releaseFile();
    throw new ExplainedError(`The database ${file} cannot be opened: ${reasonOf(error)}.`, {
      cause: error,
    });
  }
  let searchWriter: SearchWriter | undefined;
  const note: Note = (error) => {
    if (isDamage(error)) searchWriter?.check();
    const reason = unavailabilityOf(error);
    if (reason !== undefined) onUnavailable(reason, error);
    throw error;
  };
  try {
    const orm = await MikroORM.init<AbstractSqlDriver>({
      ...ormOptions('sqlite'),
      ...sqlSpans('sqlite'),
      driver: SqliteDriver,
      dbName: file,
      driverOptions: new SqliteDialect({ database: driverOf(connection, note) }),
    });
    const stopCheckpoints = access === 'read-only' ? async () => {} : startCheckpoints(file);
    searchWriter = access === 'read-only' ? undefined : searchWriterOf(file, connection, orm);
    return {
      orm,
      groupsMax: 1,
      readSlots: new FairSlots(1),
      lockWaitersMax: 1,
      presence: new SolePresence(),
      migratesAtStart: true,
      // Any transaction is a snapshot: in WAL mode it reads the state that was committed when it began.
      snapshotIsolation: {},
      // No other process has the file.
      whileMigrating: (work) => work(),
      appendRows: appenderOf(connection, note),
      writeSearch: async (statements) => searchWriter?.write(statements),
      // SQLite has no DELETE with a limit.
      deleteSome: ({ name, columns }, condition, rowsMax) =>
        `delete from ${name} where (${columns}) in
          (select ${columns} from ${name} where ${condition} limit ${rowsMax})`,
      byIndex: () => ({}),
      isContention: (error) => error instanceof LockWaitTimeoutException,
      // A file that cannot be written already failed at start.
      readStatus: async () => ({ isWritable: true }),
      requireUsable: () => requireTables(orm),
      // The server makes the search tables itself.
      requireSearchable: async () => {},
      hasOwnClock: false,
      lastEntryAt: () => lastEntryAt(orm),
      connectionUse: undefined,
      close: async () => {
        await searchWriter?.close();
        await stopCheckpoints();
        await orm.close(true);
        releaseFile();
      },
    };
  } catch (error) {
    releaseFile();
    throw error;
  }
}

/**
 * Throws a statement's error again. An outage, such as a full disk, is first reported to the outage log of the
 * database.
 */
type Note = (error: unknown) => never;

async function lastEntryAt(orm: MikroORM): Promise<Date | undefined> {
  const [row] = await orm.em
    .fork()
    .execute<{ latest: number | null }[]>('select max(updated_at) as latest from account');
  return row?.latest == null ? undefined : new Date(row.latest);
}

/**
 * Checks the tables in one statement, because each statement waits for the one connection. SQLite has no privileges.
 */
async function requireTables(orm: MikroORM<AbstractSqlDriver>): Promise<void> {
  const tables = writtenTablesOf(orm).map(
    ({ table, columns }) => `exists (select ${columns} from ${table} where 1 = 0)`,
  );
  await orm.em.fork().execute(`select ${tables.join(', ')}`);
}

/**
 * Statements that fail if the file cannot be written. The server fails at start instead of at its first bulk. A
 * transaction without a write does not fail, because SQLite turns it into a read transaction.
 */
const WRITE_NOTHING = 'begin immediate; pragma user_version = 1; rollback';

/**
 * Opens a file. SQLite reads a file at the first statement, so the settings and the schema show whether it is a
 * database.
 */
function openFile(file: string, access: DatabaseAccess): DatabaseSync {
  const connection = connectTo(file);
  try {
    for (const setting of SETTINGS) connection.exec(setting);
    connection.exec('select count(*) from sqlite_schema');
    if (access === 'read-write') connection.exec(WRITE_NOTHING);
    if (file === MEMORY) attachSearchInMemory(connection);
    else
      attachSearchFile(connection, file, {
        connect: connectTo,
        mayCreate: access === 'read-write',
      });
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}

/**
 * Tells whether another thread may copy the log. SQLite before 3.51.3 could lose commits if one connection restarts the
 * log while another connection copies it: https://sqlite.org/wal.html#walresetbug
 */
function mayCheckpointBeside(sqliteVersion: string | undefined): boolean {
  return '3.51.3'.localeCompare(sqliteVersion ?? '', 'en', { numeric: true }) <= 0;
}

/**
 * Starts the thread that copies the log.
 * @returns a function that ends the thread. Callers call it before they close the connection, which copies the rest.
 */
function startCheckpoints(file: string): () => Promise<void> {
  if (file === MEMORY || !mayCheckpointBeside(process.versions.sqlite)) return async () => {};
  const thread = new Worker(SQLITE_CHECKPOINT_THREAD, { workerData: { file } });
  // Without the thread, this thread copies the log whenever the log reaches its limit.
  thread.on('error', (error) => process.emitWarning(error));
  thread.unref();
  const ended = new Promise<void>((resolve) => thread.once('exit', () => resolve()));
  return () => {
    thread.ref();
    thread.postMessage('stop');
    return ended;
  };
}

/**
 * Adapts node:sqlite to Kysely. SQLite may roll back by itself if a disk is full, and then reports a further rollback
 * as an error. Kysely would not release the only connection after that error.
 */
function driverOf(connection: DatabaseSync, note: Note) {
  const noting = <Result>(run: () => Result): Result => {
    try {
      return run();
    } catch (error) {
      return note(error);
    }
  };
  return {
    prepare: (sql: string) => {
      if (sql === 'rollback' && !connection.isTransaction) return NOTHING_TO_DO;
      const statement = noting(() => connection.prepare(sql));
      return {
        reader: statement.columns().length > 0,
        all: (values: readonly unknown[]) =>
          noting(() => statement.all(...(values as SQLInputValue[]))),
        run: (values: readonly unknown[]) =>
          noting(() => statement.run(...(values as SQLInputValue[]))),
        iterate: (values: readonly unknown[]) => statement.iterate(...(values as SQLInputValue[])),
      };
    },
    close: () => connection.close(),
  };
}

/** A statement that does nothing. */
const NOTHING_TO_DO = {
  reader: false,
  all: () => [],
  run: () => ({ changes: 0, lastInsertRowid: 0 }),
  iterate: () => [].values(),
};

/** Returns the writer of the search tables. No other thread reads a database in memory, so its own connection writes. */
function searchWriterOf(
  file: string,
  connection: DatabaseSync,
  orm: MikroORM<AbstractSqlDriver>,
): SearchWriter {
  if (file === MEMORY) {
    const write = (statements: readonly string[]) => writeInTransaction(orm, statements);
    return { write, check: () => {}, close: async () => {} };
  }
  const whileIdle = (work: () => void) =>
    orm.em
      .fork()
      .getKysely()
      .connection()
      .execute(async () => work());
  return new SearchFile(file, { connection, connect: connectTo, whileIdle });
}

/** Limits the rows that are inserted in one turn of the event loop, which take some ten milliseconds. */
const ROWS_PER_TURN = 400;

/**
 * Makes the function that appends rows. It inserts them one by one with a prepared statement, which is fastest without
 * a network. The connection is that of the transaction, because there is no other. Between turns of the event loop no
 * other statement runs on the connection. Kysely reserves the connection for a transaction until the transaction ends,
 * and makes all others wait (SqliteAdapter.supportsMultipleConnections is false, RuntimeDriver).
 */
function appenderOf(connection: DatabaseSync, note: Note): Database['appendRows'] {
  const statements = new Map<string, StatementSync>();
  return async (_em, batches) => {
    try {
      let rowCount = 0;
      for (const batch of batches) {
        const statement = statements.get(batch.table) ?? connection.prepare(insertInto(batch));
        statements.set(batch.table, statement);
        for (const tuple of batch.tuples) {
          statement.run(...tuple.map(stored));
          rowCount += 1;
          if (rowCount % ROWS_PER_TURN === 0) await turnOfTheLoop();
        }
      }
    } catch (error) {
      note(error);
    }
  };
}

function insertInto({ table, columns }: AppendBatch): string {
  const names = columns.map((column) => `\`${column}\``).join(', ');
  return `insert into \`${table}\` (${names}) values (${columns.map(() => '?').join(', ')})`;
}

/** Returns the stored form of a value. MikroORM stores times as milliseconds. */
function stored(value: ColumnValue): SQLInputValue {
  return value instanceof Date ? value.getTime() : value;
}

/** Requires that the file exists. A read-only database is never created. */
function requireFile(file: string): () => void {
  if (!existsSync(file)) throw new ExplainedError(`There is no database at ${file}.`);
  return () => {};
}

/**
 * Ensures that no other process writes this file, by an exclusive transaction on a file beside it that lasts as long as
 * this process. The operating system ends the transaction when the process ends in any way.
 * @returns a function that releases the file
 */
function claimFile(file: string): () => void {
  if (file === MEMORY) return () => {};
  const claim = openLock(file);
  try {
    claim.exec('pragma journal_mode = memory; begin exclusive');
  } catch (error) {
    claim.close();
    if (!isBusy(error)) throw noLock(file, error);
    throw new DatabaseInUseError(
      `Another process has ${file} open. An embedded database serves one process: stop that one, or set DATABASE_URL to a MySQL or MariaDB server.`,
      { cause: error },
    );
  }
  return () => claim.close();
}

/**
 * Opens a file. node:sqlite is not imported statically, so that a Node without node:sqlite can report that its version
 * is too old.
 */
function connectTo(file: string): DatabaseSync {
  const { DatabaseSync } = process.getBuiltinModule('node:sqlite');
  return new DatabaseSync(file);
}

function openLock(file: string): DatabaseSync {
  try {
    makeFolder(dirname(resolve(file)));
    // The lock file has the real path of the database, so links to the database share one lock.
    return connectTo(`${existsSync(file) ? realpathSync(file) : file}-lock`);
  } catch (error) {
    throw noLock(file, error);
  }
}

/**
 * Makes a folder and its parents one by one. Node's own recursive mkdir never returns on a file system that denies a
 * folder in a parent that exists, as /proc does.
 */
function makeFolder(folder: string): void {
  if (existsSync(folder)) return;
  const parent = dirname(folder);
  if (parent !== folder) makeFolder(parent);
  try {
    mkdirSync(folder);
  } catch (error) {
    // Another process may have made the folder meanwhile.
    if (!existsSync(folder)) throw error;
  }
}

function noLock(file: string, cause: unknown): ExplainedError {
  const reason = reasonOf(cause);
  return new ExplainedError(
    `The database ${file} cannot be locked. The lock is a file beside it that ends in -lock: ${reason}.`,
    { cause },
  );
}

/** https://sqlite.org/rescode.html */
const SQLITE_BUSY = 5;

function isBusy(error: unknown): boolean {
  return sqliteCodeOf(error) === SQLITE_BUSY;
}
