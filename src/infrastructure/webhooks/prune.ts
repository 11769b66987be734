/** Deletes deliveries that ended long ago, and what deleted webhooks left. */
import type { EntityManager } from '@mikro-orm/sql';
import { DELIVERY_STATUSES, type DeliveryStatus } from '../../domain/kinds.js';
import { Webhook } from '../../entities/webhook.entity.js';
import { WebhookCursor } from '../../entities/webhook-cursor.entity.js';
import { WebhookDelivery } from '../../entities/webhook-delivery.entity.js';
import type { Database } from '../database/dialect.js';
import { idLiteral, NO_ID } from '../database/id-literal.js';
import { inTransaction } from '../database/transaction.js';
import { firstIdAt, lockWebhooks } from './deliveries.js';

/** The number of deliveries that one transaction deletes. */
const DELETED_AT_ONCE = 500;

/** The number of webhooks that are read at once. */
const WEBHOOKS_AT_ONCE = 100;

const ENDED: readonly DeliveryStatus[] = ['DELIVERED', 'FAILED'];

/** @param before deliveries that ended earlier are deleted */
export async function pruneDeliveries(
  { orm }: Pick<Database, 'orm'>,
  before: Date,
  stopping: AbortSignal,
): Promise<void> {
  for (let after: string | undefined = NO_ID; after !== undefined && !stopping.aborted; ) {
    const page: Webhook[] = await orm.em
      .fork()
      .find(Webhook, { id: { $gt: after } }, { orderBy: { id: 'asc' }, limit: WEBHOOKS_AT_ONCE });
    for (const webhook of page) await pruneWebhook(orm.em.fork(), webhook, before, stopping);
    after = page.length === WEBHOOKS_AT_ONCE ? page.at(-1)?.id : undefined;
  }
}

async function pruneWebhook(
  em: EntityManager,
  { id, deletedAt }: Webhook,
  before: Date,
  stopping: AbortSignal,
): Promise<void> {
  const isDeleted = deletedAt !== null;
  for (const status of isDeleted ? DELIVERY_STATUSES : ENDED) {
    const where = {
      webhookId: id,
      status,
      ...(isDeleted ? {} : { id: { $lt: firstIdAt(before) } }),
    };
    while (!stopping.aborted && (await deleteSome(em.fork(), where)) === DELETED_AT_ONCE);
  }
  if (!isDeleted || stopping.aborted) return;
  await inTransaction(em.fork(), async (inside) => {
    await lockWebhooks(inside, [id]);
    await inside.nativeDelete(WebhookCursor, { webhookId: id });
    // A call that was in progress may have added a delivery. Then the next time deletes the webhook.
    const left = await inside.count(WebhookDelivery, { webhookId: id });
    if (left === 0) await inside.nativeDelete(Webhook, { id });
  });
}

/** @returns the number of deleted deliveries */
async function deleteSome(
  em: EntityManager,
  where: { readonly webhookId: string; readonly status: DeliveryStatus },
): Promise<number> {
  const oldest = { fields: ['id'], orderBy: { id: 'asc' }, limit: DELETED_AT_ONCE } as const;
  const ids = (await em.find(WebhookDelivery, where, oldest)).map(({ id }) => id);
  if (ids.length === 0) return 0;
  await inTransaction(em.fork(), async (inside) => {
    await lockWebhooks(inside, [where.webhookId]);
    // A delivery that was requested again meanwhile stays, and so do its attempts.
    await inside.nativeDelete(WebhookDelivery, { id: { $in: ids }, status: where.status });
    const literals = ids.map(idLiteral).join(',');
    await inside.execute(
      `delete from webhook_attempt where delivery_id in (${literals})
        and delivery_id not in (select id from webhook_delivery where id in (${literals}))`,
    );
  });
  return ids.length;
}
