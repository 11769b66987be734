/**
 * Tells subscribers how far the work on orders is. The progress of an order that this server performs is known here; the
 * database has the state of every other one, and is read at intervals while somebody follows.
 */
import type { OrderFeed, OrderFeeds, OrderState } from '../../application/ports/order-feeds.js';
import type { OrderProgress, OrderStore } from '../../application/ports/order-store.js';
import type { OrganizationScope } from '../../domain/caller.js';
import type { BulkTransferOrder } from '../../entities/bulk-transfer-order.entity.js';
import { isOutage } from '../database/unavailability.js';
import type { Logger } from '../observability/logger.js';

const POLL_MS = 500;

/** An order with subscribers. */
class FollowedOrder {
  readonly feeds = new Set<SubscriberOrderFeed>();
  version = 0;
  state: OrderState;

  constructor(order: BulkTransferOrder, progress: OrderProgress | undefined) {
    this.state = { order, progress: progress ?? storedProgressOf(order) };
  }

  update(state: OrderState): void {
    if (textOf(state) === textOf(this.state)) return;
    this.state = state;
    this.version += 1;
    for (const feed of this.feeds) feed.wake();
  }
}

class SubscriberOrderFeed implements OrderFeed {
  isClosed = false;
  #waiting: (() => void) | undefined;

  constructor(
    private readonly followed: FollowedOrder,
    private readonly onClose: (feed: SubscriberOrderFeed) => void,
  ) {}

  get version(): number {
    return this.followed.version;
  }

  get state(): OrderState {
    return this.followed.state;
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
    this.onClose(this);
    this.wake();
  }
}

export class OrderWatch implements OrderFeeds {
  readonly #followed = new Map<string, FollowedOrder>();
  /** The progress of the orders that this server performs. */
  readonly #progress = new Map<string, OrderProgress>();
  readonly #timer: NodeJS.Timeout;
  #isPolling = false;

  constructor(
    private readonly orders: Pick<OrderStore, 'byId' | 'byIds'>,
    private readonly logger: Logger,
  ) {
    this.#timer = setInterval(() => void this.#poll(), POLL_MS);
    this.#timer.unref();
  }

  async openOrder(id: string, organizations: OrganizationScope): Promise<OrderFeed | null> {
    const order = await this.orders.byId(id, organizations);
    if (!order) return null;
    const followed = this.#followed.get(id) ?? new FollowedOrder(order, this.#progress.get(id));
    this.#followed.set(id, followed);
    const feed = new SubscriberOrderFeed(followed, (closed) => {
      followed.feeds.delete(closed);
      if (followed.feeds.size === 0) this.#followed.delete(id);
    });
    followed.feeds.add(feed);
    return feed;
  }

  /** Notes the progress of an order that this server performs; undefined when it no longer does. */
  noteProgress(id: string, progress: OrderProgress | undefined): void {
    if (progress) this.#progress.set(id, progress);
    else this.#progress.delete(id);
    const followed = this.#followed.get(id);
    if (!followed) return;
    if (progress) followed.update({ order: followed.state.order, progress });
    else void this.#poll();
  }

  async #poll(): Promise<void> {
    if (this.#isPolling || this.#followed.size === 0) return;
    this.#isPolling = true;
    try {
      for (const order of await this.orders.byIds([...this.#followed.keys()])) {
        const progress = this.#progress.get(order.id) ?? storedProgressOf(order);
        this.#followed.get(order.id)?.update({ order, progress });
      }
    } catch (error) {
      if (!isOutage(error)) this.logger.error({ err: error }, 'Orders not read; retrying');
    } finally {
      this.#isPolling = false;
    }
  }

  /** Closes every feed. */
  close(): void {
    clearInterval(this.#timer);
    for (const { feeds } of this.#followed.values()) for (const feed of feeds) feed.close();
  }
}

function storedProgressOf({ phase, rowsDone, performedBulks }: BulkTransferOrder): OrderProgress {
  return { phase, rowsDone, performedBulks };
}

/** Returns a text that differs if a subscriber should learn of the difference. */
function textOf({ order, progress }: OrderState): string {
  const { status, changedAt, rowCount, problemCount } = order;
  const { phase, rowsDone, performedBulks } = progress;
  return [
    status,
    changedAt.getTime(),
    rowCount,
    problemCount,
    phase,
    rowsDone,
    performedBulks,
  ].join();
}
