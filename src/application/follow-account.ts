/**
 * Streams of the events of an account, in the order of commit. Each follower has its own place and reads on from this
 * place, for old and new events alike. There is no boundary between replay and live events, and no event is missed or
 * repeated. A slow follower costs no more than a fast follower.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Account } from '../entities/account.entity.js';
import { FollowerTurns } from './event-loop-turn.js';
import type {
  AccountFeed,
  AccountFeeds,
  FollowedItems,
  FollowedListName,
  FollowedPage,
} from './ports/account-feeds.js';

/** The time until a failed read is retried. A failover of the database ends no subscription. */
export const RETRY_MS = 1_000;

/**
 * Streams the items of a list of an account.
 * @param after a place in the list; undefined to start now
 */
export function followList<Name extends FollowedListName>(
  feeds: AccountFeeds,
  account: Account,
  list: Name,
  after: bigint | undefined,
): AsyncIterableIterator<FollowedItems[Name]> {
  const feed = feeds.open(account);
  return follow(feed, {
    from: after ?? feed.endOf(list),
    read: (place) => feed.readAfter(list, place),
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
  const feed = feeds.open(account);
  return follow(feed, {
    first: account,
    from: account.sequence,
    read: async (sequence) => {
      const current = await feed.account();
      return { items: current.sequence > sequence ? [current] : [], endPlace: current.sequence };
    },
  });
}

interface FollowedSource<Item> {
  /** The item that is sent before anything is read. */
  readonly first?: Item;
  /** The place after which the first read begins. */
  readonly from: bigint;
  readonly read: (place: bigint) => Promise<FollowedPage<Item>>;
}

function follow<Item>(
  feed: AccountFeed,
  source: FollowedSource<Item>,
): AsyncIterableIterator<Item> {
  return closable(itemsOf(feed, source), () => feed.close());
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
  source: FollowedSource<Item>,
): AsyncGenerator<Item, undefined> {
  let place = source.from;
  const turns = new FollowerTurns();
  try {
    if (source.first !== undefined) yield source.first;
    while (!feed.isClosed) {
      const { version } = feed;
      const page = await source.read(place).catch(() => undefined);
      if (page === undefined) {
        await sleep(RETRY_MS);
        continue;
      }
      for (const item of page.items) {
        if (!turns.hasRoom()) await turns.take();
        if (feed.isClosed) return;
        yield item;
      }
      place = page.endPlace;
      if (page.items.length === 0) await feed.changedSince(version);
    }
  } finally {
    feed.close();
  }
}
