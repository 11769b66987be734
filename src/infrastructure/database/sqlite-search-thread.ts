/**
 * A worker thread that writes the search tables of an embedded database. They are in a file of their own, so the thread
 * never holds the lock of the ledger's writer. The statements read the ledger, whose file is attached read-only: a
 * transaction that begins immediately locks each attached file that it may write.
 */
import { DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';

/** The statements of one transaction; none to check the file alone. */
export interface SearchWrite {
  readonly statements: readonly string[];
}

/** The outcome of a write: an error, or nothing. */
export interface SearchWritten {
  readonly error?: unknown;
  /** Tells whether the search file is damaged. The error may also come from the ledger's file. */
  readonly isDamaged?: boolean;
}

/**
 * The codes of errors after which the file is checked: SQLITE_ERROR, for a table that is missing, SQLITE_CORRUPT and
 * SQLITE_NOTADB. A thread that runs from its source imports no other source.
 */
const SIGNS_OF_DAMAGE = [1, 11, 26];

let connection: DatabaseSync | undefined;

function connect(): DatabaseSync {
  const opened = new DatabaseSync(workerData.searchFile);
  try {
    opened.exec('pragma synchronous = NORMAL; pragma cache_size = -32768');
    opened.prepare('attach database ? as ledger').run(workerData.readOnlyLedger);
  } catch (error) {
    opened.close();
    throw error;
  }
  connection = opened;
  return opened;
}

function write({ statements }: SearchWrite): SearchWritten {
  try {
    const open = connection ?? connect();
    open.exec('begin immediate');
    for (const statement of statements) open.exec(statement);
    open.exec('commit');
    return statements.length > 0 ? {} : checkFile();
  } catch (error) {
    rollBack();
    return isSignOfDamage(error) ? checkFile(error) : { error };
  }
}

function rollBack(): void {
  try {
    if (connection?.isTransaction) connection.exec('rollback');
  } catch {
    // A damaged file may also fail to roll back. The error before says more.
  }
}

function isSignOfDamage(error: unknown): boolean {
  return (
    error instanceof Error &&
    'errcode' in error &&
    SIGNS_OF_DAMAGE.includes(Number(error.errcode) & 0xff)
  );
}

/** @param error the error for which the file is checked, if any */
function checkFile(error?: unknown): SearchWritten {
  try {
    const found = connection?.prepare('pragma main.quick_check(1)').get()?.quick_check;
    const version = connection?.prepare('pragma main.user_version').get()?.user_version;
    return { error, isDamaged: found !== 'ok' || version !== workerData.version };
  } catch (damage) {
    return { error: error ?? damage, isDamaged: isSignOfDamage(damage) };
  }
}

parentPort?.on('message', (message: SearchWrite | 'stop') => {
  if (message === 'stop') {
    connection?.close();
    parentPort?.close();
  } else {
    parentPort?.postMessage(write(message));
  }
});
