/**
 * The search file of an embedded database: see search-tables.ts. It is beside the ledger's file, and its name ends in
 * -search. It is derived from the ledger, so a missing or damaged file is made anew, and no backup needs it.
 */
import { existsSync, rmSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { SQLITE_SEARCH_THREAD } from '../../files.js';
import { ALL_SEARCH_TABLES, SEARCH_COLUMNS, WATERMARK } from '../search/search-tables.js';
import type { SearchWritten } from './sqlite-search-thread.js';
import { sqliteCodeOf } from './unavailability.js';

/** The version of the tables. A file with another version is made anew. */
const VERSION = 1;

/**
 * The errors of a file that lacks a table, is damaged, or is no database: https://sqlite.org/rescode.html. After any
 * other error the file may be right.
 */
const DAMAGES = [1, 11, 26];

/** Returns the statements that create the tables in a schema. */
function tablesIn(schema: string): string {
  const tables = ALL_SEARCH_TABLES.map(
    ({ name, column, sqliteType }) => `create table ${schema}.${name} (
      account_short_id integer not null,
      list integer not null,
      ${column} ${sqliteType} not null,
      position bigint not null,
      primary key (account_short_id, list, ${column}, position)
    ) without rowid`,
  );
  const [account, sequence, entryId] = WATERMARK.columns;
  return [
    ...tables,
    `create table ${schema}.${WATERMARK.name} (
      ${account} integer not null primary key,
      ${sequence} bigint not null,
      ${entryId} binary(16) not null
    )`,
    `pragma ${schema}.user_version = ${VERSION}`,
  ].join(';');
}

/** Makes the search tables of a database in memory. */
export function attachSearchInMemory(connection: DatabaseSync): void {
  connection.exec(`attach database ':memory:' as search; ${tablesIn('search')}`);
}

export interface SearchFileOptions {
  /** Opens a file. */
  readonly connect: (file: string) => DatabaseSync;
  readonly mayCreate: boolean;
}

/**
 * Attaches the search file to the connection of the ledger, which only reads it. With a file that may be written, each
 * transaction of the ledger would lock the search file too. A reader of a ledger without a usable search file gets empty
 * tables.
 */
export function attachSearchFile(
  connection: DatabaseSync,
  file: string,
  { connect, mayCreate }: SearchFileOptions,
): void {
  const searchFile = searchFileOf(file);
  if (!isUsable(searchFile, connect)) {
    if (!mayCreate) {
      attachSearchInMemory(connection);
      return;
    }
    removeSearchFile(file);
    const created = connect(searchFile);
    created.exec(`pragma journal_mode = WAL; begin; ${tablesIn('main')}; commit`);
    created.close();
  }
  connection.prepare('attach database ? as search').run(readOnlyUri(searchFile));
}

/** Returns the URI of a file that is opened for reading alone. */
function readOnlyUri(file: string): string {
  return `${pathToFileURL(file).href}?mode=ro`;
}

function searchFileOf(file: string): string {
  return `${file}-search`;
}

function removeSearchFile(file: string): void {
  for (const suffix of ['', '-wal', '-shm'])
    rmSync(`${searchFileOf(file)}${suffix}`, { force: true });
}

function isUsable(searchFile: string, connect: (file: string) => DatabaseSync): boolean {
  if (!existsSync(searchFile)) return false;
  const opened = connect(searchFile);
  try {
    const version = opened.prepare('pragma user_version').get();
    for (const { name } of SEARCH_COLUMNS) opened.prepare(`select * from ${name} limit 1`).get();
    return version?.user_version === VERSION;
  } catch (error) {
    if (!DAMAGES.includes(sqliteCodeOf(error) ?? -1)) throw error;
    process.emitWarning(`The search file ${searchFile} is made anew: ${error}`);
    return false;
  } finally {
    opened.close();
  }
}

/** The thread that writes the search file. */
export interface SearchWriter {
  /** Runs statements in one transaction. */
  write(statements: readonly string[]): Promise<void>;
  /** Ends the thread after its current transaction. */
  close(): Promise<void>;
}

export function startSearchWriter(file: string): SearchWriter {
  const workerData = { readOnlyLedger: readOnlyUri(file), searchFile: searchFileOf(file) };
  const thread = new Worker(SQLITE_SEARCH_THREAD, { workerData });
  thread.unref();
  const waiting: { resolve: () => void; reject: (error: unknown) => void }[] = [];
  let failure: unknown;
  thread.on('message', ({ error }: SearchWritten) => {
    const first = waiting.shift();
    if (error === undefined) first?.resolve();
    else first?.reject(error);
  });
  thread.once('error', (error) => {
    failure = error;
    for (const { reject } of waiting.splice(0)) reject(error);
  });
  const ended = new Promise<void>((resolve) => thread.once('exit', () => resolve()));
  return {
    write: (statements) =>
      new Promise((resolve, reject) => {
        if (failure !== undefined) return reject(failure);
        waiting.push({ resolve, reject });
        thread.postMessage({ statements });
      }),
    close: () => {
      thread.ref();
      thread.postMessage('stop');
      return ended;
    },
  };
}
