import { type CursorScope, parseId, parseNumber } from '../domain/page.js';

/** The lists that cursors belong to. A cursor of one is refused by all others. */
export const ACCOUNTS: CursorScope<string> = { kind: 'account', ownerId: '', parse: parseId };

export const API_KEYS: CursorScope<string> = { kind: 'api-key', ownerId: '', parse: parseId };

export const AUDIT_ENTRIES: CursorScope<string> = { kind: 'audit', ownerId: '', parse: parseId };

export function bulkTransfersOf(accountId: string): CursorScope<bigint> {
  return { kind: 'bulk-transfer', ownerId: accountId, parse: parseNumber };
}

/** Of an account, filtered or not. */
export function transfersOf(accountId: string): CursorScope<bigint> {
  return { kind: 'transfer', ownerId: accountId, parse: parseNumber };
}

export function transfersOfBulk(bulkTransferId: string): CursorScope<bigint> {
  return { kind: 'transfer', ownerId: bulkTransferId, parse: parseNumber };
}

/** Of the account credited, filtered or not. */
export function incomingTransfersOf(accountId: string): CursorScope<bigint> {
  return { kind: 'incoming-transfer', ownerId: accountId, parse: parseNumber };
}

/** Of an account, and of its statements. */
export function ledgerEntriesOf(accountId: string): CursorScope<bigint> {
  return { kind: 'ledger-entry', ownerId: accountId, parse: parseNumber };
}
