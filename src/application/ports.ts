/** What the use cases need from outside: the ledger's database and a clock. */

import type { AccountFacts } from '../domain/bulk-transfer.js';
import type { OrganizationScope, Origin } from '../domain/caller.js';
import type { CursorScope, ListPage, PageRange, Place, Position } from '../domain/page.js';
import type { PaidName } from '../domain/transfer-warnings.js';
import type { Account } from '../entities/account.entity.js';
import type { ApiKey } from '../entities/api-key.entity.js';
import type { AuditEntry, AuditedOutcome } from '../entities/audit-entry.entity.js';
import type { BulkTransfer } from '../entities/bulk-transfer.entity.js';
import type {
  IncomingTransfer,
  IncomingTransferRecord,
} from '../entities/incoming-transfer.entity.js';
import type { LedgerEntry } from '../entities/ledger-entry.entity.js';
import type { Organization } from '../entities/organization.entity.js';
import type { OutboxMessage } from '../entities/outbox-message.entity.js';
import type { Transfer, TransferRecord } from '../entities/transfer.entity.js';

/** @returns the time, to the millisecond */
export type Clock = () => Date;

/** Turns of the event loop for work that would hold it up, cut into slices of some milliseconds. */
export interface FairTurns {
  /** Waits until one slice of the key's work may run; slices of different keys take turns. */
  take(key: string): Promise<void>;
}

/** Rows that one unit of work appends. */
export interface LedgerRecords {
  readonly bulkTransfer?: BulkTransfer;
  /** Made one by one as they are written, which may be more than once. */
  readonly transfers?: Iterable<TransferRecord>;
  /** The same for the payees of transfers to accounts of this server. */
  readonly incomingTransfers?: Iterable<IncomingTransferRecord>;
  readonly entries: readonly LedgerEntry[];
  readonly message: OutboxMessage;
  /** Absent where what it belongs to is audited. */
  readonly audit?: AuditEntry;
}

/** What a unit of work needs before it can be judged. */
export interface LockRequest {
  /** The organization whose turn it takes: that of the first account. Organizations share the line and its groups. */
  readonly organizationId: string;
  /** Accounts that it touches, the debtor first. */
  readonly accountIds: readonly string[];
  /** Keys that it asks the ledger for, both of the first account. */
  readonly bulkTransferKey?: string | undefined;
  readonly creditKey?: string | undefined;
  /** Rows that it appends, about. */
  readonly rowCount: number;
  /** Tells whether the client has disconnected or its request has timed out. Work that has not begun is dropped. */
  readonly isAbandoned?: (() => boolean) | undefined;
}

/** The ledger inside a unit of work: accounts as they are under their locks, keys as requested. */
export interface LockedLedger {
  /**
   * An account as it is under its lock.
   * @throws Error for an account that this unit of work did not lock
   */
  account(id: string): Account;
  bulkTransferByKey(accountId: string, idempotencyKey: string): BulkTransfer | null;
  creditByKey(accountId: string, idempotencyKey: string): LedgerEntry | null;
  /** Adds an account that did not exist, and its organization where that did not exist either. */
  open(account: Account, audit: AuditEntry, organization?: Organization): void;
  /** Appends rows, and writes the accounts that were posted to. */
  record(records: LedgerRecords): void;
}

export interface UnitOfWork {
  /**
   * Runs work in one transaction, with that of others who wait: all that it did is committed, or nothing where it throws. The first statement locks the accounts in ascending
   * order of id and reads them afresh. Work only looks at the ledger and decides, so it is synchronous;
   * it may run several times, from the start, where the database gave way to another transaction.
   * @throws DomainError ACCOUNT_BUSY where the locks were not had in time, or too much waits;
   *   AbandonedError where the client was gone before the work began
   */
  run<Result>(request: LockRequest, work: (ledger: LockedLedger) => Result): Promise<Result>;
}

/** A bulk and the account as it is, read together for all who follow. */
export interface FollowedBulkTransfer {
  readonly bulkTransfer: BulkTransfer;
  readonly account: Account;
}

/** An incoming transfer and the account that it credited, read together for all who follow. */
export interface FollowedIncomingTransfer {
  readonly transfer: IncomingTransfer;
  readonly account: Account;
}

/** Likewise a transfer, and what it belongs to. */
export interface FollowedTransfer extends FollowedBulkTransfer {
  readonly transfer: Transfer;
}

/**
 * What goes on in one account, for one who follows it. Whatever followers of the same account read at
 * the same place is read from the database once.
 */
export interface AccountFeed {
  /** Grows whenever something may have happened. */
  readonly version: number;
  readonly isClosed: boolean;
  /** The next transfers after a position, in order of position; some, or none if there are none. */
  transfersAfter(position: bigint): Promise<readonly FollowedTransfer[]>;
  /** The next bulks after a sequence, in order of sequence; some, or none if there are none. */
  bulkTransfersAfter(sequence: bigint): Promise<readonly FollowedBulkTransfer[]>;
  /** The next incoming transfers after a position, in order of position; some, or none if there are none. */
  incomingTransfersAfter(position: bigint): Promise<readonly FollowedIncomingTransfer[]>;
  /** The account as it is. */
  account(): Promise<Account>;
  /** Waits until the version is another, or the feed is closed. */
  changedSince(version: number): Promise<void>;
  close(): void;
}

export interface AccountFeeds {
  /**
   * @param onChange is called whenever something may have happened
   * @returns a feed of its own for each who follows; the caller closes it
   */
  open(account: Account, onChange?: () => void): AccountFeed;
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

/** How many messages of the outbox are where. */
export interface OutboxCounts {
  readonly due: number;
  readonly parked: number;
  /** Of the oldest that is due; undefined where none is. */
  readonly oldestDueSince: Date | undefined;
}

/** What operators see of the outbox, and may do. */
export interface OutboxDesk {
  counts(): Promise<OutboxCounts>;
  /** Those that were given up on, oldest first, up to 100. */
  parked(): Promise<OutboxMessage[]>;
  /** Has a message that was given up on tried again. @returns whether there was one with the id */
  retry(id: string, origin: Origin): Promise<boolean>;
}

/** Keeps who did what: what came to something in the commit that did it, the rest by itself. */
export interface AuditLog {
  /** For what was refused, or had been done before. */
  note(origin: Origin, outcome: AuditedOutcome): Promise<void>;
  /** Newest first, by id; of one account where one is given. */
  entries(accountId: string | undefined, range: PageRange<string>): Promise<ListPage<AuditEntry>>;
}

/** Keeps the keys of machines. */
export interface ApiKeyStore {
  /** What changes a key is audited in its own commit. */
  add(apiKey: ApiKey, audit: AuditEntry): Promise<void>;
  byPrefix(prefix: string): Promise<ApiKey | null>;
  /** @returns it, revoked now or before; null where there is none */
  revoke(prefix: string, origin: Origin): Promise<ApiKey | null>;
  /** Oldest first, by id. */
  list(range: PageRange<string>): Promise<ListPage<ApiKey>>;
}

/** How far an account has come. */
export interface AccountHead {
  readonly iban: string;
  /** Of its last ledger entry. */
  readonly sequence: bigint;
}

/** A caller that reads. Waiting reads of different callers take turns. */
export interface ReadingCaller {
  readonly key: string;
  /** Tells whether the client has disconnected or its request has timed out. Reads that have not begun are dropped. */
  readonly isAbandoned?: (() => boolean) | undefined;
}

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
