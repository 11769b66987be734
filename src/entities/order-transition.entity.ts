import { defineEntity, p } from '@mikro-orm/core';
import type { OrderStatus } from '../domain/kinds.js';
import type { OrderFailure } from '../domain/order.js';
import type { BulkTransferOrder } from './bulk-transfer-order.entity.js';
import { UuidColumn } from './column-types.js';

/** A change of the state of an order, with the facts of that moment. Its row never changes, and its event is made from it. */
export class OrderTransition {
  readonly id!: string;
  readonly orderId!: string;
  /** The number of the transition of its order, from 1. */
  readonly sequence!: bigint;
  readonly accountId!: string;
  /** The state before; null for a new order. */
  readonly previousStatus!: OrderStatus | null;
  readonly status!: OrderStatus;
  readonly rowCount!: number;
  /** The sum in minor units; null if an amount could not be read. */
  readonly totalAmountMinor!: bigint | null;
  readonly performedBulks!: number;
  /** The code of the reason why the order failed; null if it did not. */
  readonly failureCode!: OrderFailure['code'] | null;
  readonly createdAt!: Date;

  /** @param previousStatus null for a new order */
  static of(
    id: string,
    order: BulkTransferOrder,
    previousStatus: OrderStatus | null,
  ): OrderTransition {
    return Object.assign(new OrderTransition(), {
      id,
      orderId: order.id,
      sequence: BigInt(order.transitionCount),
      accountId: order.accountId,
      previousStatus,
      status: order.status,
      rowCount: order.rowCount,
      totalAmountMinor: order.totalMinor,
      performedBulks: order.performedBulks,
      failureCode: order.status === 'FAILED' ? (order.failure?.code ?? null) : null,
      createdAt: order.changedAt,
    } satisfies OrderTransition);
  }
}

export const OrderTransitionSchema = defineEntity({
  class: OrderTransition,
  tableName: 'order_transition',
  properties: {
    id: p.type(UuidColumn).primary(),
    orderId: p.type(UuidColumn),
    sequence: p.bigint(),
    accountId: p.type(UuidColumn),
    previousStatus: p.string().length(20).$type<OrderStatus>().nullable(),
    status: p.string().length(20).$type<OrderStatus>(),
    rowCount: p.integer(),
    totalAmountMinor: p.bigint().nullable(),
    performedBulks: p.integer(),
    failureCode: p.string().length(40).$type<OrderFailure['code']>().nullable(),
    createdAt: p.datetime().length(3),
  },
  uniques: [{ name: 'order_transition_sequence_unique', properties: ['orderId', 'sequence'] }],
});
