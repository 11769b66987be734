/**
 * A thread beside the server's: it copies what was committed from SQLite's write-ahead log into the
 * database file, so that no request waits for that. No transaction waits for a lock that it takes.
 */
import { DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';

/** Between two copies. Where the log has nothing new, a look at it is all that one costs. */
const PAUSE_MS = 250;

const connection = new DatabaseSync(workerData.file);
// What is copied is on the disk before the log is written over.
connection.exec('pragma synchronous = FULL');
const checkpoint = connection.prepare('pragma wal_checkpoint(passive)');

function copy(): void {
  try {
    checkpoint.get();
  } catch {
    // A disk that is full, say: all is in the log, and the next turn tries again.
  }
  timer = setTimeout(copy, PAUSE_MS);
}

let timer = setTimeout(copy, PAUSE_MS);

parentPort?.once('message', () => {
  clearTimeout(timer);
  connection.close();
});
