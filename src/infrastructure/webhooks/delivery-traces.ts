/** Finds the traces of the requests that caused the events of deliveries. */
import type { EntityManager } from '@mikro-orm/sql';
import { sequenceOf } from '../../domain/postings.js';
import { OutboxMessage } from '../../entities/outbox-message.entity.js';
import type { WebhookDelivery } from '../../entities/webhook-delivery.entity.js';
import { isTracing } from '../observability/tracing.js';

type DeliveredEvent = Pick<WebhookDelivery, 'id' | 'accountId' | 'position'>;

/**
 * Reads the trace contexts of deliveries, by their ids. The message of a commit has the context of its request, for the
 * account that it debits or credits by itself. Without a collector nothing is read.
 */
export async function readTraces(
  em: EntityManager,
  deliveries: readonly DeliveredEvent[],
): Promise<ReadonlyMap<string, string>> {
  if (!isTracing()) return new Map();
  const keyOf = (subjectId: string, sequence: bigint) => `${subjectId} ${sequence}`;
  const subjects = new Map<string, { subjectId: string; sequence: bigint }>();
  const keys = new Map<string, string>();
  for (const { id, accountId, position } of deliveries) {
    if (accountId === null || position === null) continue;
    const sequence = sequenceOf(position);
    const key = keyOf(accountId, sequence);
    subjects.set(key, { subjectId: accountId, sequence });
    keys.set(id, key);
  }
  if (subjects.size === 0) return new Map();
  const messages = await em.find(
    OutboxMessage,
    { $or: [...subjects.values()] },
    { fields: ['subjectId', 'sequence', 'traceparent'], disableIdentityMap: true },
  );
  const byKey = new Map(
    messages.map(({ subjectId, sequence, traceparent }) => [
      keyOf(subjectId, sequence),
      traceparent,
    ]),
  );
  return new Map(
    [...keys].flatMap(([id, key]) => {
      const traceparent = byKey.get(key);
      return traceparent ? [[id, traceparent] as const] : [];
    }),
  );
}
