import type { DatabaseSync } from 'node:sqlite';
import { type Dedupe, type DedupeOptions, PRUNE_ROWS_MAX, Retention } from './dedupe.js';

/**
 * Returns a store in SQLite, which creates its table. The connection must be for this consumer alone: it has one
 * transaction at a time, so events are processed one by one, and statements from elsewhere would join the transaction.
 */
export function sqliteDedupe(
  database: DatabaseSync,
  options: DedupeOptions = {},
): Dedupe<DatabaseSync> {
  return new SqliteDedupe(database, new Retention(options));
}

class SqliteDedupe implements Dedupe<DatabaseSync> {
  /** Ends when the transaction that was asked for last has ended. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly database: DatabaseSync,
    private readonly retention: Retention,
  ) {
    database.exec(`create table if not exists ${retention.table}
      (id text primary key, processed_at integer not null) without rowid`);
    database.exec(`create index if not exists ${retention.table}_processed_at
      on ${retention.table} (processed_at)`);
  }

  once(
    messageId: string,
    work: (database: DatabaseSync) => Promise<void>,
  ): Promise<'done' | 'duplicate'> {
    const result = this.#last.then(() => this.#transact(messageId, work));
    this.#last = result.catch(() => {});
    return result;
  }

  async #transact(
    messageId: string,
    work: (database: DatabaseSync) => Promise<void>,
  ): Promise<'done' | 'duplicate'> {
    this.#prune();
    this.database.exec('begin immediate');
    try {
      const { changes } = this.database
        .prepare(`insert into ${this.retention.table} (id, processed_at) values (?, ?)
          on conflict do nothing`)
        .run(messageId, Date.now());
      const isNew = Number(changes) === 1;
      if (isNew) await work(this.database);
      this.database.exec('commit');
      return isNew ? 'done' : 'duplicate';
    } catch (error) {
      this.#rollBack();
      throw error;
    }
  }

  #rollBack(): void {
    try {
      this.database.exec('rollback');
    } catch {
      // SQLite itself has rolled back, as it does when the disk is full.
    }
  }

  #prune(): void {
    const before = this.retention.pruneBefore();
    if (before === undefined) return;
    const { table } = this.retention;
    this.database
      .prepare(`delete from ${table} where id in
        (select id from ${table} where processed_at < ? order by processed_at limit ${PRUNE_ROWS_MAX})`)
      .run(before);
  }
}
