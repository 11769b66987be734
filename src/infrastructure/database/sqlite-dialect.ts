/**
 * The embedded database. SQLite has no row locks: one process has the file, one connection writes,
 * and transactions come in turn, so that each is alone and every read of a balance is a locked one.
 */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { LockWaitTimeoutException } from '@mikro-orm/core';
import { type AbstractSqlDriver, MikroORM } from '@mikro-orm/sql';
import { SqliteDriver } from '@mikro-orm/sqlite';
import BetterSqlite from 'better-sqlite3';
import { ExplainedError } from '../observability/explained-error.js';
import type { Database, DatabaseAccess, DatabaseSettings } from './dialect.js';
import { ormOptions } from './orm-options.js';

const MEMORY = ':memory:';

/**
 * How long SQLite itself waits for another process, with this one standing still. The longer wait,
 * which lets this process go on, is the unit of work's.
 */
const BUSY_TIMEOUT_MS = 20;

/** Another process has the file. */
export class DatabaseInUseError extends ExplainedError {
  override readonly name = 'DatabaseInUseError';
}

export async function openSqlite(
  { databaseUrl }: DatabaseSettings,
  access: DatabaseAccess,
): Promise<Database> {
  const file = databaseUrl.slice('sqlite:'.length);
  const releaseFile = file === MEMORY || access === 'read-only' ? () => {} : claimFile(file);
  try {
    const orm = await MikroORM.init<AbstractSqlDriver>({
      ...ormOptions('sqlite'),
      driver: SqliteDriver,
      dbName: file,
      driverOptions: { timeout: BUSY_TIMEOUT_MS, fileMustExist: access === 'read-only' },
    });
    await orm.em.execute('pragma journal_mode = WAL');
    await orm.em.execute('pragma synchronous = FULL');
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

/**
 * Makes sure that no other process writes this file: an exclusive transaction on a file beside it,
 * for as long as this process lives. The operating system ends it with the process, however it dies.
 * @returns lets go of the file
 */
function claimFile(file: string): () => void {
  mkdirSync(dirname(file), { recursive: true });
  const claim = new BetterSqlite(`${file}-lock`, { timeout: 0 });
  try {
    claim.pragma('journal_mode = MEMORY');
    claim.exec('begin exclusive');
  } catch (error) {
    claim.close();
    throw new DatabaseInUseError(
      `Another process has ${file} open. An embedded database serves one process: stop that one, or set DATABASE_URL to a MySQL or MariaDB server.`,
      { cause: error },
    );
  }
  return () => claim.close();
}
