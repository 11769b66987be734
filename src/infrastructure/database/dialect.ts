import type { EntityManager, IsolationLevel, MikroORM } from '@mikro-orm/sql';
import type { AppendBatch } from './append-rows.js';
import type { FairSlots } from './fair-slots.js';
import type { Presence } from './presence.js';
import type { OnUnavailable } from './unavailability.js';

export interface DatabaseSettings {
  readonly databaseUrl: string;
  readonly databasePoolMax: number;
  readonly lockTimeoutMs: number;
  /** The number of rows of the largest bulk, for a program that performs bulks. */
  readonly bulkTransfersMax?: number;
  /** The time after which the database ends a statement; undefined for no limit. */
  readonly statementTimeoutMs?: number;
  /** Called for each statement that fails because the database is unavailable, such as unreachable or read-only. */
  readonly onUnavailable?: OnUnavailable;
}

/** The use of a database: a server reads and writes; the verify command only reads, and may run beside a server. */
export type DatabaseAccess = 'read-write' | 'read-only';

/** State that a database reports about itself. */
export interface DatabaseStatus {
  readonly isWritable: boolean;
  /** The time of the database's own clock, in milliseconds since 1970; undefined if the database has no clock. */
  readonly nowMs?: number;
}

/** The use of a pool of connections at a moment. */
export interface ConnectionUse {
  readonly inUse: number;
  /** The work that waits for a connection, which may have to be opened. */
  readonly waiting: number;
}

/** A table and the columns of its primary key. */
export interface KeyedTable {
  readonly name: string;
  readonly columns: readonly string[];
}

/** An open database, with everything that differs between the two kinds of database. The kind is chosen here, once. */
export interface Database {
  readonly orm: MikroORM;
  /** Limits the groups of units of work that may be in progress at once. */
  readonly groupsMax: number;
  /** The slots of the reads that may be in progress at once. */
  readonly readSlots: FairSlots;
  /** Limits the transactions that may wait for a lock, in addition to the groups. */
  readonly lockWaitersMax: number;
  /**
   * Tells whether the server migrates the schema itself. It does so for an embedded database, which has no operator.
   */
  readonly migratesAtStart: boolean;
  /** Options of a transaction that reads one state of the database while others write. */
  readonly snapshotIsolation: { readonly isolationLevel?: IsolationLevel };
  /** Tells which relays of this database still run. */
  readonly presence: Presence;
  /**
   * Runs work that changes the schema while no other process changes it.
   * @throws ExplainedError if another process changes the schema for too long
   */
  whileMigrating<Result>(work: () => Promise<Result>): Promise<Result>;
  /** Appends rows in the transaction of an entity manager, in the given order. */
  appendRows(em: EntityManager, batches: readonly AppendBatch[]): Promise<void>;
  /**
   * Runs statements that write the search tables, in one transaction. They may read the ledger. They never hold the
   * writer of the ledger.
   */
  writeSearch(statements: readonly string[]): Promise<void>;
  /**
   * Returns the statement that deletes some of the rows of a table that meet a condition.
   * @param table its name and the columns of its primary key
   */
  deleteSome(table: KeyedTable, condition: string, rowsMax: number): string;
  /** Returns the option of a find that reads by an index; none if the database finds the index by itself. */
  byIndex(index: string): { readonly indexHint?: string };
  /**
   * Tells whether the database aborted the work in favour of another transaction. The same work may succeed when it
   * runs again.
   */
  isContention(error: unknown): boolean;
  /** Tells whether the database has a clock other than this machine's. */
  readonly hasOwnClock: boolean;
  /**
   * Reads the state that the database reports about itself.
   * @throws if the database does not answer
   */
  readStatus(): Promise<DatabaseStatus>;
  /**
   * Checks that the database has every table and column of the ledger, and grants the privileges that the server needs.
   * The check changes nothing.
   * @throws the database's error, which names the missing part
   */
  requireUsable(): Promise<void>;
  /** Checks the search tables in the same way. A ledger without them can post. */
  requireSearchable(): Promise<void>;
  /**
   * Returns the time of the latest ledger entry, for a database that has no other clock.
   * @returns undefined if there is no entry, and for a database with a clock of its own
   */
  lastEntryAt(): Promise<Date | undefined>;
  /** The use of the connections; undefined for a database without a pool. */
  readonly connectionUse: ConnectionUse | undefined;
  close(): Promise<void>;
}
