/**
 * Streams the balances of many accounts: first each balance, then each change. Changes that a slow reader misses are
 * merged, so a stream holds at most one mark for each account.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Account } from '../entities/account.entity.js';
import { FollowerTurns } from './event-loop-turn.js';
import { closable, RETRY_MS } from './follow-account.js';
import type { AccountFeed, AccountFeeds } from './ports/account-feeds.js';
import type { ScopedLedgerReader } from './ports/scoped-ledger-reader.js';

/** The largest number of accounts that one stream follows. It limits the memory of the stream. */
export const FOLLOWED_ACCOUNTS_MAX = 1_000;

/** The time until the caller's accounts are listed again, to find newly opened accounts. */
const LIST_AGAIN_MS = 15_000;

/**
 * The largest number of accounts that are read one by one, shared by all followers. For more accounts, a stream reads
 * its own accounts in one statement.
 */
const READ_APART_MAX = 10;

export type AccountLister = Pick<ScopedLedgerReader, 'accountIds' | 'accountsById'>;

/**
 * Streams the balances of accounts.
 * @param accounts the accounts that exist now
 * @param lister reads the accounts of the caller. An account that is opened later joins the stream, up to
 *   FOLLOWED_ACCOUNTS_MAX in all
 */
export function followBalances(
  feeds: AccountFeeds,
  accounts: readonly Account[],
  lister: AccountLister,
): AsyncIterableIterator<Account> {
  const stream = new BalancesStream(feeds, accounts, lister);
  return closable(stream.read(), () => stream.close());
}

interface FollowedBalance {
  readonly feed: AccountFeed;
  /** The sequence of the account when its balance was last sent; undefined before the first time. */
  sequenceSent: bigint | undefined;
}

class BalancesStream {
  readonly #followed = new Map<string, FollowedBalance>();
  /** Ids of accounts whose balance may differ from the balance that was sent. */
  readonly #changed = new Set<string>();
  #isClosed = false;
  #wake: (() => void) | undefined;
  #isListDue = false;
  #listTimer = this.#listLater();

  constructor(
    private readonly feeds: AccountFeeds,
    accounts: readonly Account[],
    private readonly lister: AccountLister,
  ) {
    for (const account of accounts) this.#follow(account);
  }

  /**
   * Follows an account, which counts as changed from the start. It may have changed between its read and the start of
   * its feed.
   */
  #follow(account: Account): void {
    const { id } = account;
    const feed = this.feeds.open(account, () => this.#note(id));
    this.#followed.set(id, { feed, sequenceSent: undefined });
    this.#changed.add(id);
  }

  #note(id: string): void {
    this.#changed.add(id);
    this.#wake?.();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#listTimer);
    for (const { feed } of this.#followed.values()) feed.close();
    this.#wake?.();
  }

  async *read(): AsyncGenerator<Account, undefined> {
    const turns = new FollowerTurns();
    try {
      while (!this.#isClosed) {
        const accounts = await this.#readChanged().catch(() => undefined);
        if (accounts === undefined) await sleep(RETRY_MS);
        for (const account of accounts ?? []) {
          if (!turns.hasRoom()) await turns.take();
          if (this.#isClosed) return;
          yield account;
        }
        if (this.#changed.size > 0) continue;
        if (this.#isListDue) await this.#followOpened().catch(() => undefined);
        else await this.#untilChanged();
      }
    } finally {
      this.close();
    }
  }

  /** @returns the accounts whose balance differs from the balance that was sent */
  async #readChanged(): Promise<readonly Account[]> {
    const ids = [...this.#changed];
    this.#changed.clear();
    try {
      return (await this.#accounts(ids)).filter((account) => this.#isUnsent(account));
    } catch (error) {
      for (const id of ids) this.#changed.add(id);
      throw error;
    }
  }

  async #accounts(ids: readonly string[]): Promise<readonly Account[]> {
    if (ids.length > READ_APART_MAX) return existing(await this.lister.accountsById(ids));
    const feeds = ids.flatMap((id) => this.#followed.get(id)?.feed ?? []);
    return Promise.all(feeds.map((feed) => feed.account()));
  }

  #isUnsent({ id, sequence }: Account): boolean {
    const followed = this.#followed.get(id);
    if (!followed || sequence <= (followed.sequenceSent ?? -1n)) return false;
    followed.sequenceSent = sequence;
    return true;
  }

  async #followOpened(): Promise<void> {
    this.#isListDue = false;
    this.#listTimer = this.#listLater();
    const ids = await this.lister.accountIds(FOLLOWED_ACCOUNTS_MAX);
    const opened = ids.filter((id) => !this.#followed.has(id));
    const room = FOLLOWED_ACCOUNTS_MAX - this.#followed.size;
    const accounts = existing(await this.lister.accountsById(opened.slice(0, room)));
    if (!this.#isClosed) for (const account of accounts) this.#follow(account);
  }

  #listLater(): NodeJS.Timeout {
    const timer = setTimeout(() => {
      this.#isListDue = true;
      this.#wake?.();
    }, LIST_AGAIN_MS);
    return timer.unref();
  }

  /** Waits until an account changed, the list is due, or the stream is closed. */
  async #untilChanged(): Promise<void> {
    if (this.#isClosed || this.#changed.size > 0 || this.#isListDue) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = undefined;
  }
}

function existing(accounts: readonly (Account | null)[]): Account[] {
  return accounts.filter((account) => account !== null);
}
