import { BadUserInputError } from '../domain/errors.js';
import type { StatementDays } from '../domain/export.js';
import { endOfDay, startOfDay } from '../domain/time-zone.js';
import type { Account } from '../entities/account.entity.js';
import type {
  EntryTotals,
  ScopedLedgerReader,
  SequenceRange,
} from './ports/scoped-ledger-reader.js';

/** The statement of an account over some days in a time zone. Money is in minor units. */
export interface AccountStatement {
  readonly account: Account;
  /** The first and the last day as YYYY-MM-DD, both inclusive. */
  readonly from: string;
  readonly to: string;
  /** The first moment of the first day, and the first moment after the last day. */
  readonly startsAt: Date;
  readonly endsAt: Date;
  readonly openingBalanceMinor: bigint;
  readonly closingBalanceMinor: bigint;
  /** The entries of these days. */
  readonly within: Required<SequenceRange>;
  readonly entryCount: number;
}

/**
 * Reads a statement. The days are converted to ledger sequences once, and everything else is read by these sequences.
 * An entry that is added meanwhile is either fully in the statement or not at all.
 * @throws BadUserInputError if from is after to
 */
export async function readStatement(
  account: Account,
  { from, to, timeZone }: StatementDays,
  reader: Pick<ScopedLedgerReader, 'lastEntryUntil'>,
): Promise<AccountStatement> {
  if (from > to) throw new BadUserInputError(`from (${from}) is after to (${to}).`);
  const startsAt = startOfDay(from, timeZone);
  const endsAt = endOfDay(to, timeZone);
  const before = await reader.lastEntryUntil(account.id, justBefore(startsAt));
  const last = await reader.lastEntryUntil(account.id, justBefore(endsAt));
  const within = { first: (before?.sequence ?? 0n) + 1n, last: last?.sequence ?? 0n };
  return {
    account,
    from,
    to,
    startsAt,
    endsAt,
    openingBalanceMinor: before?.balanceAfterMinor ?? 0n,
    closingBalanceMinor: last?.balanceAfterMinor ?? 0n,
    within,
    // Entries are numbered without a gap.
    entryCount: Number(within.last - within.first + 1n),
  };
}

/** Returns the last moment before another moment. Times are stored to the millisecond. */
function justBefore(moment: Date): Date {
  return new Date(moment.getTime() - 1);
}

/** The number of entries that one SQL statement sums. The sum takes the database a few milliseconds. */
const ENTRIES_PER_READ = 20_000n;

/**
 * Sums the entries of a statement: opening + credits - debits = closing.
 * @param readerNow returns the reader before each read, and throws if the client has disconnected
 */
export async function sumEntries(
  accountId: string,
  { first, last }: Required<SequenceRange>,
  readerNow: () => Pick<ScopedLedgerReader, 'entryTotals'>,
): Promise<EntryTotals> {
  let debitsMinor = 0n;
  let creditsMinor = 0n;
  for (let from = first; from <= last; from += ENTRIES_PER_READ) {
    const until = from + ENTRIES_PER_READ - 1n;
    const part = { first: from, last: until < last ? until : last };
    const totals = await readerNow().entryTotals(accountId, part);
    debitsMinor += totals.debitsMinor;
    creditsMinor += totals.creditsMinor;
  }
  return { debitsMinor, creditsMinor };
}
