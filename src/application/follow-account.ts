/**
 * Streams of what happens in an account, in the order of commit. Each follower has a place of its own
 * and reads on from there, whether what it reads is old or new: so there is no seam between replay and
 * live, nothing is missed or repeated, and a slow follower costs no more than a fast one.
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

/** Time until a read that failed is tried again: a database that fails over ends no subscription. */
export const RETRY_MS = 1_000;

/** @param after a position; undefined for from now on */
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

/** @param after a sequence; undefined for from now on */
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

/** @param after a position; undefined for from now on */
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

/** The account at once, and again whenever its balance is another; changes a reader is late for are merged. */
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

interface Course<Item> {
  /** What comes before anything is read. */
  readonly first?: Item;
  readonly from: bigint;
  readonly read: (feed: AccountFeed, after: bigint) => Promise<readonly Item[]>;
  /** Grows from item to item. */
  readonly placeOf: (item: Item) => bigint;
}

function follow<Item>(feed: AccountFeed, course: Course<Item>): AsyncIterableIterator<Item> {
  return closable(itemsOf(feed, course), () => feed.close());
}

/**
 * Makes the end of a generator wake it: one that waits does not hear that it is to end.
 * @param close ends what the generator waits for
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
  course: Course<Item>,
): AsyncGenerator<Item, undefined> {
  let place = course.from;
  try {
    if (course.first !== undefined) yield course.first;
    while (!feed.isClosed) {
      const { version } = feed;
      const items = await course.read(feed, place).catch(() => undefined);
      if (items === undefined) {
        await sleep(RETRY_MS);
        continue;
      }
      for (const item of items) {
        await sharedTurn.take();
        if (feed.isClosed) return;
        yield item;
        place = course.placeOf(item);
      }
      if (items.length === 0) await feed.changedSince(version);
    }
  } finally {
    feed.close();
  }
}
