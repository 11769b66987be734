import { defineEntity, p } from '@mikro-orm/core';
import type { RequestSource } from '../domain/caller.js';
import { DomainError } from '../domain/errors.js';
import { IDEMPOTENCY_KEY_CHARACTERS_MAX } from '../domain/idempotency.js';
import type { CallerKind, OrderPhase, OrderSource, OrderStatus } from '../domain/kinds.js';
import { MINOR_UNITS_MAX } from '../domain/money.js';
import { rejected } from '../domain/mutations.js';
import {
  bulkCountOf,
  failureFromJson,
  failureToJson,
  isFinal,
  ORDER_BULKS_MAX,
  ORDER_ROWS_MAX,
  ORDER_TRANSITIONS,
  type OrderAction,
  type OrderFailure,
} from '../domain/order.js';
import type { FileProblem, FileWarning } from '../domain/order-warnings.js';
import { ExactTextColumn, UuidColumn } from './column-types.js';

/** A server that adds the rows of orders and performs them. */
export interface OrderLease {
  readonly holder: string;
  readonly until: Date;
}

/** The facts of a new order. */
export interface OrderFacts {
  readonly id: string;
  readonly accountId: string;
  readonly organizationId: string;
  readonly name: string | null;
  readonly source: OrderSource;
  readonly currency: string;
  readonly fileName: string | null;
  readonly createdBy: string;
  readonly createdAt: Date;
}

/** The facts of an order that come with its file. */
export interface OrderFileFacts {
  /** SHA-256 of the file, in hexadecimal digits. */
  readonly fileHash: string;
  /** The number of the order in its file, from 0. */
  readonly filePart: number;
  readonly importKey: string | null;
  /** The day on which the file asks to execute it: YYYY-MM-DD. */
  readonly executionDate: string | null;
  readonly problems: readonly FileProblem[];
  readonly warnings: readonly FileWarning[];
}

/** Sums over rows of an order, or their change. */
export interface OrderSums {
  readonly rowCount: number;
  /** The number of problems of the rows. */
  readonly problemCount: number;
  /** The number of rows whose amount cannot be read. */
  readonly unreadableRows: number;
  /** The sum of all other amounts, in minor units. */
  readonly totalAmountMinor: bigint;
}

/** The request by which an order is submitted. */
export interface OrderSubmission {
  readonly source: RequestSource;
  /** The idempotency key of its bulk; undefined for the one that it had before, or else the id of the order. */
  readonly idempotencyKey: string | undefined;
  /** The largest number of rows of one bulk. */
  readonly bulkRowsMax: number;
}

/**
 * Rows that are kept and corrected until they are performed together. MikroORM makes entities without their constructor,
 * so the class has no `#` methods.
 */
export class BulkTransferOrder implements OrderSums {
  readonly id!: string;
  readonly accountId!: string;
  readonly organizationId!: string;
  readonly name!: string | null;
  status!: OrderStatus;
  readonly source!: OrderSource;
  /** The currency of the account. */
  readonly currency!: string;
  readonly fileName!: string | null;
  fileHash!: string | null;
  filePart!: number | null;
  /** The problems of the file as a whole: see FileProblem. Null if there are none. */
  fileProblemsJson!: string | null;
  /** The warnings about the file: see FileWarning. Null if there are none. */
  fileWarningsJson!: string | null;
  /** The idempotency key of the request that imported the file. */
  importKey!: string | null;
  executionDate!: string | null;
  rowCount!: number;
  problemCount!: number;
  unreadableRows!: number;
  totalAmountMinor!: bigint;
  /** The number of rows that are stored. The rows of an order that ended are deleted later. */
  keptRows!: number;
  idempotencyKey!: string | null;
  bulkRowsMax!: number | null;
  /** The number of changes of its state: see OrderTransition. */
  transitionCount!: number;
  /** The number of bulks that were performed, which are the first ones of the order. */
  performedBulks!: number;
  /** Why the order failed: see OrderFailure. */
  failureJson!: string | null;
  readonly createdBy!: string;
  /** The caller and the request that submitted the order last. */
  submittedBy!: string | null;
  submittedByKind!: CallerKind | null;
  requestId!: string | null;
  remoteAddress!: string | null;
  createdAt!: Date;
  changedAt!: Date;
  submittedAt!: Date | null;
  performedAt!: Date | null;
  /** The time at which the order expires, or its rows are deleted if it has ended; null if neither is due. */
  expiresAt!: Date | null;
  phase!: OrderPhase;
  /** The number of rows that are done in the phase. */
  rowsDone!: number;
  /** The server that adds rows or performs the order; null without a lease. */
  leasedBy!: string | null;
  /** The end of the lease; without a server, the time from which one may take the order. */
  leasedUntil!: Date | null;

  /** @param retentionMs the time after which a draft expires */
  static of(facts: OrderFacts, retentionMs: number): BulkTransferOrder {
    return Object.assign(new BulkTransferOrder(), {
      id: facts.id,
      accountId: facts.accountId,
      organizationId: facts.organizationId,
      name: facts.name,
      source: facts.source,
      currency: facts.currency,
      fileName: facts.fileName,
      fileHash: null,
      filePart: null,
      fileProblemsJson: null,
      fileWarningsJson: null,
      importKey: null,
      executionDate: null,
      createdBy: facts.createdBy,
      createdAt: facts.createdAt,
      status: 'DRAFT',
      rowCount: 0,
      problemCount: 0,
      unreadableRows: 0,
      totalAmountMinor: 0n,
      keptRows: 0,
      idempotencyKey: null,
      bulkRowsMax: null,
      transitionCount: 0,
      performedBulks: 0,
      failureJson: null,
      submittedBy: null,
      submittedByKind: null,
      requestId: null,
      remoteAddress: null,
      changedAt: facts.createdAt,
      submittedAt: null,
      performedAt: null,
      expiresAt: new Date(facts.createdAt.getTime() + retentionMs),
      phase: 'DONE',
      rowsDone: 0,
      leasedBy: null,
      leasedUntil: null,
    } satisfies Partial<BulkTransferOrder>);
  }

  /**
   * Returns an order whose rows are added in parts. Nobody changes or submits it before it is complete.
   * @param lease the server that adds the rows, and the time after which the order is deleted if it is not complete
   */
  static beingRead(facts: OrderFacts, lease: OrderLease, file?: OrderFileFacts): BulkTransferOrder {
    const order = BulkTransferOrder.of(facts, 0);
    order.phase = 'READING';
    order.leasedBy = lease.holder;
    order.leasedUntil = lease.until;
    order.expiresAt = lease.until;
    if (!file) return order;
    return Object.assign(order, {
      fileHash: file.fileHash,
      filePart: file.filePart,
      fileProblemsJson: jsonOf(file.problems),
      fileWarningsJson: jsonOf(file.warnings),
      importKey: file.importKey,
      executionDate: file.executionDate,
    });
  }

  get fileProblems(): readonly FileProblem[] {
    return this.fileProblemsJson === null ? [] : JSON.parse(this.fileProblemsJson);
  }

  get fileWarnings(): readonly FileWarning[] {
    return this.fileWarningsJson === null ? [] : JSON.parse(this.fileWarningsJson);
  }

  /** The sum of all amounts in minor units; null if an amount cannot be read. */
  get totalMinor(): bigint | null {
    return this.unreadableRows === 0 ? this.totalAmountMinor : null;
  }

  get isBeingRead(): boolean {
    return this.phase === 'READING';
  }

  get failure(): OrderFailure | undefined {
    return this.failureJson === null ? undefined : failureFromJson(this.failureJson);
  }

  /** Asserts that all rows are there to be copied. @throws DomainError ORDER_STATE_CONFLICT */
  assertCopyable(): void {
    this.assertRead();
    if (this.keptRows === this.rowCount) return;
    throw this.conflict('Its rows were deleted, because it ended long ago.');
  }

  /** Returns the error of a copy whose original was changed before the copy was complete. */
  changedMeanwhile(): DomainError {
    return this.conflict('It was changed while it was copied: try again.');
  }

  /** Asserts that the rows may change. @throws DomainError ORDER_STATE_CONFLICT */
  assertEditable(): void {
    this.assertRead();
    if (this.performedBulks > 0) {
      throw this.conflict('Some of its bulks were performed: its rows do not change any more.');
    }
    this.after('edit');
  }

  /** Notes that the rows have changed. @throws DomainError ORDER_STATE_CONFLICT, or INVALID_INPUT for a limit */
  edit(change: OrderSums, at: Date, retentionMs: number): void {
    this.assertEditable();
    this.move('edit', at, retentionMs);
    this.addSums(change);
    this.failureJson = null;
  }

  /** Notes that rows were added to an order that is being read. @throws DomainError INVALID_INPUT for a limit */
  append(change: OrderSums, leaseEnd: Date): void {
    this.addSums(change);
    this.rowsDone = this.rowCount;
    this.leasedUntil = leaseEnd;
    this.expiresAt = leaseEnd;
  }

  /** Notes that all rows were added. */
  complete(at: Date, retentionMs: number): void {
    this.move('edit', at, retentionMs);
    this.createdAt = this.changedAt;
    this.endWork(0);
  }

  /** @throws DomainError ORDER_STATE_CONFLICT */
  submit({ source, idempotencyKey, bulkRowsMax }: OrderSubmission, at: Date): void {
    this.assertRead();
    if (this.rowCount === 0) throw this.conflict('It has no rows.');
    if (this.problemCount > 0) throw this.conflict('Its rows have problems: correct them first.');
    if (this.fileProblemsJson !== null) {
      throw this.conflict('Its file has problems: correct the file and import it again.');
    }
    const size = this.performedBulks > 0 ? (this.bulkRowsMax ?? bulkRowsMax) : bulkRowsMax;
    const bulkCount = bulkCountOf(this.rowCount, size);
    if (bulkCount > ORDER_BULKS_MAX) {
      throw this.conflict(`It needs ${bulkCount} bulks; an order has at most ${ORDER_BULKS_MAX}.`);
    }
    const isKeyRefused = this.failure?.code === 'IDEMPOTENCY_KEY_REUSED';
    const isKeyKept = this.idempotencyKey !== null && (this.performedBulks > 0 || !isKeyRefused);
    if (isKeyKept && idempotencyKey !== undefined && idempotencyKey !== this.idempotencyKey) {
      throw this.conflict('It was submitted with another idempotency key: duplicate it instead.');
    }
    this.move('submit', at);
    // A server that stood still may perform the bulk of an earlier submission. With the same key it is the same bulk.
    if (!isKeyKept) this.idempotencyKey = idempotencyKey ?? this.id;
    this.bulkRowsMax = size;
    this.submittedBy = source.caller.name;
    this.submittedByKind = source.caller.kind;
    this.requestId = source.requestId;
    this.remoteAddress = source.remoteAddress;
    this.submittedAt = this.changedAt;
    this.failureJson = null;
    this.phase = 'WAITING';
  }

  perform(at: Date, retentionMs: number): void {
    this.move('perform', at, retentionMs);
    this.performedAt = this.changedAt;
    this.endWork(this.rowCount);
  }

  fail(failure: OrderFailure, at: Date, retentionMs: number): void {
    this.move('fail', at, retentionMs);
    this.failureJson = failureToJson(failure);
    this.endWork(0);
  }

  /** @throws DomainError ORDER_STATE_CONFLICT */
  cancel(at: Date, retentionMs: number): void {
    this.assertRead();
    if (this.leasedBy !== null) throw this.conflict('A server is performing it.');
    this.move('cancel', at, retentionMs);
    this.endWork(0);
  }

  expire(at: Date, retentionMs: number): void {
    this.move('expire', at, retentionMs);
  }

  /** Notes that stored rows were deleted after the end of the order. */
  forget(rowCount: number): void {
    this.keptRows -= rowCount;
    if (this.keptRows === 0) this.expiresAt = null;
  }

  private endWork(rowsDone: number): void {
    this.phase = 'DONE';
    this.rowsDone = rowsDone;
    this.leasedBy = null;
    this.leasedUntil = null;
  }

  private addSums(change: OrderSums): void {
    const rowCount = this.rowCount + change.rowCount;
    const totalAmountMinor = this.totalAmountMinor + change.totalAmountMinor;
    if (rowCount > ORDER_ROWS_MAX) throw tooManyRows();
    if (totalAmountMinor > MINOR_UNITS_MAX) throw totalTooLarge();
    this.rowCount = rowCount;
    this.keptRows = rowCount;
    this.totalAmountMinor = totalAmountMinor;
    this.problemCount += change.problemCount;
    this.unreadableRows += change.unreadableRows;
  }

  private assertRead(): void {
    if (this.isBeingRead) throw this.conflict('Its rows are still being read.');
  }

  private move(action: OrderAction, now: Date, retentionMs?: number): void {
    this.status = this.after(action);
    // The clock of the server that changed the order before may be ahead.
    const at = now > this.changedAt ? now : this.changedAt;
    this.changedAt = at;
    const isDue = retentionMs !== undefined && (!isFinal(this.status) || this.keptRows > 0);
    this.expiresAt = isDue ? new Date(at.getTime() + retentionMs) : null;
  }

  private after(action: OrderAction): OrderStatus {
    const next = ORDER_TRANSITIONS[this.status][action];
    if (next === undefined) throw this.conflict(`It is ${this.status}.`);
    return next;
  }

  private conflict(reason: string): DomainError {
    return new DomainError({ code: 'ORDER_STATE_CONFLICT', orderId: this.id, reason });
  }
}

function jsonOf(list: readonly object[]): string | null {
  return list.length === 0 ? null : JSON.stringify(list);
}

function tooManyRows() {
  const message = `An order may have ${ORDER_ROWS_MAX} rows.`;
  const problems = [{ field: 'rows', code: 'TOO_MANY', message }] as const;
  return rejected('addOrderRows', { code: 'INVALID_INPUT', problems });
}

function totalTooLarge() {
  const message = 'The total of all amounts is larger than the largest possible balance.';
  const problems = [{ field: 'rows', code: 'AMOUNT_TOO_LARGE', message }] as const;
  return rejected('addOrderRows', { code: 'INVALID_INPUT', problems });
}

export const BulkTransferOrderSchema = defineEntity({
  class: BulkTransferOrder,
  tableName: 'bulk_transfer_order',
  properties: {
    id: p.type(UuidColumn).primary(),
    accountId: p.type(UuidColumn),
    organizationId: p.type(UuidColumn),
    name: p.string().length(140).nullable(),
    status: p.string().length(20).$type<OrderStatus>(),
    source: p.string().length(20).$type<OrderSource>(),
    currency: p.string().length(3),
    fileName: p.string().length(255).nullable(),
    fileHash: p.string().length(64).nullable(),
    filePart: p.integer().nullable(),
    fileProblemsJson: p.text().fieldName('file_problems').nullable(),
    fileWarningsJson: p.text().fieldName('file_warnings').nullable(),
    importKey: p.type(new ExactTextColumn(IDEMPOTENCY_KEY_CHARACTERS_MAX)).nullable(),
    executionDate: p.string().length(10).nullable(),
    rowCount: p.integer(),
    problemCount: p.integer(),
    unreadableRows: p.integer(),
    totalAmountMinor: p.bigint(),
    keptRows: p.integer(),
    idempotencyKey: p.type(new ExactTextColumn(IDEMPOTENCY_KEY_CHARACTERS_MAX)).nullable(),
    bulkRowsMax: p.integer().nullable(),
    transitionCount: p.integer(),
    performedBulks: p.integer(),
    failureJson: p.text().fieldName('failure').nullable(),
    createdBy: p.string().length(255),
    submittedBy: p.string().length(255).nullable(),
    submittedByKind: p.string().length(20).$type<CallerKind>().nullable(),
    requestId: p.string().length(36).nullable(),
    remoteAddress: p.string().length(45).nullable(),
    createdAt: p.datetime().length(3),
    changedAt: p.datetime().length(3),
    submittedAt: p.datetime().length(3).nullable(),
    performedAt: p.datetime().length(3).nullable(),
    expiresAt: p.datetime().length(3).nullable(),
    phase: p.string().length(20).$type<OrderPhase>(),
    rowsDone: p.integer(),
    leasedBy: p.type(UuidColumn).nullable(),
    leasedUntil: p.datetime().length(3).nullable(),
  },
  uniques: [
    {
      name: 'bulk_transfer_order_import_key_unique',
      properties: ['organizationId', 'importKey', 'filePart'],
    },
  ],
  indexes: [
    {
      name: 'bulk_transfer_order_file_index',
      properties: ['organizationId', 'fileHash', 'id'],
    },
    {
      name: 'bulk_transfer_order_room_index',
      properties: ['organizationId', 'status', 'keptRows'],
    },
    { name: 'bulk_transfer_order_organization_index', properties: ['organizationId', 'id'] },
    { name: 'bulk_transfer_order_account_index', properties: ['accountId', 'id'] },
    { name: 'bulk_transfer_order_status_index', properties: ['status', 'id'] },
    { name: 'bulk_transfer_order_expires_at_index', properties: ['expiresAt'] },
  ],
});
