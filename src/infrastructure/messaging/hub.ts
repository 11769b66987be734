import type { AccountFeed, AccountFeeds, LedgerReader } from '../../application/ports.js';
import type { Account } from '../../entities/account.entity.js';
import type { BulkTransfer } from '../../entities/bulk-transfer.entity.js';
import type { Transfer } from '../../entities/transfer.entity.js';
import type { Logger } from '../observability/logger.js';
import type { Broker } from './broker.js';

/** Rows of one read. */
const READ_MAX = 100;

/** Reads that are kept for followers who come to the same place: some 100 rows each. */
const READS_KEPT_MAX = 8;

/** Between looks that no event asked for: what makes up for a wake-up that was lost. */
const POLL_MS = 5_000;

/**
 * Wakes those who follow an account when the broker tells of it, whichever instance performed the bulk.
 * Events are wake-ups alone: what happened is read from the ledger, so that none can be lost.
 */
export class Hub implements AccountFeeds {
  readonly #accounts = new Map<string, FollowedAccount>();
  readonly #poll: NodeJS.Timeout;

  constructor(
    private readonly reader: LedgerReader,
    broker: Broker,
    private readonly logger: Logger,
  ) {
    broker.onEvent((iban) => this.#accounts.get(iban)?.hear());
    this.#poll = setInterval(() => {
      for (const account of this.#accounts.values()) account.hear();
    }, POLL_MS);
    this.#poll.unref();
  }

  open({ id, iban }: Account): AccountFeed {
    const followed = this.#accounts.get(iban) ?? new FollowedAccount(id, this.reader, this.logger);
    this.#accounts.set(iban, followed);
    const feed = new Feed(followed, () => {
      followed.feeds.delete(feed);
      if (followed.feeds.size === 0) this.#accounts.delete(iban);
    });
    followed.feeds.add(feed);
    return feed;
  }

  /** Ends every feed. */
  async close(): Promise<void> {
    clearInterval(this.#poll);
    for (const account of this.#accounts.values()) {
      for (const feed of account.feeds) feed.close();
    }
  }
}

/** An account with followers, and what they read of it since it last changed. */
class FollowedAccount {
  readonly feeds = new Set<Feed>();
  version = 0;
  readonly #reads = new Map<string, Promise<unknown>>();

  constructor(
    private readonly id: string,
    private readonly reader: LedgerReader,
    private readonly logger: Logger,
  ) {}

  hear(): void {
    this.version += 1;
    this.#reads.clear();
    for (const feed of this.feeds) feed.wake();
  }

  transfersAfter(position: bigint): Promise<readonly Transfer[]> {
    return this.#readOnce(`transfers ${position}`, async () => {
      const range = { size: READ_MAX, fromEnd: true, before: position };
      return (await this.reader.transfers(this.id, {}, range)).nodes.toReversed();
    });
  }

  bulkTransfersAfter(sequence: bigint): Promise<readonly BulkTransfer[]> {
    return this.#readOnce(`bulks ${sequence}`, async () => {
      const range = { size: READ_MAX, fromEnd: true, before: sequence };
      return (await this.reader.bulkTransfers(this.id, range)).nodes.toReversed();
    });
  }

  account(): Promise<Account> {
    return this.#readOnce('account', async () => {
      const [account] = await this.reader.accountsById([this.id]);
      if (!account) throw new Error('An account that is followed does not exist');
      return account;
    });
  }

  #readOnce<Result>(place: string, read: () => Promise<Result>): Promise<Result> {
    const known = this.#reads.get(place) as Promise<Result> | undefined;
    if (known) return known;
    const reading = read();
    this.#reads.set(place, reading);
    // What fails is read again by the next who asks.
    reading.catch((error: unknown) => {
      this.#reads.delete(place);
      this.logger.error({ err: error }, 'A followed account could not be read; trying again');
    });
    const [oldest] = this.#reads.keys();
    if (this.#reads.size > READS_KEPT_MAX && oldest !== undefined) this.#reads.delete(oldest);
    return reading;
  }
}

/** One follower's view. */
class Feed implements AccountFeed {
  isClosed = false;
  #waiting: (() => void) | undefined;

  constructor(
    private readonly followed: FollowedAccount,
    private readonly onClose: () => void,
  ) {}

  get version(): number {
    return this.followed.version;
  }

  transfersAfter(position: bigint): Promise<readonly Transfer[]> {
    return this.followed.transfersAfter(position);
  }

  bulkTransfersAfter(sequence: bigint): Promise<readonly BulkTransfer[]> {
    return this.followed.bulkTransfersAfter(sequence);
  }

  account(): Promise<Account> {
    return this.followed.account();
  }

  async changedSince(version: number): Promise<void> {
    if (this.isClosed || this.version !== version) return;
    await new Promise<void>((resolve) => {
      this.#waiting = resolve;
    });
  }

  wake(): void {
    this.#waiting?.();
    this.#waiting = undefined;
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.onClose();
    this.wake();
  }
}
