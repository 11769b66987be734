import type { OrganizationScope } from '../../domain/caller.js';
import type { PaidName } from '../../domain/transfer-warnings.js';
import type { Account } from '../../entities/account.entity.js';
import type { BulkTransfer } from '../../entities/bulk-transfer.entity.js';
import type { IncomingTransfer } from '../../entities/incoming-transfer.entity.js';
import type { LedgerEntry } from '../../entities/ledger-entry.entity.js';
import type { Organization } from '../../entities/organization.entity.js';
import type { Transfer } from '../../entities/transfer.entity.js';
import type { ListIdentity, ListPage, PageRange, Place, Position } from './page.js';

/**
 * Reads the committed ledger for one caller. Every read filters by the caller's organizations in its own SQL
 * statement. The id of another organization's account gives an empty list, null or false, like an id that does not
 * exist. Resolvers read only through this interface. Lists are newest first unless stated otherwise.
 */
export interface ScopedLedgerReader {
  accountByIban(iban: string): Promise<Account | null>;
  bulkTransferByKey(accountId: string, idempotencyKey: string): Promise<BulkTransfer | null>;

  /** Returns one answer for each id, in the order of the ids; null for an id that does not exist. */
  accountsById(ids: readonly string[]): Promise<(Account | null)[]>;
  organizationsById(ids: readonly string[]): Promise<(Organization | null)[]>;
  bulkTransfersById(ids: readonly string[]): Promise<(BulkTransfer | null)[]>;
  transfersById(ids: readonly string[]): Promise<(Transfer | null)[]>;
  entriesById(ids: readonly string[]): Promise<(LedgerEntry | null)[]>;
  incomingTransfersById(ids: readonly string[]): Promise<(IncomingTransfer | null)[]>;

  /** Tells whether a cursor's row is at the cursor's place. */
  hasPlace(list: ListIdentity, place: Place<Position>): Promise<boolean>;

  /** Returns the oldest organizations, oldest first. */
  organizations(countMax: number): Promise<Organization[]>;
  /** Returns the ids of the oldest accounts, oldest first. */
  accountIds(countMax: number): Promise<string[]>;
  /** Lists accounts in order of id, oldest first. With an organization id, only its accounts are listed. */
  accounts(range: PageRange<string>, organizationId?: string): Promise<ListPage<Account>>;
  /** Lists the bulk transfers of an account by sequence. */
  bulkTransfers(accountId: string, range: PageRange<bigint>): Promise<ListPage<BulkTransfer>>;
  /** Lists the transfers of an account by position. */
  transfers(
    accountId: string,
    filter: TransferFilter,
    range: PageRange<bigint>,
  ): Promise<ListPage<Transfer>>;
  /** Lists transfers from other accounts of this server, by position in the history of the credited account. */
  incomingTransfers(
    accountId: string,
    filter: TransferFilter,
    range: PageRange<bigint>,
  ): Promise<ListPage<IncomingTransfer>>;
  /** Lists the transfers of a bulk by position, in the order in which they were sent. */
  transfersOfBulk(
    bulkTransfer: Pick<BulkTransfer, 'accountId' | 'sequence'>,
    range: PageRange<bigint>,
  ): Promise<ListPage<Transfer>>;
  /** Lists the ledger entries of an account by sequence. */
  entries(
    accountId: string,
    within: SequenceRange,
    order: 'newest-first' | 'oldest-first',
    range: PageRange<bigint>,
  ): Promise<ListPage<LedgerEntry>>;

  /** Returns the last entry at or before a moment; null if there is no such entry. */
  lastEntryUntil(accountId: string, moment: Date): Promise<LedgerEntry | null>;
  entryTotals(accountId: string, within: SequenceRange): Promise<EntryTotals>;

  /**
   * Returns the names under which an account last paid these IBANs, the latest first. They are the names of the last
   * ten transfers to each IBAN.
   * @param ibans without duplicates
   * @param before the sequence of the first bulk that is ignored; undefined if no bulk is ignored
   */
  paidNames(
    accountId: string,
    ibans: readonly string[],
    before: bigint | undefined,
  ): Promise<PaidName[]>;
}

/** Makes the reader of a caller who sees some organizations, or all. */
export type ScopeLedger = (
  organizations: OrganizationScope,
  caller: ReadingCaller,
) => ScopedLedgerReader;

/** A caller that reads. Waiting reads of different callers take turns. */
export interface ReadingCaller {
  readonly key: string;
  /** Tells whether the client has disconnected or its request has timed out. Reads that have not begun are dropped. */
  readonly isAbandoned?: (() => boolean) | undefined;
}

/**
 * Conditions on a list of transfers. The counterparty of an incoming transfer is its payer. Amounts are in minor
 * units, and both limits are inclusive.
 */
export interface TransferFilter {
  readonly counterpartyIban?: string;
  /** The start of the name, folded: see foldName. */
  readonly counterpartyNamePrefix?: string;
  readonly amountMinorMin?: bigint;
  readonly amountMinorMax?: bigint;
  readonly from?: Date;
  /** The end of the range, exclusive. */
  readonly to?: Date;
  readonly endToEndId?: string;
}

/** Ledger entries of one account, by sequence; both bounds are inclusive. */
export interface SequenceRange {
  readonly first?: bigint;
  readonly last?: bigint;
}

/** Sums of ledger entries. Neither sum is negative. */
export interface EntryTotals {
  readonly debitsMinor: bigint;
  readonly creditsMinor: bigint;
}
