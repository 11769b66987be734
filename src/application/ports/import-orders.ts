import type { RequestSource } from '../../domain/caller.js';
import type { OrderFileFormat } from '../../domain/order-file.js';
import type { BulkTransferOrder } from '../../entities/bulk-transfer-order.entity.js';
import type { FileBytes } from './order-file.js';

export interface ImportRequest {
  readonly format: OrderFileFormat;
  readonly file: FileBytes;
  /** SHA-256 of the file, in hexadecimal digits. */
  readonly fileHash: string;
  readonly fileName: string | undefined;
  /** The account to debit; undefined for the one that the file names. */
  readonly organizationIban: string | undefined;
  /** The key by which a repeated request finds the orders that it made. */
  readonly idempotencyKey: string | undefined;
}

export interface ImportedOrders {
  /** The orders, in the order of the file. */
  readonly orders: readonly BulkTransferOrder[];
  /** Tells whether an earlier request with the same key imported the file. */
  readonly replayed: boolean;
}

/** Hears how far an import is. */
export interface ImportProgress {
  /** The orders were made. @param rowsTotal the number of rows of all orders */
  onBegin(orders: readonly BulkTransferOrder[], rowsTotal: number): void;
  /** @param rowsDone the number of rows that were added so far */
  onRows(rowsDone: number): void;
}

/**
 * @throws DomainError INVALID_INPUT or ACCOUNT_NOT_FOUND; ImportConflictError for a key of another or an unfinished
 *   import; AbandonedError if the client disconnected
 */
export type ImportOrders = (
  request: ImportRequest,
  source: RequestSource,
  progress?: ImportProgress,
) => Promise<ImportedOrders>;
