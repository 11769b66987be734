/** Presents orders and their rows as types of the API. */
import type { OrderWarning } from '../application/find-order-warnings.js';
import type { OrderProblem } from '../application/ports/order-store.js';
import { bulkCountOf, bulkKeyOf, isFinal } from '../domain/order.js';
import type { BulkTransferOrder } from '../entities/bulk-transfer-order.entity.js';
import type { OrderRow, OrderRowValues, RowProblem } from '../entities/order-row.entity.js';
import {
  BulkTransferOrderType,
  OrderProblemType,
  OrderRowType,
  OrderWarningType,
} from '../schema/order.js';
import { make, presentMoney } from './present.js';

export function presentOrder(order: BulkTransferOrder): BulkTransferOrderType {
  const { totalMinor, currency } = order;
  return make(BulkTransferOrderType, {
    id: order.id,
    name: order.name,
    status: order.status,
    source: order.source,
    fileName: order.fileName,
    executionDate: order.executionDate,
    rowCount: order.rowCount,
    problemCount: order.problemCount + order.fileProblems.length,
    totalAmount: totalMinor === null ? null : presentMoney(totalMinor, currency),
    createdBy: order.createdBy,
    submittedBy: order.submittedBy,
    createdAt: order.createdAt,
    submittedAt: order.submittedAt,
    performedAt: order.performedAt,
    expiresAt: isFinal(order.status) ? null : order.expiresAt,
    accountId: order.accountId,
    currency,
    totalMinor,
    fileProblems: order.fileProblems,
    fileWarnings: order.fileWarnings,
    bulkKeys: bulkKeysOf(order),
    rejection: order.failure,
  });
}

/** Returns the idempotency keys of the bulks that were performed. */
function bulkKeysOf({
  idempotencyKey,
  bulkRowsMax,
  rowCount,
  performedBulks,
}: BulkTransferOrder): string[] {
  if (idempotencyKey === null || bulkRowsMax === null) return [];
  const count = bulkCountOf(rowCount, bulkRowsMax);
  return Array.from({ length: performedBulks }, (_, part) =>
    bulkKeyOf(idempotencyKey, part, count),
  );
}

export function presentOrderRow(row: OrderRow): OrderRowType {
  return make(OrderRowType, {
    row: Number(row.rowIndex),
    line: row.line,
    amount: row.amount,
    currency: row.currency,
    counterpartyName: row.counterpartyName,
    counterpartyIban: row.counterpartyIban,
    counterpartyBic: row.counterpartyBic,
    description: row.description,
    endToEndId: row.endToEndId,
    problems: row.problems.map((problem) => presentRowProblem(problem, row)),
  });
}

export function presentOrderProblem({ row, ...problem }: OrderProblem): OrderProblemType {
  if (row) return presentRowProblem(problem, row);
  const { field, code, message, line, column } = problem;
  return make(OrderProblemType, {
    row: null,
    line: line ?? null,
    column: column ?? null,
    field,
    code,
    message,
    value: null,
  });
}

function presentRowProblem(
  { field, code, message, column }: RowProblem,
  row: OrderRow,
): OrderProblemType {
  return make(OrderProblemType, {
    row: Number(row.rowIndex),
    line: row.line,
    column: column ?? null,
    field,
    code,
    message,
    value: sentValue(row, field),
  });
}

export function presentOrderWarning(warning: OrderWarning): OrderWarningType {
  const { row, line, column, field, code, message, value, bulkTransferId, orderId } = warning;
  return make(OrderWarningType, {
    row: row ?? null,
    line: line ?? null,
    column: column ?? null,
    field,
    code,
    message,
    value: value ?? null,
    bulkTransferId: bulkTransferId ?? null,
    orderId: orderId ?? null,
  });
}

/** Returns the value of a field of a row. */
function sentValue(row: OrderRowValues, field: string): string | null {
  const values: Readonly<Record<string, string | null>> = {
    amount: row.amount,
    currency: row.currency,
    counterpartyName: row.counterpartyName,
    counterpartyIban: row.counterpartyIban,
    counterpartyBic: row.counterpartyBic,
    description: row.description,
    endToEndId: row.endToEndId,
  };
  return values[field] ?? null;
}
