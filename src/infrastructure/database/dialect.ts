import type { EntityManager, IsolationLevel, MikroORM } from '@mikro-orm/sql';
import type { AppendBatch } from './append-rows.js';
import type { FairSlots } from './fair-slots.js';
import type { Presence } from './presence.js';
import type { OnUnavailable } from './unavailability.js';

export interface DatabaseSettings {
  readonly databaseUrl: string;
  readonly databasePoolMax: number;
  readonly lockTimeoutMs: number;
  /** Rows of the largest bulk, for a program that performs bulks. */
  readonly bulkTransfersMax?: number;
  /** After which the database ends a statement; undefined where it may take what it takes. */
  readonly statementTimeoutMs?: number;
  /** Hears of a database server that is away or read-only, with each statement that fails for it. */
  readonly onUnavailable?: OnUnavailable;
}

/** How the database is to be used: a server writes; verifying reads beside it. */
export type DatabaseAccess = 'read-write' | 'read-only';

/** What a database tells of itself. */
export interface DatabaseLook {
  readonly isWritable: boolean;
  /** The time by its own clock, in milliseconds since 1970; undefined where it has none. */
  readonly nowMs?: number;
}

/** An open database, and what differs between the two kinds. Chosen once, here. */
export interface Database {
  readonly orm: MikroORM;
  /** Groups of units of work that may be under way at once. */
  readonly groupsMax: number;
  /** Slots of the reads that may be under way at once. */
  readonly readSlots: FairSlots;
  /** Transactions that may wait for a lock beside them. */
  readonly lockWaitersMax: number;
  /** Whether the server brings the schema up to date itself: nobody operates an embedded database. */
  readonly migratesAtStart: boolean;
  /** How a transaction begins that reads one state of the database, whoever writes meanwhile. */
  readonly snapshotIsolation: { readonly isolationLevel?: IsolationLevel };
  /** Which relays of this database still run. */
  readonly presence: Presence;
  /**
   * Runs work that changes the schema while no other process does.
   * @throws ExplainedError where another one does so for too long
   */
  whileMigrating<Result>(work: () => Promise<Result>): Promise<Result>;
  /** Appends rows in the transaction of an entity manager, in the order given. */
  appendRows(em: EntityManager, batches: readonly AppendBatch[]): Promise<void>;
  /** Whether the database gave way to another transaction: the same work may succeed when run again. */
  isContention(error: unknown): boolean;
  /** Whether the database has a clock beside this machine's. */
  readonly hasOwnClock: boolean;
  /** Asks the database what it can tell of itself. @throws where it does not answer */
  look(): Promise<DatabaseLook>;
  /**
   * Makes sure that the database has every table and column that the server uses, and grants what the server does with them.
   * It changes nothing.
   * @throws the database's error, which names what is missing
   */
  requireUsable(): Promise<void>;
  /**
   * The time of the latest ledger entry, for a database that has no other clock.
   * @returns undefined without an entry, and for a database with a clock of its own
   */
  lastEntryAt(): Promise<Date | undefined>;
  close(): Promise<void>;
}
