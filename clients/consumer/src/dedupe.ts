/** Records which events were processed, in the transaction in which the handler writes. */
export interface Dedupe<Transaction> {
  /**
   * Runs the work in a transaction that also records the id, unless the id is recorded already. A transaction whose work
   * fails records nothing.
   * @param messageId identifies the event and the consumer, at most 512 bytes
   * @throws what the work or the database threw
   */
  once(
    messageId: string,
    work: (transaction: Transaction) => Promise<void>,
  ): Promise<'done' | 'duplicate'>;
}

export interface DedupeOptions {
  /** The name of the table, which the store creates if it is missing. Default: virement_consumed_event. */
  readonly table?: string;
  /** The time after which an id is deleted, in milliseconds. Default: 30 days. A later repetition is processed again. */
  readonly keepMs?: number;
}

const KEEP_MS = 30 * 24 * 60 * 60 * 1_000;

/** The least time between two deletions of old ids. */
const PRUNE_INTERVAL_MS = 60 * 60 * 1_000;

/** The most ids that one deletion removes, so that it locks the table for a short time only. */
export const PRUNE_ROWS_MAX = 10_000;

/** The settings of a store, and when it deletes old ids. */
export class Retention {
  readonly table: string;
  readonly #keepMs: number;
  #pruneAt = 0;

  /** @throws TypeError if the options cannot be used */
  constructor({ table = 'virement_consumed_event', keepMs = KEEP_MS }: DedupeOptions) {
    if (!/^\w{1,60}$/.test(table)) throw new TypeError(`table is no plain name: ${table}`);
    if (!(keepMs > 0)) throw new TypeError('keepMs is not above 0');
    this.table = table;
    this.#keepMs = keepMs;
  }

  /** Returns the time before which ids are to be deleted; undefined if the last deletion was not long ago. */
  pruneBefore(now = Date.now()): number | undefined {
    if (now < this.#pruneAt) return undefined;
    this.#pruneAt = now + PRUNE_INTERVAL_MS;
    return now - this.#keepMs;
  }
}
