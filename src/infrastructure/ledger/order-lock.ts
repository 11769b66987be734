import { LockMode } from '@mikro-orm/core';
import type { EntityManager } from '@mikro-orm/sql';
import type { OrderFence } from '../../application/ports/unit-of-work.js';
import { BulkTransferOrder } from '../../entities/bulk-transfer-order.entity.js';

/**
 * Locks submitted orders until the end of the transaction.
 * @returns the ids of those that the given servers still have a lease of
 */
export async function lockOrders(
  em: EntityManager,
  leases: readonly OrderFence[],
): Promise<ReadonlySet<string>> {
  if (leases.length === 0) return new Set();
  const isLeased = leases.map(({ orderId, holder }) => ({ id: orderId, leasedBy: holder }));
  const orders = await em.fork({ clear: true, keepTransactionContext: true }).find(
    BulkTransferOrder,
    { status: 'SUBMITTED', $or: isLeased },
    // The same order of locks everywhere leaves no deadlock.
    { lockMode: LockMode.PESSIMISTIC_WRITE, orderBy: { id: 'asc' } },
  );
  return new Set(orders.map(({ id }) => id));
}
