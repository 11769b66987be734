import type { OrganizationScope } from '../../domain/caller.js';
import type { BulkTransferOrder } from '../../entities/bulk-transfer-order.entity.js';
import type { OrderProgress } from './order-store.js';

/** An order as it is now, and how far the work on it is. */
export interface OrderState {
  readonly order: BulkTransferOrder;
  readonly progress: OrderProgress;
}

/** Opens feeds of orders. */
export interface OrderFeeds {
  /**
   * Opens a feed of an order of some organizations for one subscriber, who closes it. @returns null if there is no such
   * order
   */
  openOrder(id: string, organizations: OrganizationScope): Promise<OrderFeed | null>;
}

/** One subscriber's feed of an order. Subscribers of the same order share its reads. */
export interface OrderFeed {
  /** Grows whenever the state has changed. */
  readonly version: number;
  readonly isClosed: boolean;
  readonly state: OrderState;
  /** Resolves when the version differs from the one given, or the feed is closed. */
  changedSince(version: number): Promise<void>;
  close(): void;
}
