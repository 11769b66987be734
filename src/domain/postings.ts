import type { CreditTransfer } from './bulk-transfer.js';
import { TEXT_CHARACTERS_MAX } from './text.js';

/** A transfer of a bulk to an account of this server. */
export interface BookTransfer {
  readonly transfer: CreditTransfer;
  /** The 0-based index in the bulk. */
  readonly index: number;
}

/** The credit of a bulk to one account of this server. It is one ledger entry for any number of transfers. */
export interface BookCredit {
  readonly accountId: string;
  readonly amountMinor: bigint;
  readonly description: string;
  /** The transfers of the credit, in the order of the bulk. */
  readonly bookTransfers: readonly BookTransfer[];
}

/**
 * Returns the credits of a bulk to accounts of this server. They are in ascending order of account id, the order in
 * which accounts are locked.
 * @param debtorName the name of the debtor, for the description if one account receives several transfers
 */
export function bookCreditsOf(
  transfers: readonly CreditTransfer[],
  debtorName: string,
): BookCredit[] {
  const byAccount = new Map<string, BookTransfer[]>();
  for (const [index, transfer] of transfers.entries()) {
    const accountId = transfer.counterpartyAccountId;
    if (accountId === null) continue;
    const received = byAccount.get(accountId);
    if (received) received.push({ transfer, index });
    else byAccount.set(accountId, [{ transfer, index }]);
  }
  return [...byAccount]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([accountId, bookTransfers]) => ({
      accountId,
      amountMinor: bookTransfers.reduce((sum, { transfer }) => sum + transfer.amountMinor, 0n),
      description:
        bookTransfers.length === 1
          ? (bookTransfers[0]?.transfer.description ?? '')
          : cut(`${bookTransfers.length} transfers from ${debtorName}`),
      bookTransfers,
    }));
}

/** Returns the sum of a bulk's transfers to accounts of other banks, in minor units. */
export function outgoingAmountOf(transfers: readonly CreditTransfer[]): bigint {
  let sum = 0n;
  for (const { counterpartyAccountId, amountMinor } of transfers) {
    if (counterpartyAccountId === null) sum += amountMinor;
  }
  return sum;
}

/**
 * Asserts the first rule of a ledger for the postings of a bulk: its debit equals the sum of its credits here and of
 * the outgoing money. All amounts are in minor units, as in the ledger entries.
 * @throws Error if they differ. This is a programming error, and nothing may be committed
 */
export function assertBalanced(
  debitMinor: bigint,
  creditsMinor: readonly bigint[],
  outgoingMinor: bigint,
): void {
  const balance = creditsMinor.reduce((sum, credit) => sum + credit, debitMinor + outgoingMinor);
  if (balance !== 0n) throw new Error(`Debit and credits of a bulk differ by ${balance}`);
}

/** Cuts a text to the length of a stored description. A name can have this whole length. */
function cut(text: string): string {
  return [...text].slice(0, TEXT_CHARACTERS_MAX).join('');
}

/**
 * The bits for the index in the position of a transfer in the history of an account. A position joins two values in
 * one number: the sequence of the ledger entry that debits or credits the account, and the index of the transfer
 * within the entry. The database orders, pages and resumes by this number. 2^33 ledger entries of 2^20 transfers each
 * stay within 2^53.
 */
export const INDEX_BITS = 20n;

export const TRANSFERS_PER_BULK_LIMIT = 2 ** 20;

/** @param index 0-based, below 2^20 */
export function transferPosition(sequence: bigint, index: number): bigint {
  return (sequence << INDEX_BITS) | BigInt(index);
}

/**
 * Returns the lowest position of a transfer of this ledger entry. Transfers of later entries have higher positions.
 */
export function firstPositionOf(sequence: bigint): bigint {
  return sequence << INDEX_BITS;
}

/** Returns the sequence of the ledger entry to which a position belongs. */
export function sequenceOf(position: bigint): bigint {
  return position >> INDEX_BITS;
}

/** Returns the 0-based index of the transfer within its ledger entry. */
export function indexOf(position: bigint): number {
  return Number(position & ((1n << INDEX_BITS) - 1n));
}
