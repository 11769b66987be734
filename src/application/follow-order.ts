/** Streams the state of an order: at once, and after each change. It ends after a state that never changes. */
import { isFinal } from '../domain/order.js';
import { closable } from './follow-account.js';
import type { OrderFeed, OrderState } from './ports/order-feeds.js';

export function followOrder(feed: OrderFeed): AsyncIterableIterator<OrderState> {
  return closable(statesOf(feed), () => feed.close());
}

/** Yields the latest state. A slow reader misses the states between. */
async function* statesOf(feed: OrderFeed): AsyncGenerator<OrderState, undefined> {
  try {
    while (!feed.isClosed) {
      const { version, state } = feed;
      yield state;
      if (isFinal(state.order.status)) return;
      await feed.changedSince(version);
    }
  } finally {
    feed.close();
  }
}
