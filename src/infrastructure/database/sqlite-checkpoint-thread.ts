/**
 * A worker thread that copies committed pages from SQLite's write-ahead log into the database file, so that no request
 * waits for the copy. No transaction waits for a lock of this thread.
 */
import { DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';

/** The pause between two copies. A copy of an unchanged log only reads the state of the log. */
const PAUSE_MS = 250;

const connection = new DatabaseSync(workerData.file);
// Copied pages are synced to the disk before the log is overwritten.
connection.exec('pragma synchronous = FULL');
const checkpoint = connection.prepare('pragma wal_checkpoint(passive)');

function copy(): void {
  try {
    checkpoint.get();
  } catch {
    // The disk may be full. All commits are in the log, and the next copy tries again.
  }
  timer = setTimeout(copy, PAUSE_MS);
}

let timer = setTimeout(copy, PAUSE_MS);

parentPort?.once('message', () => {
  clearTimeout(timer);
  connection.close();
});
