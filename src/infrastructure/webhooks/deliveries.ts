/**
 * Locks and lines. Whoever changes a webhook, records attempts, or changes a line locks the row of the webhook first, so
 * that nobody else does so at the same time. A claim locks its deliveries alone, and new deliveries without order their
 * cursor alone.
 *
 * The deliveries of one account to an ordered webhook are a line: they are made one after another. A line with pending
 * deliveries has exactly one that is due; the others have no due time.
 */
import type { EntityManager } from '@mikro-orm/sql';
import type { DeliveryStatus } from '../../domain/kinds.js';
import { WebhookDelivery } from '../../entities/webhook-delivery.entity.js';
import { idLiteral } from '../database/id-literal.js';

/** The statuses of deliveries that are not sent again by themselves. */
export const ENDED: readonly DeliveryStatus[] = ['DELIVERED', 'FAILED'];

/**
 * The indexes by which the deliveries of one webhook are read. MariaDB would walk the deliveries of all webhooks in the
 * order of their ids.
 */
export const BY_WEBHOOK = 'webhook_delivery_webhook_index';
export const BY_STATUS = 'webhook_delivery_status_index';

export interface Line {
  readonly webhookId: string;
  readonly accountId: string;
}

/** Locks webhooks until the end of the transaction. An update without a change locks a row too. */
export async function lockWebhooks(em: EntityManager, ids: readonly string[]): Promise<void> {
  const literals = [...ids].sort().map(idLiteral).join(',');
  await em.execute(`update webhook set slot = slot where id in (${literals})`);
}

/** Returns the id of the first pending delivery of a line; undefined if none is pending. */
export async function firstPendingOf(em: EntityManager, line: Line): Promise<string | undefined> {
  const { webhookId, accountId } = line;
  const [first] = await em.find(
    WebhookDelivery,
    { webhookId, accountId, status: 'PENDING' },
    { fields: ['id'], orderBy: { position: 'asc', id: 'asc' }, limit: 1, disableIdentityMap: true },
  );
  return first?.id;
}

/** Makes the first pending delivery of a locked line due. Callers have just ended the delivery that was due. */
export async function startNext(em: EntityManager, line: Line, dueAt: Date): Promise<void> {
  const id = await firstPendingOf(em, line);
  if (id !== undefined) await em.nativeUpdate(WebhookDelivery, { id }, { dueAt });
}

/** Returns the smallest id that a row of a moment can have: ids begin with 48 bits of the time in milliseconds. */
export function firstIdAt(time: Date): string {
  const ms = Math.max(time.getTime(), 0).toString(16).padStart(12, '0');
  return `${ms.slice(0, 8)}-${ms.slice(8)}-0000-0000-000000000000`;
}
