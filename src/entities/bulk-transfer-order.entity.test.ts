import { expect, test } from 'vitest';
import { PROGRAM } from '../domain/caller.js';
import { MINOR_UNITS_MAX } from '../domain/money.js';
import { ORDER_BULKS_MAX, ORDER_ROWS_MAX } from '../domain/order.js';
import { BulkTransferOrder } from './bulk-transfer-order.entity.js';

const NOW = new Date('2026-11-28T12:00:00Z');
const RETENTION_MS = 60_000;

function aDraft(rowCount: number, totalAmountMinor = 1n): BulkTransferOrder {
  const order = BulkTransferOrder.of(
    {
      id: '01900000-0000-7000-8000-000000000000',
      accountId: '01900000-0000-7000-8000-000000000001',
      organizationId: '01900000-0000-7000-8000-000000000002',
      name: null,
      source: 'API',
      currency: 'EUR',
      fileName: null,
      createdBy: 'someone',
      createdAt: NOW,
    },
    RETENTION_MS,
  );
  const sums = { rowCount, problemCount: 0, unreadableRows: 0, totalAmountMinor };
  order.edit(sums, NOW, RETENTION_MS);
  return order;
}

const submission = (bulkRowsMax: number) => ({
  source: PROGRAM,
  idempotencyKey: undefined,
  bulkRowsMax,
});

test('a submitted order is cancelled while no server performs it, and not after', () => {
  const order = aDraft(1);
  order.submit(submission(10), NOW);
  order.leasedBy = '01900000-0000-7000-8000-000000000009';
  expect(() => order.cancel(NOW, RETENTION_MS)).toThrow('ORDER_STATE_CONFLICT');
  expect(order.status).toBe('SUBMITTED');

  order.leasedBy = null;
  order.leasedUntil = NOW;
  order.cancel(NOW, RETENTION_MS);
  expect(order).toMatchObject({ status: 'CANCELLED', phase: 'DONE', leasedUntil: null });
});

test('an order of more bulks than an order may have is not submitted', () => {
  const order = aDraft(ORDER_BULKS_MAX + 1);
  expect(() => order.submit(submission(1), NOW)).toThrow('ORDER_STATE_CONFLICT');
  order.submit(submission(2), NOW);
  expect(order.status).toBe('SUBMITTED');
});

test('an order has at most so many rows, and a total that a balance can cover', () => {
  const order = aDraft(ORDER_ROWS_MAX, MINOR_UNITS_MAX);
  const row = { rowCount: 1, problemCount: 0, unreadableRows: 0, totalAmountMinor: 0n };
  expect(() => order.edit(row, NOW, RETENTION_MS)).toThrow('INVALID_INPUT');
  const cent = { ...row, rowCount: 0, totalAmountMinor: 1n };
  expect(() => order.edit(cent, NOW, RETENTION_MS)).toThrow('INVALID_INPUT');
  expect(order).toMatchObject({ rowCount: ORDER_ROWS_MAX, totalAmountMinor: MINOR_UNITS_MAX });
});

test('the rows of an order that ended are due to be deleted, and an order without rows is not', () => {
  const order = aDraft(2);
  order.cancel(NOW, RETENTION_MS);
  expect(order.expiresAt).toEqual(new Date(NOW.getTime() + RETENTION_MS));
  order.forget(2);
  expect(order).toMatchObject({ expiresAt: null, keptRows: 0, rowCount: 2 });

  const empty = aDraft(0, 0n);
  empty.cancel(NOW, RETENTION_MS);
  expect(empty.expiresAt).toBeNull();
});
