import type { AccountFeeds } from '../application/ports/account-feeds.js';
import type { AuditLog } from '../application/ports/audit-log.js';
import type { OrderFeeds } from '../application/ports/order-feeds.js';
import type { ScopedLedgerReader } from '../application/ports/scoped-ledger-reader.js';
import type { RequestSource } from '../domain/caller.js';
import { AbandonedError } from '../domain/errors.js';
import type { RejectionCode } from '../domain/kinds.js';
import type { BulkRows, EventOrigin, RequestContext } from '../resolvers/context.js';
import { type Loaders, makeLoaders } from '../resolvers/loaders.js';
import { graphQLErrorOf } from './error-response.js';
import type { OperationGate, StreamPlace } from './limits/operation-gate.js';
import type { OperationRecord } from './operation-record.js';

export interface OperationContextParts {
  readonly source: RequestSource;
  readonly idempotencyKeyHeaders?: readonly string[];
  /** The cursor of the last event that the client of a stream has received. */
  readonly lastEventId?: string;
  /** Reads the ledger within the caller's organizations. */
  readonly reader: ScopedLedgerReader;
  readonly feeds: AccountFeeds;
  readonly orderFeeds: OrderFeeds;
  readonly audit: AuditLog;
  /** Units of cost that were taken for the bytes of the body, before the operation was known. */
  readonly unitsPaid?: number;
  /** The record of the operation for the log. */
  readonly record?: OperationRecord | undefined;
  readonly rowCharger: RowCharger;
  /** Pays for the accounts that a subscription follows: see StreamPlace. */
  readonly followAccounts?: StreamPlace['followAccounts'] | undefined;
}

/** The parts of a context that come from an HTTP request or a subscription. */
type RequestParts = Pick<
  OperationContextParts,
  'idempotencyKeyHeaders' | 'lastEventId' | 'unitsPaid' | 'followAccounts' | 'record'
>;

export type ContextFactory = (source: RequestSource, ofRequest?: RequestParts) => OperationContext;

/**
 * The number of rows per unit of cost that are only summed. The database reads some hundred of them in the time of one
 * row that is answered.
 */
const SUMMED_ROWS_PER_UNIT = 200;

/** Charges a caller for the rows that one operation, or one event of a subscription, sums. */
export class RowCharger {
  private spent = 0;

  constructor(
    private readonly gate: OperationGate,
    private readonly caller: string,
  ) {}

  /** @throws GraphQLError TOO_EXPENSIVE or RATE_LIMITED */
  charge(rows: number): void {
    const units = Math.floor(rows / SUMMED_ROWS_PER_UNIT);
    if (units === 0) return;
    const response = this.gate.spend(units, this.caller, this.spent);
    if (response) throw graphQLErrorOf(response);
    this.spent += units;
  }

  /** Begins the next event, which may cost as much as the one before. */
  beginEvent(): void {
    this.spent = 0;
  }
}

/** The context of one operation over any transport. Apollo copies it, so it has no `#` fields. */
export class OperationContext implements RequestContext {
  readonly source: RequestSource;
  readonly idempotencyKeyHeaders: readonly string[];
  readonly lastEventId: string | undefined;
  eventOrigin: EventOrigin = {};
  readonly feeds: AccountFeeds;
  readonly orderFeeds: OrderFeeds;
  readonly audit: AuditLog;
  readonly bulkRows = new Map<string, BulkRows>();
  readonly unitsPaid: number;
  readonly record: OperationRecord | undefined;
  private readonly rowCharger: RowCharger;
  private readonly followMore: OperationContextParts['followAccounts'];
  private readonly scopedReader: ScopedLedgerReader;
  private readonly ownLoaders: Loaders;

  constructor(parts: OperationContextParts) {
    this.source = parts.source;
    this.idempotencyKeyHeaders = parts.idempotencyKeyHeaders ?? [];
    this.lastEventId = parts.lastEventId;
    this.feeds = parts.feeds;
    this.orderFeeds = parts.orderFeeds;
    this.audit = parts.audit;
    this.unitsPaid = parts.unitsPaid ?? 0;
    this.record = parts.record;
    this.rowCharger = parts.rowCharger;
    this.followMore = parts.followAccounts;
    this.scopedReader = parts.reader;
    this.ownLoaders = makeLoaders(parts.reader);
  }

  get reader(): ScopedLedgerReader {
    this.assertWanted();
    return this.scopedReader;
  }

  get loaders(): Loaders {
    this.assertWanted();
    return this.ownLoaders;
  }

  noteRefusal(code: RejectionCode): void {
    if (this.record) this.record.outcome ??= code;
  }

  chargeForRows(rows: number): void {
    this.rowCharger.charge(rows);
  }

  beginEvent(): void {
    this.rowCharger.beginEvent();
    for (const loader of Object.values(this.ownLoaders)) loader.clearAll();
  }

  followAccounts(count: number): void {
    const response = this.followMore?.(count);
    if (response) throw graphQLErrorOf(response);
  }

  private assertWanted(): void {
    if (this.source.isAbandoned?.()) throw new AbandonedError();
  }
}
