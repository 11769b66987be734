/**
 * A worker thread that writes the search tables of an embedded database. They are in a file of their own, so the thread
 * never holds the lock of the ledger's writer. The statements read the ledger, whose file is attached read-only: a
 * transaction that begins immediately locks each attached file that it may write.
 */
import { DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';

/** The statements of one transaction. */
export interface SearchWrite {
  readonly statements: readonly string[];
}

/** The outcome of a write: an error, or nothing. */
export interface SearchWritten {
  readonly error?: unknown;
}

const connection = new DatabaseSync(workerData.searchFile);
connection.exec('pragma synchronous = NORMAL; pragma cache_size = -32768');
connection.prepare('attach database ? as ledger').run(workerData.readOnlyLedger);

function write({ statements }: SearchWrite): SearchWritten {
  try {
    connection.exec('begin immediate');
    for (const statement of statements) connection.exec(statement);
    connection.exec('commit');
    return {};
  } catch (error) {
    if (connection.isTransaction) connection.exec('rollback');
    return { error };
  }
}

parentPort?.on('message', (message: SearchWrite | 'stop') => {
  if (message === 'stop') {
    connection.close();
    parentPort?.close();
  } else {
    parentPort?.postMessage(write(message));
  }
});
