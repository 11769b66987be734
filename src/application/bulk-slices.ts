/**
 * Slices the work on a large bulk. Reading and hashing a large bulk blocks the event loop for tens of milliseconds.
 * The work is therefore done in slices, and slices of different organizations take turns. A small bulk is read at
 * once. A slice throws AbandonedError if the client has disconnected or the request has timed out.
 */
import {
  BulkTransferFingerprint,
  BulkTransferReader,
  type BulkTransferReading,
  type NormalisedBulk,
} from '../domain/bulk-transfer.js';
import { AbandonedError } from '../domain/errors.js';
import type { FingerprintVersion } from '../domain/idempotency.js';
import type { FairTurns } from './ports/fair-turns.js';

/** The largest number of rows that are read without a turn of the event loop. They take one millisecond. */
const ROWS_AT_ONCE_MAX = 500;

/** The number of rows of a slice. A slice takes about five milliseconds. */
const SLICE_ROWS = 2_000;

/** The turns that the slices of a bulk take, and the key for which they take them. */
export interface SliceTurns {
  readonly turns: FairTurns;
  readonly key: string;
  /** Tells whether the client has disconnected or the request has timed out. */
  readonly isAbandoned?: (() => boolean) | undefined;
}

/** Reads all rows of a bulk with a new reader. */
export async function readInSlices(
  reader: BulkTransferReader,
  rowCount: number,
  turns: SliceTurns,
): Promise<BulkTransferReading> {
  await inSlices(rowCount, turns, (start, end) => reader.read(start, end));
  return reader.reading();
}

/** Hashes the content of a bulk: see bulkTransferFingerprint. */
export async function fingerprintInSlices(
  bulk: NormalisedBulk,
  version: FingerprintVersion,
  turns: SliceTurns,
): Promise<string> {
  const fingerprint = new BulkTransferFingerprint(bulk, version);
  await inSlices(bulk.rows.length, turns, (start, end) => fingerprint.add(start, end));
  return fingerprint.digest();
}

/** Works on rows in slices. A small bulk is done at once; each slice of a large bulk waits for its turn. */
export async function inSlices(
  rowCount: number,
  { turns, key, isAbandoned }: SliceTurns,
  work: (start: number, end: number) => void,
  sliceRows = SLICE_ROWS,
): Promise<void> {
  if (rowCount <= ROWS_AT_ONCE_MAX) {
    work(0, rowCount);
    return;
  }
  for (let start = 0; start < rowCount; start += sliceRows) {
    await turns.take(key);
    if (isAbandoned?.()) throw new AbandonedError();
    work(start, Math.min(start + sliceRows, rowCount));
  }
}
