/** Orders in every state, with rows of every kind. */
import { vi } from 'vitest';
import { PROGRAM } from '../../src/domain/caller.js';
import { makeNewId } from '../../src/domain/id.js';
import { BulkTransferOrder } from '../../src/entities/bulk-transfer-order.entity.js';
import type { Database } from '../../src/infrastructure/database/dialect.js';
import { MikroOrmOrders } from '../../src/infrastructure/orders/orders.js';
import { aTransfer, GLOBEX, transfersOf } from './builders.js';
import type { Client } from './client.js';
import {
  addOrderRows,
  anOrder,
  cancelOrder,
  createOrder,
  duplicateOrder,
  orderOf,
  submitOrder,
} from './orders.js';

const DAY_MS = 24 * 60 * 60 * 1_000;

/** Makes orders through the front door: drafts, and orders that were performed, failed and cancelled. */
export async function makeOrders(client: Client): Promise<void> {
  const full = aTransfer({ counterpartyBic: 'DEUTDEFF500', endToEndId: 'A', currency: 'EUR' });
  await anOrder(client, [full, aTransfer({ endToEndId: 'B' })], { name: 'A draft' });
  await anOrder(client, [full, aTransfer({ amount: 'x', counterpartyName: '' }), full, full]);
  const performed = await anOrder(client, [full, aTransfer({ counterpartyIban: GLOBEX })]);
  await submitOrder(client, performed.id, 'the key of an order');
  const failed = await anOrder(client, transfersOf(2, '999999.99'));
  await submitOrder(client, failed.id);
  const { id } = await createOrder(client);
  await addOrderRows(client, id, [full]);
  await cancelOrder(client, id);
  await duplicateOrder(client, id);
  const isEnded = async () =>
    (await orderOf(client, performed.id)).status === 'PERFORMED' &&
    (await orderOf(client, failed.id)).status === 'FAILED';
  await vi.waitUntil(isEnded, { timeout: 60_000 });
}

/** Makes an order that expired, and one that a server performs. */
export async function fillOrders(database: Database): Promise<void> {
  const at = new Date();
  const newId = makeNewId(() => new Date());
  const orders = new MikroOrmOrders(database, newId, DAY_MS);
  const lease = { holder: newId(), until: new Date(at.getTime() + DAY_MS) };
  const [draft] = await database.orm.em.fork().find(BulkTransferOrder, { name: 'A draft' });
  if (!draft) throw new Error('There is no draft');
  const copyOf = async () => {
    const facts = { ...draft, id: newId(), createdBy: 'someone', createdAt: at };
    const copy = BulkTransferOrder.beingRead(facts, lease);
    await orders.begin([copy], draft.rowCount);
    await orders.copy(copy.id, lease, { from: draft.id, first: 0n, count: 100 });
    await orders.complete([copy.id], { action: 'duplicateOrder', source: PROGRAM, at });
    return copy;
  };
  const expired = await copyOf();
  await orders.change(expired.id, 'all', {
    action: 'expireOrder',
    source: PROGRAM,
    apply: (order) => order.expire(at, DAY_MS),
  });
  const submitted = await copyOf();
  const submission = { source: PROGRAM, idempotencyKey: submitted.id, bulkRowsMax: 100 };
  await orders.change(submitted.id, 'all', {
    action: 'submitOrder',
    source: PROGRAM,
    apply: (order) => order.submit(submission, at),
  });
  await orders.claim(lease, at);
}
