import type { AccountFacts } from '../../domain/bulk-transfer.js';
import type { Account } from '../../entities/account.entity.js';
import type { BulkTransfer } from '../../entities/bulk-transfer.entity.js';
import type { IncomingTransfer } from '../../entities/incoming-transfer.entity.js';
import type { LedgerEntry } from '../../entities/ledger-entry.entity.js';
import type { OrderTransition } from '../../entities/order-transition.entity.js';
import type { Organization } from '../../entities/organization.entity.js';
import type { Transfer } from '../../entities/transfer.entity.js';
import type { AccountHead } from './account-head.js';
import type { ListPage, PageRange } from './page.js';

/**
 * Reads the committed ledger of all organizations, for use cases, the relay and the account feeds. A counterparty may
 * belong to any organization. Resolvers must not use this interface; they use ScopedLedgerReader. Lists are newest
 * first unless stated otherwise.
 */
export interface LedgerReader {
  accountByIban(iban: string): Promise<Account | null>;
  /** Tells whether an account has a short id: see shortIdOf. */
  hasShortId(shortId: number): Promise<boolean>;
  /** Returns the unchanging columns of the accounts that exist, by IBAN. */
  accountFactsByIban(ibans: readonly string[]): Promise<ReadonlyMap<string, AccountFacts>>;
  bulkTransferByKey(accountId: string, idempotencyKey: string): Promise<BulkTransfer | null>;

  /** Returns one answer for each id, in the order of the ids; null for an id that does not exist. */
  accountsById(ids: readonly string[]): Promise<(Account | null)[]>;
  organizationsById(ids: readonly string[]): Promise<(Organization | null)[]>;
  bulkTransfersById(ids: readonly string[]): Promise<(BulkTransfer | null)[]>;
  transfersById(ids: readonly string[]): Promise<(Transfer | null)[]>;
  entriesById(ids: readonly string[]): Promise<(LedgerEntry | null)[]>;
  incomingTransfersById(ids: readonly string[]): Promise<(IncomingTransfer | null)[]>;

  /** Lists the bulk transfers of an account by sequence. */
  bulkTransfers(accountId: string, range: PageRange<bigint>): Promise<ListPage<BulkTransfer>>;
  /** Lists the transfers of an account by position. */
  transfers(accountId: string, range: PageRange<bigint>): Promise<ListPage<Transfer>>;
  /** Lists transfers from other accounts of this server, by position in the history of the credited account. */
  incomingTransfers(
    accountId: string,
    range: PageRange<bigint>,
  ): Promise<ListPage<IncomingTransfer>>;
  /** Lists the transfers of a bulk by position, in the order in which they were sent. */
  transfersOfBulk(
    bulkTransfer: Pick<BulkTransfer, 'accountId' | 'sequence'>,
    range: PageRange<bigint>,
  ): Promise<ListPage<Transfer>>;
  /** Lists the incoming transfers that a bulk made, by the payer's position. This is the order of the bulk. */
  incomingTransfersOfBulk(
    bulkTransfer: Pick<BulkTransfer, 'accountId' | 'sequence'>,
    range: PageRange<bigint>,
  ): Promise<ListPage<IncomingTransfer>>;

  /** Returns all transfers of small bulks of one account, by position. */
  transfersOfBulks(bulkTransfers: readonly BulkTransfer[]): Promise<Transfer[]>;
  incomingTransfersOfBulks(bulkTransfers: readonly BulkTransfer[]): Promise<IncomingTransfer[]>;

  /** Returns the bulk transfers of an account that have one of the sequences, in order of sequence. */
  bulkTransfersAt(accountId: string, sequences: readonly bigint[]): Promise<BulkTransfer[]>;
  entriesAt(accountId: string, sequences: readonly bigint[]): Promise<LedgerEntry[]>;
  /** Returns the sequence of the last ledger entry of each account that exists, by account id. */
  sequencesOf(accountIds: readonly string[]): Promise<ReadonlyMap<string, bigint>>;
  /** Returns the heads of all accounts that entries with these sequences, and the bulks of these entries, changed. */
  headsAfter(accountId: string, sequences: readonly bigint[]): Promise<AccountHead[]>;
  /** Returns the transitions of an order that have one of the sequences. */
  orderTransitionsAt(orderId: string, sequences: readonly bigint[]): Promise<OrderTransition[]>;
  /** Returns the entries that bulks credited to accounts of this server. */
  bookEntriesOf(bulkTransferIds: readonly string[]): Promise<LedgerEntry[]>;
}
