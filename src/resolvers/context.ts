import type { AccountFeeds } from '../application/ports/account-feeds.js';
import type { AuditLog } from '../application/ports/audit-log.js';
import type { OrderFeeds } from '../application/ports/order-feeds.js';
import type { ScopedLedgerReader } from '../application/ports/scoped-ledger-reader.js';
import type { RequestSource } from '../domain/caller.js';
import { ForbiddenError } from '../domain/errors.js';
import type { RejectionCode, Role } from '../domain/kinds.js';
import type { CreditTransferInput } from '../schema/perform-bulk-transfer.js';
import type { Loaders } from './loaders.js';

/** The rows of a bulk, as GraphQL coerces them. */
export type BulkRows = readonly CreditTransferInput[];

/** The origin of an event of a subscription. */
export interface EventOrigin {
  /** The place of the event in its list; undefined if the list has no places. */
  readonly cursor?: string;
  /** The trace of the request that caused the event, in W3C's format; undefined if it is not known. */
  readonly traceparent?: string | undefined;
}

/**
 * The context of one GraphQL operation. Resolvers take `reader` and `loaders` from the context right before they
 * read. The access throws AbandonedError if the client has disconnected or the request has timed out, so the work of
 * an operation stops with its client.
 */
export interface RequestContext {
  readonly source: RequestSource;
  /** The values of the HTTP header Idempotency-Key as they arrived: none, one, or several by mistake. */
  readonly idempotencyKeyHeaders: readonly string[];
  /** The cursor of the last event that the client of a stream has seen, if its transport sends the cursor. */
  readonly lastEventId: string | undefined;
  /** The origin of the latest event, for the transport. Subscriptions set it. */
  eventOrigin: EventOrigin;
  /** Reads the ledger within the caller's organizations. */
  readonly reader: ScopedLedgerReader;
  readonly feeds: AccountFeeds;
  readonly orderFeeds: OrderFeeds;
  readonly loaders: Loaders;
  readonly audit: AuditLog;
  /** The rows that were taken out of the variables, by the name of the variable. */
  readonly bulkRows: Map<string, BulkRows>;
  /** Notes that a mutation was refused, for the log. */
  noteRefusal(code: RejectionCode): void;
  /**
   * Charges the caller for rows that are summed. Their number is known only when the operation runs.
   * @throws GraphQLError TOO_EXPENSIVE or RATE_LIMITED
   */
  chargeForRows(rows: number): void;
  /**
   * Begins an event. A subscription is one operation for its whole life, so rows that were loaded for the last event are
   * outdated.
   */
  beginEvent(): void;
  /**
   * Charges the caller of a subscription for the accounts that it follows. Their number is known only when the
   * subscription begins.
   * @throws GraphQLError TOO_MANY_SUBSCRIPTIONS or RATE_LIMITED
   */
  followAccounts(count: number): void;
}

/** @throws ForbiddenError if the caller has none of the roles */
export function requireRole(
  { source: { caller } }: Pick<RequestContext, 'source'>,
  ...roles: readonly Role[]
): void {
  if (roles.some((role) => caller.roles.includes(role))) return;
  throw new ForbiddenError(`This field requires the role ${roles.join(' or ')}.`);
}
