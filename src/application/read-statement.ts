import { BadUserInputError } from '../domain/errors.js';
import type { Account } from '../entities/account.entity.js';
import type {
  EntryTotals,
  ScopedLedgerReader,
  SequenceRange,
} from './ports/scoped-ledger-reader.js';

/** The statement of an account over some days in UTC. Money is in minor units. */
export interface AccountStatement {
  readonly account: Account;
  /** The first and the last day as YYYY-MM-DD, both inclusive. */
  readonly from: string;
  readonly to: string;
  readonly openingBalanceMinor: bigint;
  readonly closingBalanceMinor: bigint;
  /** The entries of these days. */
  readonly within: Required<SequenceRange>;
  readonly entryCount: number;
}

const DAY_MS = 24 * 60 * 60 * 1_000;

/**
 * Reads a statement. The days are converted to ledger sequences once, and everything else is read by these sequences.
 * An entry that is added meanwhile is either fully in the statement or not at all.
 * @throws BadUserInputError if from is after to
 */
export async function readStatement(
  account: Account,
  from: string,
  to: string,
  reader: Pick<ScopedLedgerReader, 'lastEntryUntil'>,
): Promise<AccountStatement> {
  if (from > to) throw new BadUserInputError(`from (${from}) is after to (${to}).`);
  const before = await reader.lastEntryUntil(account.id, new Date(Date.parse(from) - 1));
  const last = await reader.lastEntryUntil(account.id, new Date(Date.parse(to) + DAY_MS - 1));
  const within = { first: (before?.sequence ?? 0n) + 1n, last: last?.sequence ?? 0n };
  return {
    account,
    from,
    to,
    openingBalanceMinor: before?.balanceAfterMinor ?? 0n,
    closingBalanceMinor: last?.balanceAfterMinor ?? 0n,
    within,
    // Entries are numbered without a gap.
    entryCount: Number(within.last - within.first + 1n),
  };
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
