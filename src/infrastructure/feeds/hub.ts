import type {
  AccountFeed,
  AccountFeeds,
  FollowedBulkTransfer,
  FollowedIncomingTransfer,
  FollowedTransfer,
} from '../../application/ports/account-feeds.js';
import type { AccountHead } from '../../application/ports/account-head.js';
import type { LedgerReader } from '../../application/ports/ledger-reader.js';
import { firstPositionOf } from '../../domain/postings.js';
import type { Account } from '../../entities/account.entity.js';
import type { Broker } from '../broker/broker.js';
import { isOutage } from '../database/unavailability.js';
import type { Logger } from '../observability/logger.js';
import { SharedTail } from './shared-tail.js';

/** Limits the rows of one read. */
const READ_MAX = 100;

/**
 * Limits the cached reads and the cached full pages, of some 100 rows each. Subscribers at the same place share them.
 */
const READS_KEPT_MAX = 8;

/** Interval between polls, which make up for lost wake-ups. */
const POLL_MS = 5_000;

/** Limits the accounts of one poll query. */
const POLL_ACCOUNTS_MAX = 500;

/**
 * Wakes the subscribers of an account when a commit of this process or the broker reports a change, from any instance.
 * Events are only wake-ups. Subscribers read the changes from the ledger, so no change can be lost.
 */
export class Hub implements AccountFeeds {
  /** Followed accounts by IBAN. */
  readonly #accounts = new Map<string, FollowedAccount>();
  readonly #poll: NodeJS.Timeout;
  #isLooking = false;

  constructor(
    private readonly reader: LedgerReader,
    broker: Broker,
    private readonly logger: Logger,
  ) {
    broker.onEvent((head) => this.hear(head));
    // Other instances may have changed accounts while the broker was disconnected.
    broker.onReady(() => void this.#look());
    this.#poll = setInterval(() => void this.#look(), POLL_MS);
    this.#poll.unref();
  }

  get subscriptionCount(): number {
    return [...this.#accounts.values()].reduce((sum, { feeds }) => sum + feeds.size, 0);
  }

  /** Handles a change of an account. */
  hear({ iban, sequence }: AccountHead): void {
    this.#accounts.get(iban)?.hear(sequence);
  }

  /** Polls the followed accounts, and wakes the subscribers of each account that has advanced further than known. */
  async #look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    const accounts = [...this.#accounts.values()];
    try {
      for (let start = 0; start < accounts.length; start += POLL_ACCOUNTS_MAX) {
        const some = accounts.slice(start, start + POLL_ACCOUNTS_MAX);
        const sequences = await this.reader.sequencesOf(some.map(({ id }) => id));
        for (const account of some) {
          account.hear(sequences.get(account.id) ?? 0n);
          account.rest();
        }
      }
    } catch (error) {
      if (!isOutage(error)) {
        this.logger.error({ err: error }, 'Followed accounts could not be looked at; trying again');
      }
    } finally {
      this.#isLooking = false;
    }
  }

  open(account: Account, onChange?: () => void): AccountFeed {
    const { iban } = account;
    const followed =
      this.#accounts.get(iban) ?? new FollowedAccount(account, this.reader, this.logger);
    this.#accounts.set(iban, followed);
    const onClose = () => {
      followed.feeds.delete(feed);
      if (followed.feeds.size === 0) this.#accounts.delete(iban);
    };
    const feed = new Feed(followed, onClose, onChange);
    followed.feeds.add(feed);
    return feed;
  }

  /** Closes every feed. */
  async close(): Promise<void> {
    clearInterval(this.#poll);
    for (const account of this.#accounts.values()) {
      for (const feed of account.feeds) feed.close();
    }
  }
}

/** A list of an account that subscribers read continuously. */
interface ListFacts<Item> {
  readonly name: string;
  /** The last place of the list when the first subscriber came. */
  readonly start: bigint;
  /** Reads the next items after a place. */
  readonly read: (after: bigint) => Promise<readonly Item[]>;
  readonly placeOf: (item: Item) => bigint;
}

type FollowedList<Item> = Pick<ListFacts<Item>, 'name' | 'read'> & {
  /** The end of the list, cached for all subscribers. */
  readonly tail: SharedTail<Item>;
};

/** An account with subscribers, and a cache of what they read since the account last changed. */
class FollowedAccount {
  readonly feeds = new Set<Feed>();
  readonly id: string;
  version = 0;
  /** The latest sequence of the account that its subscribers know. */
  #sequence: bigint;
  /**
   * Reads of the current state, by what they read. They are dropped at the next change, because they may then be
   * incomplete.
   */
  readonly #reads = new Map<string, Promise<unknown>>();
  /** Full pages of past items, by their place. They never change. */
  readonly #pages = new Map<string, readonly unknown[]>();
  readonly #transfers: FollowedList<FollowedTransfer>;
  readonly #bulkTransfers: FollowedList<FollowedBulkTransfer>;
  readonly #incomingTransfers: FollowedList<FollowedIncomingTransfer>;
  /** The version at the last call of rest(). */
  #versionSeen = 0;

  constructor(
    { id, sequence }: Account,
    private readonly reader: LedgerReader,
    private readonly logger: Logger,
  ) {
    this.id = id;
    this.#sequence = sequence;
    const lastPosition = firstPositionOf(sequence + 1n) - 1n;
    this.#transfers = this.#listOf({
      name: 'transfers',
      start: lastPosition,
      read: (position) => this.#readTransfers(position),
      placeOf: ({ transfer }) => transfer.position,
    });
    this.#bulkTransfers = this.#listOf({
      name: 'bulks',
      start: sequence,
      read: (after) => this.#readBulkTransfers(after),
      placeOf: ({ bulkTransfer }) => bulkTransfer.sequence,
    });
    this.#incomingTransfers = this.#listOf({
      name: 'incoming',
      start: lastPosition,
      read: (position) => this.#readIncomingTransfers(position),
      placeOf: ({ transfer }) => transfer.position,
    });
  }

  #listOf<Item>({ start, placeOf, ...list }: ListFacts<Item>): FollowedList<Item> {
    const read = (after: bigint) => this.#told(list.read(after));
    return { ...list, tail: new SharedTail(start, READ_MAX, read, placeOf) };
  }

  /** Drops the caches if nothing has happened since the last call. */
  rest(): void {
    if (this.version === this.#versionSeen) {
      this.#transfers.tail.rest();
      this.#bulkTransfers.tail.rest();
      this.#incomingTransfers.tail.rest();
      this.#reads.clear();
      this.#pages.clear();
    }
    this.#versionSeen = this.version;
  }

  /** Handles a sequence that the account has reached. Several sources may report the same sequence. */
  hear(sequence: bigint): void {
    if (sequence <= this.#sequence) return;
    this.#sequence = sequence;
    this.version += 1;
    this.#reads.clear();
    for (const feed of this.feeds) feed.wake();
  }

  transfersAfter(position: bigint): Promise<readonly FollowedTransfer[]> {
    return this.#after(this.#transfers, position);
  }

  bulkTransfersAfter(sequence: bigint): Promise<readonly FollowedBulkTransfer[]> {
    return this.#after(this.#bulkTransfers, sequence);
  }

  incomingTransfersAfter(position: bigint): Promise<readonly FollowedIncomingTransfer[]> {
    return this.#after(this.#incomingTransfers, position);
  }

  /**
   * Returns the next items from the cached end of the list if it holds the place, otherwise from a page of past items.
   */
  async #after<Item>(list: FollowedList<Item>, place: bigint): Promise<readonly Item[]> {
    return (
      (await list.tail.after(place, this.version)) ??
      this.#pageOnce(`${list.name} ${place}`, () => list.read(place))
    );
  }

  account(): Promise<Account> {
    return this.#readOnce(ACCOUNT, async () => {
      const [account] = await this.reader.accountsById([this.id]);
      if (!account) throw new Error('An account that is followed does not exist');
      return account;
    });
  }

  async #readTransfers(position: bigint): Promise<readonly FollowedTransfer[]> {
    const range = { size: READ_MAX, fromEnd: true, before: position };
    const transfers = (await this.reader.transfers(this.id, range)).nodes.toReversed();
    const bulkIds = [...new Set(transfers.map(({ bulkTransferId }) => bulkTransferId))];
    const [account, bulks] = await Promise.all([
      this.account(),
      this.reader.bulkTransfersById(bulkIds),
    ]);
    const byId = new Map(bulks.map((bulk) => [bulk?.id, bulk]));
    return transfers.map((transfer) => {
      const bulkTransfer = byId.get(transfer.bulkTransferId);
      if (!bulkTransfer) throw new Error('A transfer is of no bulk');
      return { transfer, bulkTransfer, account };
    });
  }

  async #readBulkTransfers(sequence: bigint): Promise<readonly FollowedBulkTransfer[]> {
    const range = { size: READ_MAX, fromEnd: true, before: sequence };
    const page = await this.reader.bulkTransfers(this.id, range);
    const account = await this.account();
    return page.nodes.toReversed().map((bulkTransfer) => ({ bulkTransfer, account }));
  }

  async #readIncomingTransfers(position: bigint): Promise<readonly FollowedIncomingTransfer[]> {
    const range = { size: READ_MAX, fromEnd: true, before: position };
    const page = await this.reader.incomingTransfers(this.id, range);
    const account = await this.account();
    return page.nodes.toReversed().map((transfer) => ({ transfer, account }));
  }

  async #pageOnce<Item>(
    place: string,
    read: () => Promise<readonly Item[]>,
  ): Promise<readonly Item[]> {
    const known = this.#pages.get(place) as readonly Item[] | undefined;
    if (known) return known;
    const page = await this.#readOnce(place, read);
    if (page.length === READ_MAX) keep(this.#pages, place, page);
    return page;
  }

  #readOnce<Result>(place: string, read: () => Promise<Result>): Promise<Result> {
    const known = this.#reads.get(place) as Promise<Result> | undefined;
    if (known) return known;
    const reading = this.#told(read());
    keep(this.#reads, place, reading);
    // A failed read is dropped, so the next caller reads again.
    reading.catch(() => this.#reads.delete(place));
    return reading;
  }

  async #told<Result>(reading: Promise<Result>): Promise<Result> {
    try {
      return await reading;
    } catch (error) {
      if (!isOutage(error)) {
        this.logger.error({ err: error }, 'A followed account could not be read; trying again');
      }
      throw error;
    }
  }
}

function keep<Kept>(all: Map<string, Kept>, place: string, kept: Kept): void {
  all.set(place, kept);
  const [oldest] = all.keys();
  if (all.size > READS_KEPT_MAX && oldest !== undefined) all.delete(oldest);
}

/** The cache key of the followed account itself. */
const ACCOUNT = 'account';

/** The view of one subscriber. */
class Feed implements AccountFeed {
  isClosed = false;
  #waiting: (() => void) | undefined;

  constructor(
    private readonly followed: FollowedAccount,
    private readonly onClose: () => void,
    private readonly onChange: (() => void) | undefined,
  ) {}

  get version(): number {
    return this.followed.version;
  }

  transfersAfter(position: bigint): Promise<readonly FollowedTransfer[]> {
    return this.followed.transfersAfter(position);
  }

  bulkTransfersAfter(sequence: bigint): Promise<readonly FollowedBulkTransfer[]> {
    return this.followed.bulkTransfersAfter(sequence);
  }

  incomingTransfersAfter(position: bigint): Promise<readonly FollowedIncomingTransfer[]> {
    return this.followed.incomingTransfersAfter(position);
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
    this.onChange?.();
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
