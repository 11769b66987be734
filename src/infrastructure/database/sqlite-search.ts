/**
 * The search file of an embedded database: see search-tables.ts. It is beside the ledger's file, and its name ends in
 * -search. It is derived from the ledger, so a missing or damaged file is made anew, and no backup needs it.
 */
import { existsSync, rmSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { Mutex } from 'async-mutex';
import { SQLITE_SEARCH_THREAD } from '../../files.js';
import { ALL_SEARCH_TABLES, SEARCH_COLUMNS, WATERMARK } from '../search/search-tables.js';
import type { SearchWritten } from './sqlite-search-thread.js';
import { isDamage, sqliteCodeOf } from './unavailability.js';

/** The version of the tables. A file with another version is made anew. */
const VERSION = 1;

/** The code of an error about a missing table: https://sqlite.org/rescode.html */
const SQLITE_ERROR = 1;

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
    makeSearchFile(file, connect);
  }
  attachReadOnly(connection, searchFile);
}

function makeSearchFile(file: string, connect: SearchFileOptions['connect']): void {
  removeSearchFile(file);
  const created = connect(searchFileOf(file));
  try {
    created.exec(`pragma journal_mode = WAL; begin; ${tablesIn('main')}; commit`);
  } finally {
    created.close();
  }
}

function attachReadOnly(connection: DatabaseSync, searchFile: string): void {
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
    // After any other error the file may be right.
    if (!isDamage(error) && sqliteCodeOf(error) !== SQLITE_ERROR) throw error;
    process.emitWarning(`The search file ${searchFile} is made anew: ${error}`);
    return false;
  } finally {
    opened.close();
  }
}

/** Writes the search tables. */
export interface SearchWriter {
  /** Runs statements in one transaction. */
  write(statements: readonly string[]): Promise<void>;
  /** Checks the tables after a read failed, and makes them anew if they are damaged. */
  check(): void;
  /** Ends the writer after its current transaction. */
  close(): Promise<void>;
}

/** The error of a write to a search file that was damaged, and has been made anew. */
class SearchFileDamagedError extends Error {
  override readonly name = 'SearchFileDamagedError';
}

export interface SearchFilePorts {
  /** The connection of the ledger, to which the file is attached. */
  readonly connection: DatabaseSync;
  /** Opens a file. */
  readonly connect: (file: string) => DatabaseSync;
  /** Runs work while nothing else uses the connection. */
  readonly whileIdle: (work: () => void) => Promise<void>;
}

/** The search file that a thread writes. If the file is damaged, it is made anew, without entries. */
export class SearchFile implements SearchWriter {
  readonly #thread: SearchThread;
  /** Writes take turns, so no thread has the file open while it is made anew. */
  readonly #turns = new Mutex();
  #checking: Promise<void> | undefined;

  constructor(
    private readonly file: string,
    private readonly ports: SearchFilePorts,
  ) {
    this.#thread = new SearchThread(file);
  }

  write(statements: readonly string[]): Promise<void> {
    return this.#turns.runExclusive(async () => {
      const { error, isDamaged } = await this.#thread.write(statements);
      if (isDamaged) throw await this.#makeAnew(error);
      if (error !== undefined) throw error;
    });
  }

  check(): void {
    // The next failed read or write checks again.
    this.#checking ??= this.write([])
      .catch((error: unknown) => process.emitWarning(String(error)))
      .finally(() => {
        this.#checking = undefined;
      });
  }

  close(): Promise<void> {
    return this.#turns.runExclusive(() => this.#thread.close());
  }

  async #makeAnew(cause: unknown): Promise<SearchFileDamagedError> {
    const { connection, connect, whileIdle } = this.ports;
    const searchFile = searchFileOf(this.file);
    await this.#thread.close();
    await whileIdle(() => {
      connection.exec('detach database search');
      try {
        makeSearchFile(this.file, connect);
        attachReadOnly(connection, searchFile);
      } catch (error) {
        // The next write makes the file again.
        attachSearchInMemory(connection);
        throw error;
      }
    });
    const message = `The search file ${searchFile} was damaged, and is made anew`;
    return new SearchFileDamagedError(message, { cause });
  }
}

/** The thread that writes the search file. If it has ended, the next write starts another one. */
class SearchThread {
  #thread: Worker | undefined;
  readonly #waiting: ((written: SearchWritten) => void)[] = [];

  constructor(private readonly file: string) {}

  write(statements: readonly string[]): Promise<SearchWritten> {
    return new Promise((resolve) => {
      this.#thread ??= this.#start();
      this.#waiting.push(resolve);
      this.#thread.postMessage({ statements });
    });
  }

  async close(): Promise<void> {
    const thread = this.#thread;
    if (!thread) return;
    const ended = new Promise((resolve) => thread.once('exit', resolve));
    thread.ref();
    thread.postMessage('stop');
    await ended;
  }

  #start(): Worker {
    const { file } = this;
    const workerData = {
      readOnlyLedger: readOnlyUri(file),
      searchFile: searchFileOf(file),
      version: VERSION,
    };
    const thread = new Worker(SQLITE_SEARCH_THREAD, { workerData });
    thread.unref();
    let failure: unknown = new Error('The search thread ended');
    thread.on('message', (written: SearchWritten) => this.#waiting.shift()?.(written));
    thread.once('error', (error) => {
      failure = error;
    });
    thread.once('exit', () => {
      this.#thread = undefined;
      for (const answer of this.#waiting.splice(0)) answer({ error: failure });
    });
    return thread;
  }
}
