import type { CreditTransfer } from './bulk-transfer.js';
import { TEXT_CHARACTERS_MAX } from './text.js';

/** A transfer of a bulk to an account of this server. */
export interface BookTransfer {
  readonly transfer: CreditTransfer;
  /** 0-based index in the bulk. */
  readonly index: number;
}

/** The credit of a bulk to one account of this server: one ledger entry, however many transfers. */
export interface BookCredit {
  readonly accountId: string;
  readonly amountMinor: bigint;
  readonly description: string;
  /** Its transfers, in the order of the bulk. */
  readonly bookTransfers: readonly BookTransfer[];
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
 * Holds the postings of a bulk to the first rule of a ledger: its debit is the sum of its credits here and of the money
 * that leaves. All amounts are in minor units, as the ledger entries have them.
 * @throws Error where they differ: a mistake of ours, and nothing may be committed
 */
export function assertBalanced(
  debitMinor: bigint,
  creditsMinor: readonly bigint[],
  outgoingMinor: bigint,
): void {
  const balance = creditsMinor.reduce((sum, credit) => sum + credit, debitMinor + outgoingMinor);
  if (balance !== 0n) throw new Error(`Debit and credits of a bulk differ by ${balance}`);
}

/** A text that fits where descriptions are kept: a name may take all of it. */
function cut(text: string): string {
  return [...text].slice(0, TEXT_CHARACTERS_MAX).join('');
}

/**
 * The place of a transfer in the history of an account: the sequence of the ledger entry that debits or credits
 * the account, then the transfer's index among those of the entry, in one number that the database orders, pages
 * and resumes by. 2^33 ledger entries of 2^20 transfers each stay within 2^53.
 */
const INDEX_BITS = 20n;

export const TRANSFERS_PER_BULK_LIMIT = 2 ** 20;

/** @param index 0-based, below 2^20 */
export function transferPosition(sequence: bigint, index: number): bigint {
  return (sequence << INDEX_BITS) | BigInt(index);
}

/** The lowest position of a transfer of this ledger entry or a later one. */
export function firstPositionOf(sequence: bigint): bigint {
  return sequence << INDEX_BITS;
}

/** The sequence of the ledger entry that a position belongs to. */
export function sequenceOf(position: bigint): bigint {
  return position >> INDEX_BITS;
}

/** The transfer's 0-based index among those of its ledger entry. */
export function indexOf(position: bigint): number {
  return Number(position & ((1n << INDEX_BITS) - 1n));
}
