/**
 * The embedded database. SQLite has no row locks: one process has the file, one connection writes,
 * and transactions come in turn, so that each is alone and every read of a balance is a locked one.
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
import type { AppendBatch, ColumnValue } from './append-rows.js';
import type { Database, DatabaseAccess, DatabaseSettings } from './dialect.js';
import { FairSlots } from './fair-slots.js';
import { ormOptions } from './orm-options.js';
import { SolePresence } from './presence.js';
import { sqliteCodeOf, unavailabilityOf } from './unavailability.js';
import { writtenTablesOf } from './written-tables.js';

const MEMORY = ':memory:';

/**
 * How long SQLite itself waits for another process, with this one standing still. The longer wait,
 * which lets this process go on, is the unit of work's.
 */
const BUSY_TIMEOUT_MS = 20;

/**
 * WAL: readers beside the writer. FULL: what was acknowledged survives a power loss. 32 MB of cache: a
 * bulk of 10,000 touches some 2,000 pages of its indexes. The log is copied into the file by a thread
 * beside this one; where it comes to 64 MB all the same, this one does what is left, and the log soon
 * begins anew.
 */
const SETTINGS = [
  `pragma busy_timeout = ${BUSY_TIMEOUT_MS}`,
  'pragma journal_mode = WAL',
  'pragma synchronous = FULL',
  'pragma cache_size = -32768',
  'pragma wal_autocheckpoint = 16000',
];

/** Another process has the file. */
class DatabaseInUseError extends ExplainedError {
  override readonly name = 'DatabaseInUseError';
}

/** @throws ExplainedError where the file can't be opened, is no database, or can't be written */
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
    throw new ExplainedError(`The database ${file} can't be opened: ${reasonOf(error)}.`, {
      cause: error,
    });
  }
  const note: Note = (error) => {
    const reason = unavailabilityOf(error);
    if (reason !== undefined) onUnavailable(reason, error);
    throw error;
  };
  try {
    const orm = await MikroORM.init<AbstractSqlDriver>({
      ...ormOptions('sqlite'),
      driver: SqliteDriver,
      dbName: file,
      driverOptions: new SqliteDialect({ database: driverOf(connection, note) }),
    });
    const stopCheckpoints = access === 'read-only' ? async () => {} : startCheckpoints(file);
    return {
      orm,
      groupsMax: 1,
      readSlots: new FairSlots(1),
      lockWaitersMax: 1,
      presence: new SolePresence(),
      migratesAtStart: true,
      // Any transaction: in WAL mode it reads what was committed when it began.
      snapshotIsolation: {},
      // The process has the file to itself.
      whileMigrating: (work) => work(),
      appendRows: appenderOf(connection, note),
      isContention: (error) => error instanceof LockWaitTimeoutException,
      // One that can't be written was found out at start.
      look: async () => ({ isWritable: true }),
      requireUsable: () => requireTables(orm),
      hasOwnClock: false,
      lastEntryAt: () => lastEntryAt(orm),
      close: async () => {
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

/** Throws a statement's error on; a full disk and the like are told to whoever logs the database's outages. */
type Note = (error: unknown) => never;

async function lastEntryAt(orm: MikroORM): Promise<Date | undefined> {
  const [row] = await orm.em
    .fork()
    .execute<{ latest: number | null }[]>('select max(updated_at) as latest from account');
  return row?.latest == null ? undefined : new Date(row.latest);
}

/** One statement, for each waits for the one connection. SQLite has no privileges. */
async function requireTables(orm: MikroORM<AbstractSqlDriver>): Promise<void> {
  const tables = writtenTablesOf(orm).map(
    ({ table, columns }) => `exists (select ${columns} from ${table} where 1 = 0)`,
  );
  await orm.em.fork().execute(`select ${tables.join(', ')}`);
}

/**
 * Fails where the file can't be written: a server finds that out when it starts, not at its first bulk. A
 * transaction alone does not fail, for SQLite makes it one that reads.
 */
const WRITE_NOTHING = 'begin immediate; pragma user_version = 1; rollback';

/** SQLite opens a file when it first reads it: settings and schema tell whether it is a database. */
function openFile(file: string, access: DatabaseAccess): DatabaseSync {
  const connection = connectTo(file);
  try {
    for (const setting of SETTINGS) connection.exec(setting);
    connection.exec('select count(*) from sqlite_schema');
    if (access === 'read-write') connection.exec(WRITE_NOTHING);
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}

/**
 * Before 3.51.3 SQLite could lose commits where one connection begins the log anew while another copies
 * it: https://sqlite.org/wal.html#walresetbug
 */
function mayCheckpointBeside(sqliteVersion: string | undefined): boolean {
  return '3.51.3'.localeCompare(sqliteVersion ?? '', 'en', { numeric: true }) <= 0;
}

/** @returns ends it; to be called before the connection is closed, which does what is left */
function startCheckpoints(file: string): () => Promise<void> {
  if (file === MEMORY || !mayCheckpointBeside(process.versions.sqlite)) return async () => {};
  const thread = new Worker(SQLITE_CHECKPOINT_THREAD, { workerData: { file } });
  // Without it, this thread copies the log, whenever it comes to its bound.
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
 * node:sqlite as Kysely drives it. Where a disk is full SQLite may have rolled back by itself, and calls
 * another rollback an error, after which Kysely would never give the one connection back.
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

/** Rows that are inserted in one turn of the event loop: some ten milliseconds. */
const ROWS_PER_TURN = 400;

/**
 * Rows go in one by one through a statement that is prepared once: nothing is faster where no network
 * lies between. It is the connection of the transaction, for there is no other. Nobody's statement comes
 * in between when the event loop has its turns: Kysely gives the one connection to a transaction until it
 * ends, and makes all others wait (SqliteAdapter.supportsMultipleConnections is false, RuntimeDriver).
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

/** MikroORM keeps times as milliseconds. */
function stored(value: ColumnValue): SQLInputValue {
  return value instanceof Date ? value.getTime() : value;
}

/** A database that is only read is not made where there is none. */
function requireFile(file: string): () => void {
  if (!existsSync(file)) throw new ExplainedError(`There is no database at ${file}.`);
  return () => {};
}

/**
 * Makes sure that no other process writes this file: an exclusive transaction on a file beside it,
 * for as long as this process lives. The operating system ends it with the process, however it dies.
 * @returns lets go of the file
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

/** Opens a file. A Node without node:sqlite must get as far as to say that it is too old, so it is not imported. */
function connectTo(file: string): DatabaseSync {
  const { DatabaseSync } = process.getBuiltinModule('node:sqlite');
  return new DatabaseSync(file);
}

function openLock(file: string): DatabaseSync {
  try {
    makeFolder(dirname(resolve(file)));
    // By its real name, whatever links lead to it.
    return connectTo(`${existsSync(file) ? realpathSync(file) : file}-lock`);
  } catch (error) {
    throw noLock(file, error);
  }
}

/**
 * Makes a folder and those above it, one by one. Node's own recursive mkdir never returns where a file system
 * denies that the folder can exist in a parent that does, as /proc does.
 */
function makeFolder(folder: string): void {
  if (existsSync(folder)) return;
  const parent = dirname(folder);
  if (parent !== folder) makeFolder(parent);
  try {
    mkdirSync(folder);
  } catch (error) {
    // Another process may have made it meanwhile.
    if (!existsSync(folder)) throw error;
  }
}

function noLock(file: string, cause: unknown): ExplainedError {
  const reason = reasonOf(cause);
  return new ExplainedError(
    `The database ${file} can't be locked, by a file beside it that ends in -lock: ${reason}.`,
    { cause },
  );
}

/** https://sqlite.org/rescode.html */
const SQLITE_BUSY = 5;

function isBusy(error: unknown): boolean {
  return sqliteCodeOf(error) === SQLITE_BUSY;
}
