import type {
  FollowedItems,
  FollowedListName,
  FollowedPage,
} from '../../application/ports/account-feeds.js';
import type { LedgerReader } from '../../application/ports/ledger-reader.js';
import type { Account } from '../../entities/account.entity.js';
import { isOutage } from '../database/unavailability.js';
import type { Logger } from '../observability/logger.js';
import { type FollowedList, LISTS, type ListSource, READ_MAX } from './followed-lists.js';
import { SharedTail } from './shared-tail.js';

/**
 * Limits the cached reads and the cached full pages, of some 100 rows each. Subscribers at the same place share them.
 */
const READS_KEPT_MAX = 8;

/** The number of entries whose traces are kept. */
const TRACES_KEPT_MAX = 1_000;

/** The cache key of the account itself. */
const ACCOUNT = 'account';

/** A list of the account, and its end, which is cached for all subscribers. */
interface OpenList<Item> extends FollowedList<Item> {
  readonly tail: SharedTail<Item>;
}

type OpenLists = { readonly [Name in FollowedListName]: OpenList<FollowedItems[Name]> };

/** A subscriber of an account. */
export interface Subscriber {
  /** Tells the subscriber that the account may have changed. */
  wake(): void;
  close(): void;
}

/** An account with subscribers, and a cache of what they read since the account last changed. */
export class FollowedAccount {
  readonly subscribers = new Set<Subscriber>();
  readonly id: string;
  /** Grows with each change of the account. */
  version = 0;
  /** The latest sequence of the account that its subscribers know. */
  #sequence: bigint;
  readonly #lists: OpenLists;
  /**
   * Reads of the current state, by what they read. They are dropped at the next change, because they may then be
   * incomplete.
   */
  readonly #reads = new Map<string, Promise<unknown>>();
  /** Full pages of past items, by their place. They never change. */
  readonly #pages = new Map<string, readonly unknown[]>();
  /** The traces of the latest entries, by sequence. */
  readonly #traces = new Map<bigint, string>();
  readonly #source: ListSource;
  /** The version at the last call of dropIdleCaches(). */
  #versionSeen = 0;

  constructor(
    { id, sequence }: Account,
    private readonly reader: LedgerReader,
    private readonly logger: Logger,
  ) {
    this.id = id;
    this.#sequence = sequence;
    this.#source = { reader, accountId: id, account: () => this.account() };
    this.#lists = {
      transfers: this.#open(LISTS.transfers),
      bulkTransfers: this.#open(LISTS.bulkTransfers),
      incomingTransfers: this.#open(LISTS.incomingTransfers),
    };
  }

  #open<Item>(list: FollowedList<Item>): OpenList<Item> {
    const read = (after: bigint) => this.#logged(list.read(this.#source, after));
    const tail = new SharedTail(list.endAt(this.#sequence), READ_MAX, read, list.placeOf);
    return { ...list, tail };
  }

  /** Drops the caches if the account has not changed since the last call. */
  dropIdleCaches(): void {
    if (this.version === this.#versionSeen) {
      for (const { tail } of Object.values(this.#lists)) tail.drop();
      this.#reads.clear();
      this.#pages.clear();
    }
    this.#versionSeen = this.version;
  }

  noteTrace(sequence: bigint, traceparent: string): void {
    keep(this.#traces, sequence, traceparent, TRACES_KEPT_MAX);
  }

  traceparentOf(sequence: bigint): string | undefined {
    return this.#traces.get(sequence);
  }

  /** Handles a sequence that the account has reached. Several sources may report the same sequence. */
  advanceTo(sequence: bigint): void {
    if (sequence <= this.#sequence) return;
    this.#sequence = sequence;
    this.version += 1;
    this.#reads.clear();
    for (const subscriber of this.subscribers) subscriber.wake();
  }

  /**
   * Reads the next items of a list: from the cached end of the list if it holds the place, otherwise from a page of
   * past items.
   */
  async readAfter<Name extends FollowedListName>(
    name: Name,
    place: bigint,
  ): Promise<FollowedPage<FollowedItems[Name]>> {
    const { tail, placeOf, read }: OpenList<FollowedItems[Name]> = this.#lists[name];
    const items =
      (await tail.after(place, this.version)) ??
      (await this.#pageOnce(`${name} ${place}`, () => read(this.#source, place)));
    const last = items.at(-1);
    return { items, endPlace: last === undefined ? place : placeOf(last) };
  }

  /** Reads the account as it is now. */
  account(): Promise<Account> {
    return this.#readOnce(ACCOUNT, async () => {
      const [account] = await this.reader.accountsById([this.id]);
      if (!account) throw new Error('The followed account does not exist');
      return account;
    });
  }

  async #pageOnce<Item>(
    place: string,
    read: () => Promise<readonly Item[]>,
  ): Promise<readonly Item[]> {
    const known = this.#pages.get(place) as readonly Item[] | undefined;
    if (known) return known;
    const page = await this.#readOnce(place, read);
    if (page.length === READ_MAX) keep(this.#pages, place, page, READS_KEPT_MAX);
    return page;
  }

  #readOnce<Result>(place: string, read: () => Promise<Result>): Promise<Result> {
    const known = this.#reads.get(place) as Promise<Result> | undefined;
    if (known) return known;
    const reading = this.#logged(read());
    keep(this.#reads, place, reading, READS_KEPT_MAX);
    // A failed read is dropped, so the next caller reads again.
    reading.catch(() => this.#reads.delete(place));
    return reading;
  }

  /** Logs the error of a read. Subscribers retry, and only see that the read failed. */
  async #logged<Result>(reading: Promise<Result>): Promise<Result> {
    try {
      return await reading;
    } catch (error) {
      if (!isOutage(error)) {
        this.logger.error({ err: error }, 'Followed account not read; retrying');
      }
      throw error;
    }
  }
}

function keep<Key, Kept>(all: Map<Key, Kept>, key: Key, kept: Kept, max: number): void {
  all.set(key, kept);
  const [oldest] = all.keys();
  if (all.size > max && oldest !== undefined) all.delete(oldest);
}
