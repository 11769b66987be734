/** The store of orders: sums that follow each change, and leases that fence a server that stood still. */
import { expect, test } from 'vitest';
import { PROGRAM } from '../../src/domain/caller.js';
import { AbandonedError } from '../../src/domain/errors.js';
import { BulkTransferOrder } from '../../src/entities/bulk-transfer-order.entity.js';
import { OrderRow } from '../../src/entities/order-row.entity.js';
import type { Database } from '../../src/infrastructure/database/dialect.js';
import { MikroOrmUnitOfWork } from '../../src/infrastructure/ledger/unit-of-work.js';
import { MikroOrmOrders } from '../../src/infrastructure/orders/orders.js';
import { NO_PUBLISHER } from '../../src/infrastructure/outbox/outbox.js';
import { checkInvariants } from '../../src/infrastructure/verify/invariants.js';
import { ACME, aTransfer, transfersOf } from '../support/builders.js';
import {
  addOrderRows,
  anOrder,
  cancelOrder,
  createOrder,
  duplicateOrder,
  orderOf,
  removeOrderRows,
  replaceOrderRow,
  submitOrder,
} from '../support/orders.js';
import { Random } from '../support/seeded-random.js';
import { startServer } from '../support/server.js';

const CHANGES = 60;

async function violationsOf(database: Database): Promise<object[]> {
  const findings = await checkInvariants(database, new Date(0));
  return findings.filter(({ violations }) => violations.length > 0);
}

test('after any changes of rows, the sums and the duplicates are those of a recount', async () => {
  const { client, database } = await startServer();
  const random = new Random('order rows');
  const { id } = await createOrder(client);
  const aRow = () => {
    const endToEndId = random.below(4) === 0 ? undefined : 'ABC'[random.below(3)];
    const amount = random.below(5) === 0 ? 'x' : `${1 + random.below(9)}.00`;
    return aTransfer({ amount, ...(endToEndId !== undefined && { endToEndId }) });
  };
  const someRows = () => Array.from({ length: random.below(6) }, aRow);

  for (let change = 0; change < CHANGES; change += 1) {
    const kind = random.below(3);
    const row = random.below(2) * 10_000 + random.below(6);
    if (kind === 0) await addOrderRows(client, id, someRows(), random.below(2));
    else if (kind === 1) await removeOrderRows(client, id, [row, row + 1, row + 3]);
    else await replaceOrderRow(client, id, row, aRow());
    const order = await database.orm.em.fork().findOneOrFail(BulkTransferOrder, { id });
    const rows = await database.orm.em
      .fork()
      .find(OrderRow, { orderId: id }, { orderBy: { rowIndex: 'asc' } });
    const seen = new Set<string>();
    for (const { endToEndId, isDuplicate, hasProblems, problemCount } of rows) {
      expect(isDuplicate).toBe(endToEndId !== null && seen.has(endToEndId) ? 1 : 0);
      expect(hasProblems).toBe(problemCount + isDuplicate > 0 ? 1 : 0);
      if (endToEndId !== null) seen.add(endToEndId);
    }
    const readable = rows.flatMap(({ amountMinor }) => amountMinor ?? []);
    expect(order).toMatchObject({
      rowCount: rows.length,
      keptRows: rows.length,
      problemCount: rows.reduce((sum, one) => sum + one.problemCount + one.isDuplicate, 0),
      unreadableRows: rows.length - readable.length,
      totalAmountMinor: readable.reduce((sum, one) => sum + one, 0n),
    });
  }
  const original = await orderOf(client, id);
  const copy = await duplicateOrder(client, id);
  expect(copy).toMatchObject({
    rowCount: original.rowCount,
    problemCount: original.problemCount,
    totalAmount: original.totalAmount,
  });
  expect(await violationsOf(database)).toEqual([]);
});

test('a submitted order that waits for a server is cancelled', async () => {
  const { client, database } = await startServer();
  const { id } = await anOrder(client, transfersOf(1));
  // No server takes the order before this time.
  const leasedUntil = new Date(Date.now() + 3_600_000);
  await database.orm.em.fork().nativeUpdate(BulkTransferOrder, { id }, { leasedUntil });
  await submitOrder(client, id);

  expect(await cancelOrder(client, id)).toMatchObject({ id });
  expect(await orderOf(client, id)).toMatchObject({ status: 'CANCELLED', bulkTransfers: [] });
});

test('rows of an order that was never complete are deleted, and it is neither changed nor submitted', async () => {
  const { client, database } = await startServer();
  const orders = new MikroOrmOrders(database, () => crypto.randomUUID(), 60_000);
  const { id: original } = await anOrder(client, transfersOf(3));
  const draft = await database.orm.em.fork().findOneOrFail(BulkTransferOrder, { id: original });
  const now = new Date();
  const lease = {
    holder: '01900000-0000-7000-8000-000000000000',
    until: new Date(now.getTime() + 60_000),
  };
  const id = '01900000-0000-7000-8000-000000000001';
  const facts = { ...draft, id, createdBy: 'someone', createdAt: now };
  await orders.begin([BulkTransferOrder.beingRead(facts, lease)], 3);
  await orders.copy(id, lease, { from: original, first: 0n, count: 2 });

  for (const answer of [
    await submitOrder(client, id),
    await addOrderRows(client, id, []),
    await cancelOrder(client, id),
    await duplicateOrder(client, id),
  ]) {
    expect(answer).toMatchObject({ __typename: 'OrderStateConflict', order: { id } });
  }
  const other = { ...lease, holder: '01900000-0000-7000-8000-000000000009' };
  const more = { from: original, first: 2n, count: 2 };
  await expect(orders.copy(id, other, more)).rejects.toThrow(AbandonedError);
  expect(await violationsOf(database)).toEqual([]);

  await orders.releaseOf(lease.holder);
  expect((await orders.due(now)).map((order) => order.id)).toEqual([id]);
  expect(await orders.pruneRows(id, now)).toBe(false);
  expect(await orderOf(client, id)).toBeNull();
  await expect(
    orders.complete([id], { action: 'duplicateOrder', source: PROGRAM, at: now }),
  ).rejects.toThrow(AbandonedError);
  expect(await violationsOf(database)).toEqual([]);
});

test('work on an order is done only with its lease, which is looked at in the transaction', async () => {
  const { client, database } = await startServer();
  const { id } = await anOrder(client, transfersOf(1));
  const order = await database.orm.em.fork().findOneOrFail(BulkTransferOrder, { id });
  const holder = '01900000-0000-7000-8000-000000000000';
  // The lease of an absent server would be ended.
  await database.presence.announce(holder);
  const unitOfWork = new MikroOrmUnitOfWork(database, 5_000, NO_PUBLISHER);
  const work = (leaseHolder: string) => {
    const request = {
      organizationId: order.organizationId,
      accountIds: [order.accountId],
      rowCount: 1,
      orderLease: { orderId: id, holder: leaseHolder },
    };
    return unitOfWork.run(request, (ledger) => ledger.account(order.accountId).iban);
  };
  // The worker of the server does not take an order whose lease has not ended.
  const leasedUntil = new Date(Date.now() + 3_600_000);
  await database.orm.em.fork().nativeUpdate(BulkTransferOrder, { id }, { leasedUntil });
  await expect(work(holder)).rejects.toThrow(AbandonedError);
  await submitOrder(client, id);
  await expect(work(holder)).rejects.toThrow(AbandonedError);

  await database.orm.em.fork().nativeUpdate(BulkTransferOrder, { id }, { leasedBy: holder });
  expect(await work(holder)).toBe(ACME);
  await expect(work('01900000-0000-7000-8000-000000000009')).rejects.toThrow(AbandonedError);
});
