import type { RejectionCode } from './kinds.js';
import type { Problem } from './problem.js';

/** The details of each rejection. The client needs them to continue. */
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
    /** The bulk that used the key; undefined if a credit used it. */
    readonly bulkTransferId?: string;
  };
  ACCOUNT_BUSY: unknown;
  ACCOUNT_EXISTS: { readonly accountId: string; readonly iban: string };
  INVALID_INPUT: { readonly problems: readonly Problem[] };
  WEBHOOK_NOT_FOUND: unknown;
  ORDER_NOT_FOUND: unknown;
  ORDER_STATE_CONFLICT: {
    readonly orderId: string;
    /** A sentence for a human reader: why the state does not allow it. */
    readonly reason: string;
  };
}

/** A business outcome other than the requested one. */
export type Rejection<Code extends RejectionCode = RejectionCode> = {
  [Each in Code]: { readonly code: Each } & RejectionDetails[Each];
}[Code];

/**
 * A business outcome. An error of this class rolls back the unit of work in which it is thrown. The resolver turns it
 * into a member of the mutation's union.
 */
export class DomainError extends Error {
  override readonly name = 'DomainError';

  constructor(readonly rejection: Rejection) {
    super(rejection.code);
  }
}

/** The error of an export of an order whose rows were deleted, because it ended long ago. It is answered by 410. */
export class RowsDeletedError extends Error {
  override readonly name = 'RowsDeletedError';

  constructor() {
    super('The rows of the order were deleted, because it ended long ago: export its bulks.');
  }
}

/** The error of an export whose subject changed while it was read. The file is not complete. */
export class ChangedMeanwhileError extends Error {
  override readonly name = 'ChangedMeanwhileError';
}

/** The error of a request whose client disconnected or timed out before the work began. The work was dropped. */
export class AbandonedError extends Error {
  override readonly name = 'AbandonedError';

  constructor() {
    super('The client disconnected or timed out; nothing was done.');
  }
}

/** Reasons why a valid request cannot be served for now. */
export type Unavailability =
  /** The database is disconnected, or the connection was lost before anything was committed. */
  | 'DATABASE_AWAY'
  /** The database accepts no writes, for example after a failover. */
  | 'DATABASE_READ_ONLY'
  /** The database has no space left, on its disk or in its memory. */
  | 'DATABASE_FULL'
  /** The database user of this server lacks a privilege. */
  | 'DATABASE_ACCESS_DENIED'
  /** The database lacks a table or a column. */
  | 'DATABASE_INCOMPLETE'
  /** A statement was interrupted, or the database could not read or write its files. */
  | 'STATEMENT_FAILED'
  /** The clocks of this server and of the database differ by more than the limit. */
  | 'CLOCK_SKEW'
  /** The server has no broker, or the broker is disconnected or does not confirm. */
  | 'BROKER_AWAY'
  /**
   * The commit of a transaction failed, but may have taken effect. The client sends the same request again with the
   * same key to learn the outcome.
   */
  | 'OUTCOME_UNKNOWN';

/**
 * The error of a request that may succeed later. It is answered as a GraphQL error, UNAVAILABLE or OUTCOME_UNKNOWN.
 */
export class UnavailableError extends Error {
  override readonly name = 'UnavailableError';

  constructor(
    readonly reason: Unavailability,
    options?: ErrorOptions,
  ) {
    super(reason, options);
  }
}

/** The error of an import whose key identifies another file, or a file that is still being read. */
export class ImportConflictError extends Error {
  override readonly name = 'ImportConflictError';

  constructor(readonly reason: 'KEY_REUSED' | 'IN_PROGRESS') {
    super(`The idempotency key of an import: ${reason}`);
  }
}

/** The error of a caller who lacks the required role. It is answered as a GraphQL error, FORBIDDEN. */
export class ForbiddenError extends Error {
  override readonly name = 'ForbiddenError';
}

/**
 * The error of a request without a meaning, such as a page of 0 nodes or a foreign cursor. It is answered as a
 * GraphQL error, BAD_USER_INPUT.
 */
export class BadUserInputError extends Error {
  override readonly name = 'BadUserInputError';
}

/**
 * The error of a cursor whose place the ledger does not have, because the ledger was since restored from a backup. It
 * is answered as a GraphQL error, UNKNOWN_CURSOR.
 */
export class UnknownCursorError extends Error {
  override readonly name = 'UnknownCursorError';

  constructor() {
    super(
      'The ledger does not contain the position of this cursor, perhaps because it was restored from a backup. Start again without a cursor.',
    );
  }
}
