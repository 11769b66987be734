import type { Database } from './dialect.js';

/** Whether bulks can be performed, as far as the database is concerned. */
export interface DatabaseState {
  readonly isWritable: boolean;
  /** A sentence for an operator, where it is not: anybody may read it, so it names no address. */
  readonly reason?: string;
}

/** The state of a database that does not answer, or not in time; the log has the reason. */
export const UNANSWERED: DatabaseState = {
  isWritable: false,
  reason: 'The database does not answer.',
};

/** Asks the database. Never rejects. */
export async function databaseStateOf({ isWritable }: Database): Promise<DatabaseState> {
  try {
    if (await isWritable()) return { isWritable: true };
    return { isWritable: false, reason: 'The database is read-only.' };
  } catch {
    return UNANSWERED;
  }
}
