import { INDEX_BITS } from '../domain/postings.js';

/** Returns the SQL for the sequence of the ledger entry to which a position belongs: see sequenceOf. */
export function sequenceSql(position: string): string {
  return `(${position} >> ${INDEX_BITS})`;
}
