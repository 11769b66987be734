import type { OrderWarning } from '../application/find-order-warnings.js';
import type { OrderProblem } from '../application/ports/order-store.js';
import type { Place, Position } from '../application/ports/page.js';
import type { Account } from '../entities/account.entity.js';
import type { ApiKey } from '../entities/api-key.entity.js';
import type { AuditEntry } from '../entities/audit-entry.entity.js';
import type { BulkTransfer } from '../entities/bulk-transfer.entity.js';
import type { BulkTransferOrder } from '../entities/bulk-transfer-order.entity.js';
import type { DeadLetter } from '../entities/dead-letter.entity.js';
import type { IncomingTransfer } from '../entities/incoming-transfer.entity.js';
import type { LedgerEntry } from '../entities/ledger-entry.entity.js';
import type { OrderRow } from '../entities/order-row.entity.js';
import type { Transfer } from '../entities/transfer.entity.js';
import type { Webhook } from '../entities/webhook.entity.js';
import type { WebhookDelivery } from '../entities/webhook-delivery.entity.js';
import { type CursorScope, parseId, parseNumber } from './cursor.js';

/** The scope of a list's cursors, and the place of each of its rows. A cursor of one list is refused by all others. */
export interface ListScope<Row, P extends Position> extends CursorScope<P> {
  readonly placeOf: (row: Row) => Place<P>;
}

export const ACCOUNTS: ListScope<Account, string> = {
  kind: 'account',
  ownerId: '',
  parse: parseId,
  isVerified: true,
  placeOf: ({ id }) => ({ position: id }),
};

export function accountsOf(organizationId: string): ListScope<Account, string> {
  return { ...ACCOUNTS, ownerId: organizationId };
}

export const API_KEYS: ListScope<ApiKey, string> = {
  kind: 'api-key',
  ownerId: '',
  parse: parseId,
  isVerified: true,
  placeOf: ({ id }) => ({ position: id }),
};

export const AUDIT_ENTRIES: ListScope<AuditEntry, string> = {
  kind: 'audit',
  ownerId: '',
  parse: parseId,
  isVerified: true,
  placeOf: ({ id }) => ({ position: id }),
};

/** The scope of the dead letters, of one consumer or all. Rows are deleted, so a cursor may name one that is gone. */
export const DEAD_LETTERS: ListScope<DeadLetter, string> = {
  kind: 'dead-letter',
  ownerId: '',
  parse: parseId,
  isVerified: false,
  placeOf: ({ id }) => ({ position: id }),
};

/** The scope of the webhooks that a caller sees. Rows are deleted, so a cursor may name one that is gone. */
export const WEBHOOKS: ListScope<Webhook, string> = {
  kind: 'webhook',
  ownerId: '',
  parse: parseId,
  isVerified: false,
  placeOf: ({ id }) => ({ position: id }),
};

/** Returns the scope of the deliveries of a webhook, of one status or all. Old deliveries are deleted. */
export function deliveriesOf(webhookId: string): ListScope<WebhookDelivery, string> {
  return {
    kind: 'webhook-delivery',
    ownerId: webhookId,
    parse: parseId,
    isVerified: false,
    placeOf: ({ id }) => ({ position: id }),
  };
}

/** The scope of the orders that a caller sees. */
export const ORDERS: ListScope<BulkTransferOrder, string> = {
  kind: 'order',
  ownerId: '',
  parse: parseId,
  isVerified: false,
  placeOf: ({ id }) => ({ position: id }),
};

/** Returns the scope of the rows of an order, all or those with problems. Rows are removed. */
export function rowsOf(orderId: string): ListScope<OrderRow, bigint> {
  return {
    kind: 'order-row',
    ownerId: orderId,
    parse: parseNumber,
    isVerified: false,
    placeOf: ({ rowIndex }) => ({ position: rowIndex }),
  };
}

/** A warning of an order, and its place among the others. */
export interface PlacedWarning {
  readonly place: bigint;
  readonly warning: OrderWarning;
}

/** Returns the scope of the warnings of an order. They are found anew for each page. */
export function warningsOf(orderId: string): ListScope<PlacedWarning, bigint> {
  return {
    kind: 'order-warning',
    ownerId: orderId,
    parse: parseNumber,
    isVerified: false,
    placeOf: ({ place }) => ({ position: place }),
  };
}

/** Returns the scope of the problems of an order. */
export function problemsOf(orderId: string): ListScope<OrderProblem, bigint> {
  return {
    kind: 'order-problem',
    ownerId: orderId,
    parse: parseNumber,
    isVerified: false,
    placeOf: ({ place }) => ({ position: place }),
  };
}

export function bulkTransfersOf(accountId: string): ListScope<BulkTransfer, bigint> {
  return {
    kind: 'bulk-transfer',
    ownerId: accountId,
    parse: parseNumber,
    isVerified: true,
    placeOf: ({ sequence, id }) => ({ position: sequence, rowId: id }),
  };
}

/** Returns the scope of an account's transfers, filtered or not. */
export function transfersOf(accountId: string): ListScope<Transfer, bigint> {
  return {
    kind: 'transfer',
    ownerId: accountId,
    parse: parseNumber,
    isVerified: true,
    placeOf: ({ position, id }) => ({ position, rowId: id }),
  };
}

export function transfersOfBulk(bulkTransferId: string): ListScope<Transfer, bigint> {
  return {
    kind: 'transfer',
    ownerId: bulkTransferId,
    parse: parseNumber,
    isVerified: false,
    placeOf: ({ position }) => ({ position }),
  };
}

/** Returns the scope of the transfers that an account received, filtered or not. */
export function incomingTransfersOf(accountId: string): ListScope<IncomingTransfer, bigint> {
  return {
    kind: 'incoming-transfer',
    ownerId: accountId,
    parse: parseNumber,
    isVerified: true,
    placeOf: ({ position, id }) => ({ position, rowId: id }),
  };
}

/** Returns the scope of an account's ledger entries, also for its statements. */
export function ledgerEntriesOf(accountId: string): ListScope<LedgerEntry, bigint> {
  return {
    kind: 'ledger-entry',
    ownerId: accountId,
    parse: parseNumber,
    isVerified: true,
    placeOf: ({ sequence, id }) => ({ position: sequence, rowId: id }),
  };
}
