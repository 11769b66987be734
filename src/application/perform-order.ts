/**
 * Performs submitted orders, each as one bulk, or as several if it has more rows than one bulk may have. Each bulk has an
 * idempotency key that is made from the order, so the ledger has it once, even if several servers perform the order.
 */
import type { RequestSource } from '../domain/caller.js';
import { DomainError } from '../domain/errors.js';
import { bulkCountOf, bulkKeyOf, type OrderFailure } from '../domain/order.js';
import type { BulkTransferOrder } from '../entities/bulk-transfer-order.entity.js';
import type { PerformBulkTransfer } from './perform-bulk-transfer.js';
import type { Clock } from './ports/clock.js';
import type { LedgerReader } from './ports/ledger-reader.js';
import type { NumberedRow, OrderProgress, OrderStore, PerformOrder } from './ports/order-store.js';

export interface PerformOrderPorts {
  readonly orders: OrderStore;
  readonly reader: LedgerReader;
  /** Performs a bulk of as many rows as a bulk of an order may have. */
  readonly performBulkTransfer: PerformBulkTransfer;
  readonly clock: Clock;
  readonly retentionMs: number;
}

/** The number of problems that are kept as the reason of a failure. Their count is the full one. */
const PROBLEMS_KEPT_MAX = 100;

/** The number of rows that are read at once. */
const READ_ROWS = 5_000;

export function makePerformOrder(ports: PerformOrderPorts): PerformOrder {
  const { orders, reader, performBulkTransfer, clock, retentionMs } = ports;
  return async (order, { report, isLost, holder }) => {
    const [account] = await reader.accountsById([order.accountId]);
    if (!account) throw new Error('The account of an order does not exist');
    const { idempotencyKey, bulkRowsMax, rowCount } = order;
    if (idempotencyKey === null || bulkRowsMax === null) throw new Error('No order to perform');
    const bulkCount = bulkCountOf(rowCount, bulkRowsMax);
    const source = { ...sourceOf(order), isAbandoned: isLost };
    for (let part = order.performedBulks; part < bulkCount; part += 1) {
      const place = part * bulkRowsMax;
      const partProgress = { performedBulks: part, report, place };
      const rows = await readRows(orders, order.id, { place, count: bulkRowsMax }, partProgress);
      const request = {
        organizationIban: account.iban,
        idempotencyKey: bulkKeyOf(idempotencyKey, part, bulkCount),
        creditTransfers: rows.map(({ row }) => row),
      };
      try {
        const lease = { orderId: order.id, holder };
        await performBulkTransfer(request, source, { ...progressOf(partProgress), lease });
      } catch (error) {
        if (!(error instanceof DomainError)) throw error;
        if (error.rejection.code === 'ACCOUNT_BUSY') return false;
        const failure = failureOf(error, rows);
        await end(orders, order, { source, outcome: failure.code, holder }, (found) => {
          found.performedBulks = part;
          found.fail(failure, clock(), retentionMs);
        });
        return true;
      }
    }
    await end(orders, order, { source, outcome: 'DONE', holder }, (found) => {
      found.performedBulks = bulkCount;
      found.perform(clock(), retentionMs);
    });
    return true;
  };
}

/** The progress of one bulk of an order. */
interface PartProgress {
  readonly performedBulks: number;
  /** The number of rows before those of the bulk. */
  readonly place: number;
  readonly report: (progress: OrderProgress) => void;
}

async function readRows(
  orders: OrderStore,
  orderId: string,
  { place, count }: { readonly place: number; readonly count: number },
  { performedBulks, report }: PartProgress,
): Promise<NumberedRow[]> {
  const rows: NumberedRow[] = [];
  let first = await orders.rowIndexAt(orderId, place);
  while (first !== undefined && rows.length < count) {
    const read = await orders.rowsFrom(orderId, first, Math.min(READ_ROWS, count - rows.length));
    rows.push(...read);
    report({ phase: 'CHECKING', rowsDone: place + rows.length, performedBulks });
    const last = read.at(-1);
    first = last && last.rowIndex + 1n;
  }
  return rows;
}

function progressOf({ performedBulks, place, report }: PartProgress) {
  return {
    onWaiting: () => report({ phase: 'WAITING', rowsDone: place, performedBulks }),
    onWritten: (rowCount: number) =>
      report({ phase: 'WRITING', rowsDone: place + rowCount, performedBulks }),
  };
}

/** Returns the request that submitted an order, with the rights that it had. */
function sourceOf(order: BulkTransferOrder): RequestSource {
  return {
    caller: {
      kind: order.submittedByKind ?? 'program',
      name: order.submittedBy ?? '',
      organizationIds: [order.organizationId],
      roles: ['initiator'],
    },
    requestId: order.requestId ?? '',
    remoteAddress: order.remoteAddress ?? '',
  };
}

/** Returns why an order fails. Its problems name the rows of the order. */
function failureOf({ rejection }: DomainError, rows: readonly NumberedRow[]): OrderFailure {
  switch (rejection.code) {
    case 'INVALID_BULK_TRANSFER': {
      const problems = rejection.problems.map(({ index, ...problem }) => {
        const row = index === undefined ? undefined : rows[index];
        return { ...problem, index: row && Number(row.rowIndex) };
      });
      return { ...rejection, problems: problems.slice(0, PROBLEMS_KEPT_MAX) };
    }
    case 'INSUFFICIENT_FUNDS':
    case 'ACCOUNT_NOT_FOUND':
    case 'IDEMPOTENCY_KEY_REUSED':
      return rejection;
    default:
      throw new Error(`A bulk is not rejected with ${rejection.code}`);
  }
}

/** The end of an order. */
interface OrderEnd {
  readonly source: RequestSource;
  readonly outcome: 'DONE' | OrderFailure['code'];
  readonly holder: string;
}

async function end(
  orders: OrderStore,
  { id }: BulkTransferOrder,
  { source, outcome, holder }: OrderEnd,
  apply: (order: BulkTransferOrder) => void,
): Promise<void> {
  await orders.change(id, 'all', {
    action: 'performOrder',
    source,
    outcome,
    // Another server has the order if this one stood still for longer than its lease.
    isWanted: ({ status, leasedBy }) => status === 'SUBMITTED' && leasedBy === holder,
    apply,
  });
}
