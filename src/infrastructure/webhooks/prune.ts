/** Deletes deliveries that ended long ago, and what deleted webhooks left. */
import { DELIVERY_STATUSES, type DeliveryStatus } from '../../domain/kinds.js';
import { Webhook } from '../../entities/webhook.entity.js';
import { WebhookCursor } from '../../entities/webhook-cursor.entity.js';
import { WebhookDelivery } from '../../entities/webhook-delivery.entity.js';
import type { Database } from '../database/dialect.js';
import { idLiteral, idOfHex, NO_ID } from '../database/id-literal.js';
import { inTransaction } from '../database/transaction.js';
import { BY_STATUS, ENDED, firstIdAt, lockWebhooks } from './deliveries.js';

/** The number of deliveries that one transaction deletes. */
const DELETED_AT_ONCE = 500;

/** The number of webhooks that one statement finds. */
const WEBHOOKS_AT_ONCE = 100;

type PruneDatabase = Pick<Database, 'orm' | 'byIndex'>;

/** A webhook with deliveries to delete, or one that was deleted itself. */
interface WebhookToPrune {
  readonly id: string;
  readonly isDeleted: boolean;
}

/** @param before deliveries that were made earlier and have ended are deleted */
export async function pruneDeliveries(
  database: PruneDatabase,
  before: Date,
  stopping: AbortSignal,
): Promise<void> {
  for (let after: string | undefined = NO_ID; after !== undefined && !stopping.aborted; ) {
    const page = await findToPrune(database, before, after);
    for (const webhook of page) await pruneWebhook(database, webhook, before, stopping);
    after = page.length === WEBHOOKS_AT_ONCE ? page.at(-1)?.id : undefined;
  }
}

async function findToPrune(
  { orm }: PruneDatabase,
  before: Date,
  after: string,
): Promise<WebhookToPrune[]> {
  const firstKept = idLiteral(firstIdAt(before));
  const hasOld = ENDED.map(
    (status) => `exists (select 1 from webhook_delivery old where old.webhook_id = webhook.id
      and old.status = '${status}' and old.id < ${firstKept})`,
  );
  const rows = await orm.em.fork().execute<{ webhook: string; is_deleted: number }[]>(
    `select hex(id) as webhook, deleted_at is not null as is_deleted from webhook
    where id > ${idLiteral(after)} and (deleted_at is not null or ${hasOld.join(' or ')})
    order by id limit ${WEBHOOKS_AT_ONCE}`,
  );
  return rows.map(({ webhook, is_deleted }) => ({
    id: idOfHex(webhook),
    isDeleted: Number(is_deleted) === 1,
  }));
}

async function pruneWebhook(
  database: PruneDatabase,
  { id, isDeleted }: WebhookToPrune,
  before: Date,
  stopping: AbortSignal,
): Promise<void> {
  for (const status of isDeleted ? DELIVERY_STATUSES : ENDED) {
    const where = {
      webhookId: id,
      status,
      ...(isDeleted ? {} : { id: { $lt: firstIdAt(before) } }),
    };
    while (!stopping.aborted && (await deleteSome(database, where)) === DELETED_AT_ONCE);
  }
  if (!isDeleted || stopping.aborted) return;
  await inTransaction(database.orm.em.fork(), async (em) => {
    await lockWebhooks(em, [id]);
    await em.nativeDelete(WebhookCursor, { webhookId: id });
    // A call that was in progress may have added a delivery. Then the next time deletes the webhook.
    const left = await em.count(WebhookDelivery, { webhookId: id });
    if (left === 0) await em.nativeDelete(Webhook, { id });
  });
}

/** @returns the number of deleted deliveries */
async function deleteSome(
  { orm, byIndex }: PruneDatabase,
  where: { readonly webhookId: string; readonly status: DeliveryStatus },
): Promise<number> {
  const em = orm.em.fork();
  const oldest = { fields: ['id'], orderBy: { id: 'asc' }, limit: DELETED_AT_ONCE } as const;
  const found = await em.find(WebhookDelivery, where, { ...oldest, ...byIndex(BY_STATUS) });
  const ids = found.map(({ id }) => id);
  if (ids.length === 0) return 0;
  await inTransaction(orm.em.fork(), async (inside) => {
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
