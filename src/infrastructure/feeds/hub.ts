import type { AccountFeed, AccountFeeds, EntryKey } from '../../application/ports/account-feeds.js';
import type { AccountHead } from '../../application/ports/account-head.js';
import type { LedgerReader } from '../../application/ports/ledger-reader.js';
import type { Account } from '../../entities/account.entity.js';
import type { Broker } from '../broker/broker.js';
import { isOutage } from '../database/unavailability.js';
import type { Logger } from '../observability/logger.js';
import { FollowedAccount } from './followed-account.js';
import { SubscriberFeed } from './subscriber-feed.js';

/** Interval between polls, which make up for lost wake-ups. */
const POLL_MS = 5_000;

/** Limits the accounts of one poll query. */
const POLL_ACCOUNTS_MAX = 500;

/**
 * Wakes the subscribers of an account when it changes. The relay reports the changes of this instance, and the broker
 * those of other instances. Reports are only wake-ups. Subscribers read the changes from the ledger, so no change can be
 * lost.
 */
export class Hub implements AccountFeeds {
  /** Followed accounts by IBAN. */
  readonly #accounts = new Map<string, FollowedAccount>();
  readonly #pollTimer: NodeJS.Timeout;
  #isPolling = false;

  constructor(
    private readonly reader: LedgerReader,
    broker: Broker,
    private readonly logger: Logger,
  ) {
    broker.onEvent((head) => this.noteChanges([head]));
    // Other instances may have changed accounts while the broker was disconnected.
    broker.onReady(() => void this.#poll());
    this.#pollTimer = setInterval(() => void this.#poll(), POLL_MS);
    this.#pollTimer.unref();
  }

  get subscriptionCount(): number {
    return [...this.#accounts.values()].reduce((sum, { subscribers }) => sum + subscribers.size, 0);
  }

  /** Handles changes of accounts. */
  noteChanges(heads: readonly AccountHead[]): void {
    for (const { iban, sequence, traceparent } of heads) {
      const followed = this.#accounts.get(iban);
      if (traceparent !== undefined) followed?.noteTrace(sequence, traceparent);
      followed?.advanceTo(sequence);
    }
  }

  traceparentOf({ iban, sequence }: EntryKey): string | undefined {
    return this.#accounts.get(iban)?.traceparentOf(sequence);
  }

  open(account: Account, onChange?: () => void): AccountFeed {
    const { iban, sequence } = account;
    const followed =
      this.#accounts.get(iban) ?? new FollowedAccount(account, this.reader, this.logger);
    this.#accounts.set(iban, followed);
    const onClose = () => {
      followed.subscribers.delete(feed);
      if (followed.subscribers.size === 0) this.#accounts.delete(iban);
    };
    const feed = new SubscriberFeed(followed, sequence, { onClose, onChange });
    followed.subscribers.add(feed);
    return feed;
  }

  /** Polls the followed accounts, and wakes the subscribers of each account that has advanced further than known. */
  async #poll(): Promise<void> {
    if (this.#isPolling) return;
    this.#isPolling = true;
    const accounts = [...this.#accounts.values()];
    try {
      for (let start = 0; start < accounts.length; start += POLL_ACCOUNTS_MAX) {
        const some = accounts.slice(start, start + POLL_ACCOUNTS_MAX);
        const sequences = await this.reader.sequencesOf(some.map(({ id }) => id));
        for (const account of some) {
          account.advanceTo(sequences.get(account.id) ?? 0n);
          account.dropIdleCaches();
        }
      }
    } catch (error) {
      if (!isOutage(error)) {
        this.logger.error({ err: error }, 'Followed accounts not read; retrying');
      }
    } finally {
      this.#isPolling = false;
    }
  }

  /** Closes every feed. */
  async close(): Promise<void> {
    clearInterval(this.#pollTimer);
    for (const { subscribers } of this.#accounts.values()) {
      for (const subscriber of subscribers) subscriber.close();
    }
  }
}
