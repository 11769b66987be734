import type { AccountFacts } from '../../domain/bulk-transfer.js';
import type { OrganizationScope } from '../../domain/caller.js';
import type { CursorScope, ListPage, PageRange, Place, Position } from '../../domain/page.js';
import type { PaidName } from '../../domain/transfer-warnings.js';
import type { Account } from '../../entities/account.entity.js';
import type { BulkTransfer } from '../../entities/bulk-transfer.entity.js';
import type { IncomingTransfer } from '../../entities/incoming-transfer.entity.js';
import type { LedgerEntry } from '../../entities/ledger-entry.entity.js';
import type { Organization } from '../../entities/organization.entity.js';
import type { Transfer } from '../../entities/transfer.entity.js';
import type { AccountHead } from './account-head.js';

/** Reads what is committed. Lists are newest first unless said otherwise. */
export interface LedgerReader {
  /**
   * The same ledger as one sees it who sees these organizations: all else does not exist.
   * @param reading who reads; the server itself where it is absent
   */
  seenBy(organizations: OrganizationScope, reading?: ReadingCaller): LedgerReader;

  accountByIban(iban: string): Promise<Account | null>;
  /** What never changes of those accounts that exist, by IBAN. */
  accountFactsByIban(ibans: readonly string[]): Promise<ReadonlyMap<string, AccountFacts>>;
  /** The first organizations, up to a number, oldest first. */
  organizations(countMax: number): Promise<Organization[]>;
  bulkTransferByKey(accountId: string, idempotencyKey: string): Promise<BulkTransfer | null>;

  /** One answer for each id, in their order; null where there is none. */
  accountsById(ids: readonly string[]): Promise<(Account | null)[]>;
  organizationsById(ids: readonly string[]): Promise<(Organization | null)[]>;
  bulkTransfersById(ids: readonly string[]): Promise<(BulkTransfer | null)[]>;
  transfersById(ids: readonly string[]): Promise<(Transfer | null)[]>;
  entriesById(ids: readonly string[]): Promise<(LedgerEntry | null)[]>;
  incomingTransfersById(ids: readonly string[]): Promise<(IncomingTransfer | null)[]>;

  /** Tells whether the row that a cursor names is at its place. */
  hasPlace(
    list: Pick<CursorScope<Position>, 'kind' | 'ownerId'>,
    place: Place<Position>,
  ): Promise<boolean>;

  /** The ids of the first accounts, up to a number, oldest first. */
  accountIds(countMax: number): Promise<string[]>;
  /** Oldest first, by id; of one organization where one is given. */
  accounts(range: PageRange<string>, organizationId?: string): Promise<ListPage<Account>>;
  /** By sequence. */
  bulkTransfers(accountId: string, range: PageRange<bigint>): Promise<ListPage<BulkTransfer>>;
  /** By position. */
  transfers(
    accountId: string,
    filter: TransferFilter,
    range: PageRange<bigint>,
  ): Promise<ListPage<Transfer>>;
  /** Transfers from other accounts of this server, by position in the history of the account credited. */
  incomingTransfers(
    accountId: string,
    filter: TransferFilter,
    range: PageRange<bigint>,
  ): Promise<ListPage<IncomingTransfer>>;
  /** In the order given, by position. */
  transfersOfBulk(
    bulkTransfer: Pick<BulkTransfer, 'accountId' | 'sequence'>,
    range: PageRange<bigint>,
  ): Promise<ListPage<Transfer>>;
  /** The incoming transfers that a bulk made, in the order of the bulk, by the payer's position. */
  incomingTransfersOfBulk(
    bulkTransfer: Pick<BulkTransfer, 'accountId' | 'sequence'>,
    range: PageRange<bigint>,
  ): Promise<ListPage<IncomingTransfer>>;
  /** By sequence, newest first or oldest first. */
  entries(
    accountId: string,
    within: SequenceRange,
    order: 'newest-first' | 'oldest-first',
    range: PageRange<bigint>,
  ): Promise<ListPage<LedgerEntry>>;

  /** In the order given, all of them: for bulks of one account that are small. */
  transfersOfBulks(bulkTransfers: readonly BulkTransfer[]): Promise<Transfer[]>;
  incomingTransfersOfBulks(bulkTransfers: readonly BulkTransfer[]): Promise<IncomingTransfer[]>;

  /**
   * Names under which an account last paid these IBANs, the latest first: one for each of an IBAN's last ten
   * transfers.
   * @param ibans some hundred, each once
   * @param before the sequence of the first bulk that is no history; absent where all are
   */
  paidNames(
    accountId: string,
    ibans: readonly string[],
    before: bigint | undefined,
  ): Promise<PaidName[]>;

  /** Those that exist of what has these sequences in an account, in order of sequence. */
  bulkTransfersAt(accountId: string, sequences: readonly bigint[]): Promise<BulkTransfer[]>;
  entriesAt(accountId: string, sequences: readonly bigint[]): Promise<LedgerEntry[]>;
  /** How far accounts have come: those that exist, by id. */
  sequencesOf(accountIds: readonly string[]): Promise<ReadonlyMap<string, bigint>>;
  /** What entries with these sequences, and the bulks that they are of, did to accounts of this server. */
  headsAfter(accountId: string, sequences: readonly bigint[]): Promise<AccountHead[]>;
  /** What bulks credited to accounts of this server. */
  bookEntriesOf(bulkTransferIds: readonly string[]): Promise<LedgerEntry[]>;

  /** The last entry at a moment or before; null where there is none. */
  lastEntryUntil(accountId: string, moment: Date): Promise<LedgerEntry | null>;
  entryTotals(accountId: string, within: SequenceRange): Promise<EntryTotals>;
}

/** A caller that reads. Waiting reads of different callers take turns. */
export interface ReadingCaller {
  readonly key: string;
  /** Tells whether the client has disconnected or its request has timed out. Reads that have not begun are dropped. */
  readonly isAbandoned?: (() => boolean) | undefined;
}

/** Bounds of a list of transfers; the counterparty of an incoming transfer is its payer. Amounts are minor units, both inclusive. */
export interface TransferFilter {
  readonly counterpartyIban?: string;
  /** Folded: see foldName. */
  readonly counterpartyNamePrefix?: string;
  readonly amountMinorMin?: bigint;
  readonly amountMinorMax?: bigint;
  readonly from?: Date;
  /** Exclusive. */
  readonly to?: Date;
  readonly endToEndId?: string;
}

/** Ledger entries of one account, by sequence; both inclusive. */
export interface SequenceRange {
  readonly first?: bigint;
  readonly last?: bigint;
}

export interface EntryTotals {
  readonly debitsMinor: bigint;
  readonly creditsMinor: bigint;
}
