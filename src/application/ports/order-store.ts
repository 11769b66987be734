import type { CreditTransferRequest } from '../../domain/bulk-transfer.js';
import type { OrganizationScope, RequestSource } from '../../domain/caller.js';
import type {
  AuditedAction,
  AuditedOutcomeCode,
  OrderPhase,
  OrderStatus,
} from '../../domain/kinds.js';
import type { FileProblem } from '../../domain/order-warnings.js';
import type { BulkTransferOrder, OrderLease } from '../../entities/bulk-transfer-order.entity.js';
import type { OrderRow, OrderRowRecord } from '../../entities/order-row.entity.js';
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
  /** The organization of the order. Its changes are made one after another. */
  readonly organizationId: string;
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

/** A problem of a row, with the row, or of the file of an order. */
export interface OrderProblem extends FileProblem {
  /** Absent for a problem of the file. */
  readonly row?: OrderRow;
  /** The place among the problems of the order, which grows with the number of the row. */
  readonly place: bigint;
}

/** An order with the problems of its file. */
export interface ProblematicOrder {
  readonly id: string;
  readonly fileProblems: readonly FileProblem[];
  /** The number of problems of the file and of all rows. */
  readonly problemCount: number;
}

/** A row to perform. */
export interface NumberedRow {
  readonly rowIndex: bigint;
  /** The line of the file, from 1; null if the row came from no file. */
  readonly line: number | null;
  readonly row: CreditTransferRequest;
}

/** The rows that are copied from one order to another, by their numbers. */
export interface CopiedRows {
  readonly from: string;
  /** The number of the first row. */
  readonly first: bigint;
  readonly count: number;
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
   * Adds the orders of a file, or a copy, that are still being read. They are deleted after their lease, unless they are
   * completed.
   * @param rowCount the number of rows that will be added
   * @throws DomainError INVALID_INPUT as add does, or for too many rows; ImportConflictError if another request with the
   *   same key was faster
   */
  begin(orders: readonly BulkTransferOrder[], rowCount: number): Promise<void>;
  /** Adds rows to an order that is being read. @throws AbandonedError if the lease is lost */
  append(id: string, lease: OrderLease, rows: readonly OrderRowRecord[]): Promise<void>;
  /**
   * Copies rows of one order to another that is being read. @returns the number of the last row, undefined if none is left
   * @throws AbandonedError if the lease is lost
   */
  copy(id: string, lease: OrderLease, rows: CopiedRows): Promise<bigint | undefined>;
  /** Completes orders that were read, all in one commit. @throws AbandonedError if a lease is lost */
  complete(
    ids: readonly string[],
    completion: Pick<OrderChange, 'action' | 'source'> & { readonly at: Date },
  ): Promise<BulkTransferOrder[]>;
  /** Lets orders that are being read be deleted soon. */
  abandon(ids: readonly string[], now: Date): Promise<void>;
  /** Returns the orders of organizations that a key imported, in the order of their file. */
  importedBy(organizationIds: readonly string[], importKey: string): Promise<BulkTransferOrder[]>;
  /** Returns the latest complete order that came from a file, by the hash of the file; null if there is none. */
  lastOfFile(
    organizationIds: readonly string[],
    fileHash: string,
  ): Promise<BulkTransferOrder | null>;

  /** Lists the rows of an order in order of their numbers. */
  rows(
    orderId: string,
    onlyProblems: boolean,
    range: PageRange<bigint>,
  ): Promise<ListPage<OrderRow>>;
  /** Lists the problems of the file of an order, then those of its rows in their order. */
  problems(order: ProblematicOrder, range: PageRange<bigint>): Promise<ListPage<OrderProblem>>;
  /** Returns the number of the row at a place among the rows of an order, from 0; undefined if there is none. */
  rowIndexAt(orderId: string, place: number): Promise<bigint | undefined>;
  /** Reads rows from a number on, in order of their numbers. */
  rowsFrom(orderId: string, first: bigint, count: number): Promise<NumberedRow[]>;

  /** Leases a submitted order. Organizations take turns. @returns null if none waits */
  claim(lease: OrderLease, now: Date): Promise<BulkTransferOrder | null>;
  /** Notes the progress of a leased order, and renews the lease. @returns false if the lease is lost */
  noteProgress(id: string, lease: OrderLease, progress: OrderProgress): Promise<boolean>;
  /** Ends a lease, so that another server may take the order at once or from a moment on. */
  release(id: string, holder: string, from: Date): Promise<void>;
  /** Returns the servers that lease an order. */
  leaseHolders(): Promise<string[]>;
  /** Ends the leases of a server. @returns the number of its orders */
  releaseOf(holder: string): Promise<number>;
  /** Returns orders that are due to expire, or whose rows are due to be deleted, a limited number. */
  due(now: Date): Promise<BulkTransferOrder[]>;
  /** Deletes rows of an order that is due, a limited number. @returns whether there are more */
  pruneRows(id: string, now: Date): Promise<boolean>;
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
  /** The server that has the lease. */
  readonly holder: string;
  /** Is called with each progress. */
  readonly report: (progress: OrderProgress) => void;
  /** Tells whether another server may have the order, so that no bulk of it may begin. */
  readonly isLost: () => boolean;
}
