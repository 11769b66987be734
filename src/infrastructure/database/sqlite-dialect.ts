/**
 * The embedded database. SQLite has no row locks: one process has the file, one connection writes,
 * and transactions come in turn, so that each is alone and every read of a balance is a locked one.
 */
import { existsSync, mkdirSync, realpathSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { LockWaitTimeoutException } from '@mikro-orm/core';
import { type AbstractSqlDriver, MikroORM, NodeSqliteDialect, SqliteDriver } from '@mikro-orm/sql';
import { ExplainedError } from '../observability/explained-error.js';
import type { Database, DatabaseAccess, DatabaseSettings } from './dialect.js';
import { ormOptions } from './orm-options.js';

const MEMORY = ':memory:';

/**
 * How long SQLite itself waits for another process, with this one standing still. The longer wait,
 * which lets this process go on, is the unit of work's.
 */
const BUSY_TIMEOUT_MS = 20;

/** WAL: readers beside the writer. FULL: what was acknowledged survives a power loss. */
const SETTINGS = [
  `pragma busy_timeout = ${BUSY_TIMEOUT_MS}`,
  'pragma journal_mode = WAL',
  'pragma synchronous = FULL',
];

/** Another process has the file. */
export class DatabaseInUseError extends ExplainedError {
  override readonly name = 'DatabaseInUseError';
}

export async function openSqlite(
  { databaseUrl }: DatabaseSettings,
  access: DatabaseAccess,
): Promise<Database> {
  const file = databaseUrl.slice('sqlite:'.length);
  const releaseFile = access === 'read-only' ? requireFile(file) : claimFile(file);
  try {
    const orm = await MikroORM.init<AbstractSqlDriver>({
      ...ormOptions('sqlite'),
      driver: SqliteDriver,
      dbName: file,
      driverOptions: new NodeSqliteDialect(file),
    });
    for (const setting of SETTINGS) await orm.em.execute(setting);
    return {
      orm,
      writersMax: 1,
      migratesAtStart: true,
      // Any transaction: in WAL mode it reads what was committed when it began.
      snapshotIsolation: {},
      isContention: (error) => error instanceof LockWaitTimeoutException,
      close: async () => {
        await orm.close(true);
        releaseFile();
      },
    };
  } catch (error) {
    releaseFile();
    throw error;
  }
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
  mkdirSync(dirname(file), { recursive: true });
  // By its real name, whatever links lead to it.
  const name = existsSync(file) ? realpathSync(file) : file;
  const claim = new DatabaseSync(`${name}-lock`);
  try {
    claim.exec('pragma journal_mode = memory; begin exclusive');
  } catch (error) {
    claim.close();
    throw new DatabaseInUseError(
      `Another process has ${file} open. An embedded database serves one process: stop that one, or set DATABASE_URL to a MySQL or MariaDB server.`,
      { cause: error },
    );
  }
  return () => claim.close();
}
