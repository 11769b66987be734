import type { CreditTransferRequest } from '../../domain/bulk-transfer.js';
import type { OrganizationScope, RequestSource } from '../../domain/caller.js';
import type {
  AuditedAction,
  AuditedOutcomeCode,
  OrderPhase,
  OrderStatus,
} from '../../domain/kinds.js';
import type { BulkTransferOrder } from '../../entities/bulk-transfer-order.entity.js';
import type { OrderRow, OrderRowRecord, RowProblem } from '../../entities/order-row.entity.js';
import type { ListPage, PageRange } from './page.js';

/** A change of one order. */
export interface OrderChange {
  readonly action: AuditedAction;
  readonly source: RequestSource;
  /** The outcome for the audit log: DONE if absent. */
  readonly outcome?: AuditedOutcomeCode;
  /** Tells whether the order is still to be changed; it always is if absent. */
  readonly isWanted?: (order: BulkTransferOrder) => boolean;
  /** Changes the order while it is locked. A DomainError changes nothing. */
  readonly apply: (order: BulkTransferOrder) => void;
}

/** A change of the rows of one order. */
export interface OrderRowChange {
  readonly action: AuditedAction;
  readonly source: RequestSource;
  readonly at: Date;
  /** The numbers of the rows to remove: all from the first to the last, or each of them. */
  readonly removed: { readonly first: bigint; readonly last: bigint } | readonly bigint[];
  readonly added: readonly OrderRowRecord[];
  /** Is called with the number of rows that were removed. A DomainError changes nothing. */
  readonly onRemoved?: (count: number) => void;
}

/** The orders of a list. An absent field does not limit the list. */
export interface OrderFilter {
  readonly accountId?: string | undefined;
  readonly statuses?: readonly OrderStatus[] | undefined;
}

/** A problem of a row, with the row. */
export interface OrderProblem extends RowProblem {
  readonly row: OrderRow;
  /** The place among the problems of the order, which grows with the number of the row. */
  readonly place: bigint;
}

/** A row to perform. */
export interface NumberedRow {
  readonly rowIndex: bigint;
  readonly row: CreditTransferRequest;
}

/** A server that performs orders. */
export interface OrderLease {
  readonly holder: string;
  readonly until: Date;
}

/**
 * Stores orders and their rows. Each read and each change by a caller is limited to the orders of some organizations,
 * and each change is audited in its own commit.
 */
export interface OrderStore {
  /** @throws DomainError INVALID_INPUT if the organization has too many orders that may still change */
  add(order: BulkTransferOrder, source: RequestSource): Promise<void>;
  byId(id: string, organizations: OrganizationScope): Promise<BulkTransferOrder | null>;
  byIds(ids: readonly string[]): Promise<BulkTransferOrder[]>;
  /** Lists orders in order of id, newest first. */
  list(
    organizations: OrganizationScope,
    filter: OrderFilter,
    range: PageRange<string>,
  ): Promise<ListPage<BulkTransferOrder>>;
  /** Changes an order. @returns null if there is none */
  change(
    id: string,
    organizations: OrganizationScope,
    change: OrderChange,
  ): Promise<BulkTransferOrder | null>;
  /**
   * Removes and adds rows of an order whose rows may change, and counts them again. @returns null if there is no order
   * @throws DomainError ORDER_STATE_CONFLICT, or INVALID_INPUT for too many rows
   */
  changeRows(
    id: string,
    organizations: OrganizationScope,
    change: OrderRowChange,
  ): Promise<BulkTransferOrder | null>;
  /**
   * Adds a copy of an order with all of its rows. @returns null if there is no order to copy
   * @throws DomainError INVALID_INPUT as add does
   */
  duplicate(
    id: string,
    organizations: OrganizationScope,
    copy: BulkTransferOrder,
    source: RequestSource,
  ): Promise<BulkTransferOrder | null>;

  /** Lists the rows of an order in order of their numbers. */
  rows(
    orderId: string,
    onlyProblems: boolean,
    range: PageRange<bigint>,
  ): Promise<ListPage<OrderRow>>;
  /** Lists the problems of the rows of an order, in order of the rows. */
  problems(
    order: Pick<BulkTransferOrder, 'id' | 'problemCount'>,
    range: PageRange<bigint>,
  ): Promise<ListPage<OrderProblem>>;
  /** Returns the number of the row at a place among the rows of an order, from 0; undefined if there is none. */
  rowIndexAt(orderId: string, place: number): Promise<bigint | undefined>;
  /** Reads rows from a number on, in order of their numbers. */
  rowsFrom(orderId: string, first: bigint, count: number): Promise<NumberedRow[]>;

  /** Leases the submitted order that waits longest. @returns null if none waits */
  claim(lease: OrderLease, now: Date): Promise<BulkTransferOrder | null>;
  /** Notes the progress of a leased order, and renews the lease. @returns false if the lease is lost */
  noteProgress(id: string, lease: OrderLease, progress: OrderProgress): Promise<boolean>;
  /** Ends a lease, so that another server may take the order at once or from a moment on. */
  release(id: string, holder: string, from: Date): Promise<void>;
  /** Returns the servers that lease an order. */
  leaseHolders(): Promise<string[]>;
  /** Ends the leases of a server. @returns the number of its orders */
  releaseOf(holder: string): Promise<number>;
  /** Returns the ids of orders that are due to expire, a limited number. */
  expired(now: Date): Promise<string[]>;
  /** Deletes rows of orders that ended before a moment, a limited number. @returns whether there may be more */
  pruneRows(before: Date): Promise<boolean>;
}

/** The progress of the work on an order. */
export interface OrderProgress {
  readonly phase: OrderPhase;
  readonly rowsDone: number;
  readonly performedBulks: number;
}

/**
 * Performs the rest of a submitted order, and ends the order.
 * @returns false if the account is busy: the rest is performed later
 * @throws AbandonedError if the lease is lost; UnavailableError, or any other error: the rest is performed later
 */
export type PerformOrder = (order: BulkTransferOrder, lease: KeptLease) => Promise<boolean>;

/** The lease of an order that is being performed. */
export interface KeptLease {
  /** Is called with each progress. */
  readonly report: (progress: OrderProgress) => void;
  /** Tells whether another server may have the order, so that no bulk of it may begin. */
  readonly isLost: () => boolean;
}
