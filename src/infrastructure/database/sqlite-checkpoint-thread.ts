/**
 * A thread beside the server's: it copies what was committed from SQLite's write-ahead log into the
 * database file, so that no request waits for that. It takes no lock that a transaction needs.
 */
import { DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';

/** Where the log has nothing new, a look at it is all that this costs. */
const EVERY_MS = 250;

const connection = new DatabaseSync(workerData.file);
// What is copied is on the disk before the log is written over.
connection.exec('pragma synchronous = FULL');
const checkpoint = connection.prepare('pragma wal_checkpoint(passive)');

const timer = setInterval(() => {
  try {
    checkpoint.get();
  } catch {
    // A disk that is full, say: all is in the log, and the next turn tries again.
  }
}, EVERY_MS);

parentPort?.once('message', () => {
  clearInterval(timer);
  connection.close();
});
