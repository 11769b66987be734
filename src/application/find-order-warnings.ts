/** Finds possible mistakes in an order: those of its file, those of a bulk with its rows, and those of banks' rules. */
import type { BankRules } from '../domain/kinds.js';
import type { OrderWarningCode } from '../domain/order-warnings.js';
import { sepaProblems } from '../domain/sepa-rules.js';
import { WARNINGS_LISTED_MAX } from '../domain/transfer-warnings.js';
import type { BulkTransferOrder } from '../entities/bulk-transfer-order.entity.js';
import type { FindTransferWarnings, WarnedCaller } from './find-transfer-warnings.js';
import type { NumberedRow, OrderStore } from './ports/order-store.js';

/** The number of rows among which warnings are searched. */
export const WARNED_ROWS_MAX = 20_000;

export interface OrderWarning {
  /** The number of the row in the order; undefined for the order or its file. */
  readonly row?: number | undefined;
  readonly line?: number | undefined;
  readonly column?: string | undefined;
  readonly field: string;
  readonly code: OrderWarningCode;
  readonly message: string;
  readonly value?: string | undefined;
  /** The earlier bulk, or the earlier order, that the order resembles. */
  readonly bulkTransferId?: string | undefined;
  readonly orderId?: string | undefined;
}

export interface OrderWarningPorts {
  readonly orders: Pick<OrderStore, 'rowsFrom'>;
  readonly findTransferWarnings: FindTransferWarnings;
  readonly bankRules: BankRules;
}

/** An order whose rows may cause warnings. */
export type WarnedOrder = Pick<BulkTransferOrder, 'id' | 'fileWarnings'> & {
  readonly organizationIban: string;
  /** The key of its first bulk, which is no part of its history; undefined if none was performed. */
  readonly performedKey: string | undefined;
};

/** @returns the first WARNINGS_LISTED_MAX warnings: those of the file, then those of rows in their order */
export type FindOrderWarnings = (
  order: WarnedOrder,
  caller: WarnedCaller,
) => Promise<readonly OrderWarning[]>;

export function makeFindOrderWarnings(ports: OrderWarningPorts): FindOrderWarnings {
  const { orders, findTransferWarnings, bankRules } = ports;
  return async ({ id, organizationIban, performedKey, fileWarnings }, caller) => {
    const rows = await orders.rowsFrom(id, 0n, WARNED_ROWS_MAX);
    const request = {
      organizationIban,
      idempotencyKey: performedKey,
      creditTransfers: rows.map(({ row }) => row),
    };
    const ofBulk = await findTransferWarnings(request, caller);
    const ofRows = ofBulk.map(
      ({ index, ...warning }): OrderWarning => ({
        ...(index !== undefined && placeOf(rows[index], warning.field)),
        ...warning,
      }),
    );
    const ofBanks = bankRules === 'none' ? sepaWarnings(rows) : [];
    const inOrder = [...ofRows, ...ofBanks].toSorted(
      (one, other) => (one.row ?? -1) - (other.row ?? -1),
    );
    return [...fileWarnings, ...inOrder].slice(0, WARNINGS_LISTED_MAX);
  };
}

function sepaWarnings(rows: readonly NumberedRow[]): OrderWarning[] {
  const warnings: OrderWarning[] = [];
  for (const row of rows) {
    if (warnings.length >= WARNINGS_LISTED_MAX) break;
    for (const { field, message } of sepaProblems(row.row)) {
      warnings.push({ ...placeOf(row, field), field, code: 'NOT_SEPA', message });
    }
  }
  return warnings;
}

function placeOf(row: NumberedRow | undefined, field: string) {
  if (!row) return {};
  const values: Readonly<Record<string, string | null | undefined>> = { ...row.row };
  return {
    row: Number(row.rowIndex),
    line: row.line ?? undefined,
    value: values[field] ?? undefined,
  };
}
