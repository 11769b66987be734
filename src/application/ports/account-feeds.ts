import type { Account } from '../../entities/account.entity.js';
import type { BulkTransfer } from '../../entities/bulk-transfer.entity.js';
import type { IncomingTransfer } from '../../entities/incoming-transfer.entity.js';
import type { Transfer } from '../../entities/transfer.entity.js';

/** Opens feeds of accounts. */
export interface AccountFeeds {
  /**
   * Opens a feed for one subscriber. The subscriber closes it.
   * @param onChange is called whenever the account may have changed
   */
  open(account: Account, onChange?: () => void): AccountFeed;
  /**
   * Returns the trace of the request that made an entry of a followed account, in W3C's format; undefined if it is not
   * known, as for old entries.
   */
  traceparentOf(entry: EntryKey): string | undefined;
}

/** Names a ledger entry. */
export interface EntryKey {
  /** IBAN of the account. */
  readonly iban: string;
  readonly sequence: bigint;
}

/**
 * One subscriber's feed of an account. Subscribers of the same account that read from the same place share one
 * read of the database.
 */
export interface AccountFeed {
  /** Grows whenever the account may have changed. */
  readonly version: number;
  readonly isClosed: boolean;
  /** Returns the place at which a list ended when the feed was opened. */
  endOf(list: FollowedListName): bigint;
  /** Reads the next items of a list after a place, in order of place; none at the end of the list. */
  readAfter<Name extends FollowedListName>(
    list: Name,
    place: bigint,
  ): Promise<FollowedPage<FollowedItems[Name]>>;
  /** Reads the account as it is now. */
  account(): Promise<Account>;
  /** Resolves when the version differs from the one given, or the feed is closed. */
  changedSince(version: number): Promise<void>;
  close(): void;
}

/** The lists of an account that subscribers follow, and the items of each list. */
export interface FollowedItems {
  readonly transfers: FollowedTransfer;
  readonly bulkTransfers: FollowedBulkTransfer;
  readonly incomingTransfers: FollowedIncomingTransfer;
}

export type FollowedListName = keyof FollowedItems;

/** The next items of a followed list. */
export interface FollowedPage<Item> {
  readonly items: readonly Item[];
  /** The place of the last item; without items, the place after which the page was read. */
  readonly endPlace: bigint;
}

/** A bulk transfer, and its account as it is now. */
export interface FollowedBulkTransfer {
  readonly bulkTransfer: BulkTransfer;
  readonly account: Account;
}

/** An incoming transfer, and the account that it credited as it is now. */
export interface FollowedIncomingTransfer {
  readonly transfer: IncomingTransfer;
  readonly account: Account;
}

/** A transfer with its bulk transfer, and its account as it is now. */
export interface FollowedTransfer extends FollowedBulkTransfer {
  readonly transfer: Transfer;
}
