import type { CreditTransfer } from './bulk-transfer.js';
import { TEXT_CHARACTERS_MAX } from './text.js';

/** What one account of this server receives from a bulk: one ledger entry, however many transfers. */
export interface BookCredit {
  readonly accountId: string;
  readonly amountMinor: bigint;
  readonly description: string;
}

/**
 * The credits of a bulk to accounts of this server, in ascending order of account id, the order in
 * which accounts are locked.
 * @param debtorName who pays, for the description where one account receives several transfers
 */
export function bookCreditsOf(
  transfers: readonly CreditTransfer[],
  debtorName: string,
): BookCredit[] {
  const byAccount = new Map<string, CreditTransfer[]>();
  for (const transfer of transfers) {
    const accountId = transfer.counterpartyAccountId;
    if (accountId === null) continue;
    const received = byAccount.get(accountId);
    if (received) received.push(transfer);
    else byAccount.set(accountId, [transfer]);
  }
  return [...byAccount]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([accountId, received]) => ({
      accountId,
      amountMinor: received.reduce((sum, transfer) => sum + transfer.amountMinor, 0n),
      description:
        received.length === 1
          ? (received[0]?.description ?? '')
          : cut(`${received.length} transfers from ${debtorName}`),
    }));
}

/** A text that fits where descriptions are kept: a name may take all of it. */
function cut(text: string): string {
  return [...text].slice(0, TEXT_CHARACTERS_MAX).join('');
}

/**
 * Where a transfer stands in the history of the account it debits: the ledger sequence of its bulk,
 * then its index in the bulk, in one number that the database orders, pages and resumes by.
 * 2^33 ledger entries of 2^20 transfers each stay within 2^53.
 */
const INDEX_BITS = 20n;

export const TRANSFERS_PER_BULK_LIMIT = 2 ** 20;

/** @param index 0-based, below 2^20 */
export function transferPosition(sequence: bigint, index: number): bigint {
  return (sequence << INDEX_BITS) | BigInt(index);
}

/** The position that all transfers of this and later bulks have at least. */
export function firstPositionOf(sequence: bigint): bigint {
  return sequence << INDEX_BITS;
}

/** The ledger sequence of the bulk that a position is in. */
export function sequenceOf(position: bigint): bigint {
  return position >> INDEX_BITS;
}

/** The transfer's 0-based index in its bulk. */
export function indexOf(position: bigint): number {
  return Number(position & ((1n << INDEX_BITS) - 1n));
}
