import { defineEntity, p } from '@mikro-orm/core';
import type { RequestSource } from '../domain/caller.js';
import { DomainError } from '../domain/errors.js';
import { IDEMPOTENCY_KEY_CHARACTERS_MAX } from '../domain/idempotency.js';
import type { CallerKind, OrderPhase, OrderSource, OrderStatus } from '../domain/kinds.js';
import {
  failureFromJson,
  failureToJson,
  isFinal,
  ORDER_TRANSITIONS,
  type OrderAction,
  type OrderFailure,
} from '../domain/order.js';
import { ExactTextColumn, UuidColumn } from './column-types.js';

interface OrderFacts {
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

/** The count, the problems and the total of the rows of an order. */
export interface OrderSummary {
  readonly rowCount: number;
  readonly problemCount: number;
  /** The sum in minor units; null if an amount cannot be read. */
  readonly totalAmountMinor: bigint | null;
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
export class BulkTransferOrder implements OrderSummary {
  readonly id!: string;
  readonly accountId!: string;
  readonly organizationId!: string;
  readonly name!: string | null;
  status!: OrderStatus;
  readonly source!: OrderSource;
  /** The currency of the account. */
  readonly currency!: string;
  readonly fileName!: string | null;
  rowCount!: number;
  problemCount!: number;
  totalAmountMinor!: bigint | null;
  idempotencyKey!: string | null;
  bulkRowsMax!: number | null;
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
  readonly createdAt!: Date;
  changedAt!: Date;
  submittedAt!: Date | null;
  performedAt!: Date | null;
  /** The time at which the order expires; null if it does not. */
  expiresAt!: Date | null;
  phase!: OrderPhase;
  /** The number of rows that are done in the phase. */
  rowsDone!: number;
  /** The server that performs the order; null without a lease. */
  leasedBy!: string | null;
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
      createdBy: facts.createdBy,
      createdAt: facts.createdAt,
      status: 'DRAFT',
      rowCount: 0,
      problemCount: 0,
      totalAmountMinor: 0n,
      idempotencyKey: null,
      bulkRowsMax: null,
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

  get failure(): OrderFailure | undefined {
    return this.failureJson === null ? undefined : failureFromJson(this.failureJson);
  }

  /** Asserts that the rows may change. @throws DomainError ORDER_STATE_CONFLICT */
  assertEditable(): void {
    if (this.performedBulks > 0) {
      throw this.conflict('Some of its bulks were performed: its rows do not change any more.');
    }
    this.after('edit');
  }

  /** Notes that the rows have changed. @throws DomainError ORDER_STATE_CONFLICT */
  edit(summary: OrderSummary, at: Date, retentionMs: number): void {
    this.assertEditable();
    this.move('edit', at, retentionMs);
    Object.assign(this, summary);
    this.failureJson = null;
  }

  /** @throws DomainError ORDER_STATE_CONFLICT */
  submit({ source, idempotencyKey, bulkRowsMax }: OrderSubmission, at: Date): void {
    if (this.rowCount === 0) throw this.conflict('It has no rows.');
    if (this.problemCount > 0) throw this.conflict('Its rows have problems: correct them first.');
    const isKeyRefused = this.failure?.code === 'IDEMPOTENCY_KEY_REUSED';
    const isKeyKept = this.idempotencyKey !== null && (this.performedBulks > 0 || !isKeyRefused);
    if (isKeyKept && idempotencyKey !== undefined && idempotencyKey !== this.idempotencyKey) {
      throw this.conflict('It was submitted with another idempotency key: duplicate it instead.');
    }
    this.move('submit', at);
    // A server that stood still may perform the bulk of an earlier submission. With the same key it is the same bulk.
    if (!isKeyKept) this.idempotencyKey = idempotencyKey ?? this.id;
    this.bulkRowsMax = this.performedBulks > 0 ? this.bulkRowsMax : bulkRowsMax;
    this.submittedBy = source.caller.name;
    this.submittedByKind = source.caller.kind;
    this.requestId = source.requestId;
    this.remoteAddress = source.remoteAddress;
    this.submittedAt = this.changedAt;
    this.failureJson = null;
    this.phase = 'WAITING';
  }

  perform(at: Date): void {
    this.move('perform', at);
    this.performedAt = this.changedAt;
    this.endWork(this.rowCount);
  }

  fail(failure: OrderFailure, at: Date, retentionMs: number): void {
    this.move('fail', at, retentionMs);
    this.failureJson = failureToJson(failure);
    this.endWork(0);
  }

  /** @throws DomainError ORDER_STATE_CONFLICT */
  cancel(at: Date): void {
    this.move('cancel', at);
  }

  expire(at: Date): void {
    this.move('expire', at);
  }

  private endWork(rowsDone: number): void {
    this.phase = 'DONE';
    this.rowsDone = rowsDone;
    this.leasedBy = null;
    this.leasedUntil = null;
  }

  private move(action: OrderAction, now: Date, retentionMs?: number): void {
    this.status = this.after(action);
    // The clock of the server that changed the order before may be ahead.
    const at = now > this.changedAt ? now : this.changedAt;
    this.changedAt = at;
    const mayExpire = retentionMs !== undefined && !isFinal(this.status);
    this.expiresAt = mayExpire ? new Date(at.getTime() + retentionMs) : null;
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
    rowCount: p.integer(),
    problemCount: p.integer(),
    totalAmountMinor: p.bigint().nullable(),
    idempotencyKey: p.type(new ExactTextColumn(IDEMPOTENCY_KEY_CHARACTERS_MAX)).nullable(),
    bulkRowsMax: p.integer().nullable(),
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
  indexes: [
    { name: 'bulk_transfer_order_organization_index', properties: ['organizationId', 'id'] },
    { name: 'bulk_transfer_order_account_index', properties: ['accountId', 'id'] },
    { name: 'bulk_transfer_order_status_index', properties: ['status', 'id'] },
    { name: 'bulk_transfer_order_expires_at_index', properties: ['expiresAt'] },
  ],
});
