import type { RejectionCode } from './kinds.js';
import type { Problem } from './problem.js';

/** The details of each rejection, for the client to go on with. */
interface RejectionDetails {
  INVALID_BULK_TRANSFER: {
    readonly problems: readonly Problem[];
    readonly problemCount: number;
  };
  INSUFFICIENT_FUNDS: {
    readonly balanceMinor: bigint;
    readonly totalAmountMinor: bigint;
    readonly currency: string;
  };
  ACCOUNT_NOT_FOUND: { readonly iban: string };
  IDEMPOTENCY_KEY_REUSED: {
    readonly idempotencyKey: string;
    /** The bulk that the key stands for; undefined where it stands for a credit. */
    readonly bulkTransferId?: string;
  };
  ACCOUNT_BUSY: unknown;
  ACCOUNT_EXISTS: { readonly accountId: string; readonly iban: string };
  INVALID_INPUT: { readonly problems: readonly Problem[] };
}

/** A business outcome other than the requested one. */
export type Rejection<Code extends RejectionCode = RejectionCode> = {
  [Each in Code]: { readonly code: Each } & RejectionDetails[Each];
}[Code];

/**
 * A business outcome. Thrown inside a unit of work it rolls everything back; the resolver turns it
 * into a member of the mutation's union.
 */
export class DomainError extends Error {
  override readonly name = 'DomainError';

  constructor(readonly rejection: Rejection) {
    super(rejection.code);
  }
}

/** The client disconnected or timed out before its work began, so the work was dropped. */
export class AbandonedError extends Error {
  override readonly name = 'AbandonedError';

  constructor() {
    super('The client disconnected or timed out; nothing was done.');
  }
}

/** Why a request can't be served for now, though nothing is wrong with it. */
export type Unavailability =
  /** There is no connection to the database, or it was lost before anything was committed. */
  | 'DATABASE_AWAY'
  /** The database takes no writes, as after a fail-over. */
  | 'DATABASE_READ_ONLY'
  /** The database has no room, on its disk or in its memory. */
  | 'DATABASE_FULL'
  /** The database's user of this server lacks a privilege. */
  | 'DATABASE_ACCESS_DENIED'
  /** The database lacks a table or a column. */
  | 'DATABASE_INCOMPLETE'
  /** A statement was interrupted, or the database could not read or write its files. */
  | 'STATEMENT_FAILED'
  /** The clock of this server and the database's differ by more than they may. */
  | 'CLOCK_SKEW'
  /** The commit of a transaction failed, and may have been done: the same request tells, by its key. */
  | 'OUTCOME_UNKNOWN';

/** The same request may succeed later. Answered as a GraphQL error, UNAVAILABLE or OUTCOME_UNKNOWN. */
export class UnavailableError extends Error {
  override readonly name = 'UnavailableError';

  constructor(
    readonly reason: Unavailability,
    options?: ErrorOptions,
  ) {
    super(reason, options);
  }
}

/** The caller's roles do not include what this takes. Answered as a GraphQL error, FORBIDDEN. */
export class ForbiddenError extends Error {
  override readonly name = 'ForbiddenError';
}

/** A request that means nothing: a page of 0, a foreign cursor. Answered as a GraphQL error, BAD_USER_INPUT. */
export class BadUserInputError extends Error {
  override readonly name = 'BadUserInputError';
}

/**
 * A cursor of a place that the ledger does not have: the ledger was restored from a backup since. Answered as a
 * GraphQL error, UNKNOWN_CURSOR.
 */
export class UnknownCursorError extends Error {
  override readonly name = 'UnknownCursorError';

  constructor() {
    super(
      'The ledger does not have the place of this cursor; it may have been restored from a backup. Start again without a cursor.',
    );
  }
}
