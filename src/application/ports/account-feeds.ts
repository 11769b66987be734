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
}

/**
 * One subscriber's feed of an account. Subscribers of the same account that read from the same place share one
 * read of the database.
 */
export interface AccountFeed {
  /** Grows whenever the account may have changed. */
  readonly version: number;
  readonly isClosed: boolean;
  /** Reads the next transfers after a position, in order of position; none at the end of the list. */
  transfersAfter(position: bigint): Promise<readonly FollowedTransfer[]>;
  /** Reads the next bulk transfers after a sequence, in order of sequence; none at the end of the list. */
  bulkTransfersAfter(sequence: bigint): Promise<readonly FollowedBulkTransfer[]>;
  /** Reads the next incoming transfers after a position, in order of position; none at the end of the list. */
  incomingTransfersAfter(position: bigint): Promise<readonly FollowedIncomingTransfer[]>;
  /** Reads the account as it is now. */
  account(): Promise<Account>;
  /** Resolves when the version differs from the one given, or the feed is closed. */
  changedSince(version: number): Promise<void>;
  close(): void;
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
