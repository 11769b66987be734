/**
 * Streams of the events of an account, in the order of commit. Each follower has its own place and reads on from this
 * place, for old and new events alike. There is no boundary between replay and live events, and no event is missed or
 * repeated. A slow follower costs no more than a fast follower.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { firstPositionOf } from '../domain/postings.js';
import type { Account } from '../entities/account.entity.js';
import { sharedTurn } from './event-loop-turn.js';
import type {
  AccountFeed,
  AccountFeeds,
  FollowedBulkTransfer,
  FollowedIncomingTransfer,
  FollowedTransfer,
} from './ports/account-feeds.js';

/** The time until a failed read is retried. A failover of the database ends no subscription. */
export const RETRY_MS = 1_000;

/**
 * Streams the transfers of an account.
 * @param after a position; undefined to start now
 */
export function followTransfers(
  feeds: AccountFeeds,
  account: Account,
  after: bigint | undefined,
): AsyncIterableIterator<FollowedTransfer> {
  return follow(feeds.open(account), {
    from: after ?? firstPositionOf(account.sequence + 1n) - 1n,
    read: (feed, position) => feed.transfersAfter(position),
    placeOf: ({ transfer }) => transfer.position,
  });
}

/**
 * Streams the bulk transfers of an account.
 * @param after a sequence; undefined to start now
 */
export function followBulkTransfers(
  feeds: AccountFeeds,
  account: Account,
  after: bigint | undefined,
): AsyncIterableIterator<FollowedBulkTransfer> {
  return follow(feeds.open(account), {
    from: after ?? account.sequence,
    read: (feed, sequence) => feed.bulkTransfersAfter(sequence),
    placeOf: ({ bulkTransfer }) => bulkTransfer.sequence,
  });
}

/**
 * Streams the incoming transfers of an account.
 * @param after a position; undefined to start now
 */
export function followIncomingTransfers(
  feeds: AccountFeeds,
  account: Account,
  after: bigint | undefined,
): AsyncIterableIterator<FollowedIncomingTransfer> {
  return follow(feeds.open(account), {
    from: after ?? firstPositionOf(account.sequence + 1n) - 1n,
    read: (feed, position) => feed.incomingTransfersAfter(position),
    placeOf: ({ transfer }) => transfer.position,
  });
}

/**
 * Streams the account: at once, and again after each change of its balance. Changes that a slow reader misses are
 * merged.
 */
export function followBalance(
  feeds: AccountFeeds,
  account: Account,
): AsyncIterableIterator<Account> {
  return follow(feeds.open(account), {
    first: account,
    from: account.sequence,
    read: async (feed, sequence) => {
      const current = await feed.account();
      return current.sequence > sequence ? [current] : [];
    },
    placeOf: (current) => current.sequence,
  });
}

interface FollowedList<Item> {
  /** The item that is sent before anything is read. */
  readonly first?: Item;
  readonly from: bigint;
  readonly read: (feed: AccountFeed, after: bigint) => Promise<readonly Item[]>;
  /** Returns the place of an item. Capacity grow from item to item. */
  readonly placeOf: (item: Item) => bigint;
}

function follow<Item>(feed: AccountFeed, list: FollowedList<Item>): AsyncIterableIterator<Item> {
  return closable(itemsOf(feed, list), () => feed.close());
}

/**
 * Makes the end of a generator wake the generator. A waiting generator does not notice its end by itself.
 * @param close ends the wait of the generator
 */
export function closable<Item>(
  items: AsyncGenerator<Item, undefined>,
  close: () => void,
): AsyncIterableIterator<Item> {
  return {
    next: () => items.next(),
    return: () => {
      close();
      return items.return(undefined);
    },
    throw: (error) => {
      close();
      return items.throw(error);
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

async function* itemsOf<Item>(
  feed: AccountFeed,
  list: FollowedList<Item>,
): AsyncGenerator<Item, undefined> {
  let place = list.from;
  try {
    if (list.first !== undefined) yield list.first;
    while (!feed.isClosed) {
      const { version } = feed;
      const items = await list.read(feed, place).catch(() => undefined);
      if (items === undefined) {
        await sleep(RETRY_MS);
        continue;
      }
      for (const item of items) {
        await sharedTurn.take();
        if (feed.isClosed) return;
        yield item;
        place = list.placeOf(item);
      }
      if (items.length === 0) await feed.changedSince(version);
    }
  } finally {
    feed.close();
  }
}
