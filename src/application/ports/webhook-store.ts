import type { OrganizationScope, RequestSource } from '../../domain/caller.js';
import type { DeliveryStatus, MutationName } from '../../domain/kinds.js';
import type { Webhook } from '../../entities/webhook.entity.js';
import type { WebhookAttempt } from '../../entities/webhook-attempt.entity.js';
import type { WebhookDelivery } from '../../entities/webhook-delivery.entity.js';
import type { ListPage, PageRange } from './page.js';

/** A change of one webhook by its company. */
export interface WebhookChange {
  readonly action: MutationName;
  readonly source: RequestSource;
  /** Changes the webhook before it is written. */
  readonly apply: (webhook: Webhook) => void;
  /** The accounts of the webhook from now on, or all of its organization; undefined to keep them. */
  readonly accountIds?: readonly string[] | 'all' | undefined;
}

/**
 * Stores webhooks and their deliveries. Each read and each change is limited to the webhooks of some organizations, and
 * each change is audited in its own commit. Deleted webhooks are invisible.
 */
export interface WebhookStore {
  /**
   * Stores a new webhook, in the first free slot of its organization. Events from now on have deliveries.
   * @returns false if no slot is free
   */
  add(
    webhook: Webhook,
    accountIds: readonly string[] | 'all',
    source: RequestSource,
  ): Promise<boolean>;
  byId(id: string, organizations: OrganizationScope): Promise<Webhook | null>;
  /** Lists webhooks in order of id, oldest first. */
  list(organizations: OrganizationScope, range: PageRange<string>): Promise<ListPage<Webhook>>;
  /** Changes a webhook. @returns null if there is none */
  change(
    id: string,
    organizations: OrganizationScope,
    change: WebhookChange,
  ): Promise<Webhook | null>;
  /** Adds a delivery of a test event. @returns null if there is no such webhook */
  addTestEvent(
    id: string,
    organizations: OrganizationScope,
    source: RequestSource,
  ): Promise<Webhook | null>;

  deliveryById(id: string, organizations: OrganizationScope): Promise<WebhookDelivery | null>;
  /** Lists the deliveries of a webhook in order of id, newest first. */
  deliveries(
    webhookId: string,
    status: DeliveryStatus | undefined,
    range: PageRange<string>,
  ): Promise<ListPage<WebhookDelivery>>;
  /** Returns the last attempts of deliveries, oldest first, by delivery. */
  attemptsOf(
    deliveries: readonly Pick<WebhookDelivery, 'id' | 'attempts'>[],
  ): Promise<ReadonlyMap<string, readonly WebhookAttempt[]>>;
  /** Makes a delivery due again. @returns its webhook; null if there is no such delivery */
  redeliver(
    deliveryId: string,
    organizations: OrganizationScope,
    source: RequestSource,
  ): Promise<Webhook | null>;
  /** Counts the deliveries since a moment, up to a limit. */
  countDeliveriesSince(webhookId: string, since: Date, countMax: number): Promise<number>;
  /** Makes all deliveries since a moment due again. @returns null if there is no such webhook */
  redeliverSince(
    id: string,
    since: Date,
    organizations: OrganizationScope,
    source: RequestSource,
  ): Promise<Webhook | null>;
}
