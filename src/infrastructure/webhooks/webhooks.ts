/** The tables of webhooks and deliveries, as companies see and change them. */
import { type FilterQuery, UniqueConstraintViolationException } from '@mikro-orm/core';
import type { EntityManager } from '@mikro-orm/sql';
import type { Clock } from '../../application/ports/clock.js';
import type { ListPage, PageRange } from '../../application/ports/page.js';
import type { WebhookChange, WebhookStore } from '../../application/ports/webhook-store.js';
import type { OrganizationScope, RequestSource } from '../../domain/caller.js';
import type { NewId } from '../../domain/id.js';
import type { DeliveryStatus, MutationName } from '../../domain/kinds.js';
import { firstPositionOf } from '../../domain/postings.js';
import { ATTEMPTS_LISTED_MAX, WEBHOOKS_PER_ORGANIZATION_MAX } from '../../domain/webhook.js';
import { AuditEntry } from '../../entities/audit-entry.entity.js';
import { Webhook } from '../../entities/webhook.entity.js';
import { WebhookAttempt } from '../../entities/webhook-attempt.entity.js';
import { WebhookDelivery } from '../../entities/webhook-delivery.entity.js';
import type { Database } from '../database/dialect.js';
import { idLiteral } from '../database/id-literal.js';
import { inTransaction } from '../database/transaction.js';
import { readListPage } from '../ledger/keyset-page.js';
import {
  BY_STATUS,
  BY_WEBHOOK,
  ENDED,
  firstIdAt,
  firstPendingOf,
  lockWebhooks,
  startNext,
} from './deliveries.js';

/** The number of attempts to find a free slot while others register webhooks of the same organization. */
const ADD_ATTEMPTS_MAX = 5;

/** The number of deliveries that one commit makes due again. */
const REDELIVERED_AT_ONCE = 1_000;

/** The difference of the clocks of two servers that is tolerated. */
const CLOCKS_DIFFER_MS = 10_000;

/** Deliveries that one request sends again. */
interface EndedRange {
  readonly status: DeliveryStatus;
  /** The time from which they were made. */
  readonly since: Date;
  /** The time up to which they ended. Those that end later have just been sent. */
  readonly until: Date;
}

/** A delivery as it is read before it is sent again. */
type EndedDelivery = Pick<WebhookDelivery, 'id' | 'webhookId' | 'accountId' | 'status'>;

export class MikroOrmWebhooks implements WebhookStore {
  constructor(
    private readonly database: Pick<Database, 'orm' | 'byIndex'>,
    private readonly clock: Clock,
    private readonly newId: NewId,
  ) {}

  get #em(): EntityManager {
    return this.database.orm.em.fork();
  }

  async add(
    webhook: Webhook,
    accountIds: readonly string[] | 'all',
    source: RequestSource,
  ): Promise<boolean> {
    for (let attempt = 1; attempt <= ADD_ATTEMPTS_MAX; attempt += 1) {
      const slot = await this.#freeSlot(webhook.organizationId);
      if (slot === undefined) return false;
      webhook.slot = slot;
      try {
        await inTransaction(this.#em, async (em) => {
          const { id, createdAt } = webhook;
          em.persist([webhook, this.#audit('registerWebhook', id, source, createdAt)]);
          await em.flush();
          await addCursors(em, webhook, accountIds, AFTER_LAST_ENTRY);
        });
        return true;
      } catch (error) {
        if (!(error instanceof UniqueConstraintViolationException)) throw error;
      }
    }
    throw new Error('Others took each free slot of the organization');
  }

  async #freeSlot(organizationId: string): Promise<number | undefined> {
    const taken = await this.#em.find(
      Webhook,
      { organizationId, slot: { $ne: null } },
      { fields: ['slot'] },
    );
    const slots = new Set(taken.map(({ slot }) => slot));
    for (let slot = 1; slot <= WEBHOOKS_PER_ORGANIZATION_MAX; slot += 1) {
      if (!slots.has(slot)) return slot;
    }
    return undefined;
  }

  byId(id: string, organizations: OrganizationScope): Promise<Webhook | null> {
    return this.#em.findOne(Webhook, { id, ...visibleTo(organizations) });
  }

  list(organizations: OrganizationScope, range: PageRange<string>): Promise<ListPage<Webhook>> {
    const where = visibleTo(organizations);
    const list = { entity: Webhook, where, key: 'id', order: 'oldest-first' } as const;
    return readListPage((statement) => statement(this.#em), list, range);
  }

  change(
    id: string,
    organizations: OrganizationScope,
    { action, source, apply, accountIds }: WebhookChange,
  ): Promise<Webhook | null> {
    return inTransaction(this.#em, async (em) => {
      await lockWebhooks(em, [id]);
      const webhook = await em.findOne(Webhook, { id, ...visibleTo(organizations) });
      if (!webhook) return null;
      const wasOfAll = webhook.accountIbans === null;
      apply(webhook);
      em.persist(this.#audit(action, id, source));
      await em.flush();
      if (accountIds !== undefined) await replaceCursors(em, webhook, accountIds, wasOfAll);
      return webhook;
    });
  }

  addTestEvent(
    id: string,
    organizations: OrganizationScope,
    source: RequestSource,
  ): Promise<Webhook | null> {
    return inTransaction(this.#em, async (em) => {
      await lockWebhooks(em, [id]);
      const webhook = await em.findOne(Webhook, { id, ...visibleTo(organizations) });
      if (!webhook) return null;
      const createdAt = this.clock();
      const facts = { webhookId: id, dueAt: createdAt, createdAt };
      const delivery = WebhookDelivery.of({ id: this.newId(), ...facts });
      em.persist([delivery, this.#audit('sendTestEvent', id, source)]);
      return webhook;
    });
  }

  async deliveryById(
    id: string,
    organizations: OrganizationScope,
  ): Promise<WebhookDelivery | null> {
    const delivery = await this.#em.findOne(WebhookDelivery, { id });
    const webhook = delivery && (await this.byId(delivery.webhookId, organizations));
    return webhook && delivery;
  }

  deliveries(
    webhookId: string,
    status: DeliveryStatus | undefined,
    range: PageRange<string>,
  ): Promise<ListPage<WebhookDelivery>> {
    const where = status === undefined ? { webhookId } : { webhookId, status };
    const options = this.database.byIndex(status === undefined ? BY_WEBHOOK : BY_STATUS);
    const order = 'newest-first';
    const list = { entity: WebhookDelivery, where, key: 'id', order, options } as const;
    return readListPage((statement) => statement(this.#em), list, range);
  }

  async attemptsOf(
    deliveries: readonly Pick<WebhookDelivery, 'id' | 'attempts'>[],
  ): Promise<ReadonlyMap<string, readonly WebhookAttempt[]>> {
    const last = deliveries.map(({ id, attempts }) => ({
      deliveryId: id,
      number: { $gt: attempts - ATTEMPTS_LISTED_MAX },
    }));
    const orderBy = { deliveryId: 'asc', number: 'asc' } as const;
    const attempts = await this.#em.find(WebhookAttempt, { $or: last }, { orderBy });
    return Map.groupBy(attempts, ({ deliveryId }) => deliveryId);
  }

  redeliver(
    deliveryId: string,
    organizations: OrganizationScope,
    source: RequestSource,
  ): Promise<Webhook | null> {
    return inTransaction(this.#em, async (em) => {
      const delivery = await em.findOne(WebhookDelivery, { id: deliveryId });
      const visible = visibleTo(organizations);
      const webhook =
        delivery && (await em.findOne(Webhook, { id: delivery.webhookId, ...visible }));
      if (!webhook) return null;
      await lockWebhooks(em, [webhook.id]);
      await repeat(em, webhook, [delivery], this.clock());
      em.persist(this.#audit('redeliver', deliveryId, source));
      return webhook;
    });
  }

  countDeliveriesSince(webhookId: string, since: Date, countMax: number): Promise<number> {
    return this.#em
      .execute<{ count: number | string }[]>(
        `select count(*) as count from (select 1 as counted from webhook_delivery
          where webhook_id = ${idLiteral(webhookId)} and id >= ${idLiteral(firstIdAt(since))}
          limit ${countMax}) deliveries`,
      )
      .then(([row]) => Number(row?.count));
  }

  async redeliverSince(
    id: string,
    since: Date,
    organizations: OrganizationScope,
    source: RequestSource,
  ): Promise<Webhook | null> {
    const webhook = await this.byId(id, organizations);
    if (!webhook) return null;
    const now = this.clock();
    await inTransaction(this.#em, async (em) => {
      em.persist(this.#audit('redeliverSince', id, source, now));
    });
    for (const status of ENDED) {
      const until = new Date(now.getTime() + CLOCKS_DIFFER_MS);
      for await (const page of this.#endedPages(id, { status, since, until })) {
        await inTransaction(this.#em, async (em) => {
          await lockWebhooks(em, [id]);
          await repeat(em, webhook, page, this.clock());
        });
      }
    }
    return webhook;
  }

  /** Reads the deliveries since a moment that have ended before another one, in pages. */
  async *#endedPages(
    webhookId: string,
    { status, since, until }: EndedRange,
  ): AsyncGenerator<WebhookDelivery[]> {
    let range: { $gte: string } | { $gt: string } = { $gte: firstIdAt(since) };
    for (let isDone = false; !isDone; ) {
      const page: WebhookDelivery[] = await this.#em.find(
        WebhookDelivery,
        { webhookId, status, id: range, endedAt: { $lte: until } },
        { orderBy: { id: 'asc' }, limit: REDELIVERED_AT_ONCE, ...this.database.byIndex(BY_STATUS) },
      );
      const last = page.at(-1);
      isDone = page.length < REDELIVERED_AT_ONCE;
      if (last) range = { $gt: last.id };
      if (page.length > 0) yield page;
    }
  }

  #audit(
    action: MutationName,
    subjectId: string,
    source: RequestSource,
    at = this.clock(),
  ): AuditEntry {
    const done = { action, outcome: 'DONE', subjectId } as const;
    return AuditEntry.of({ id: this.newId(), at, source, ...done });
  }
}

/** Returns the condition on the webhooks of some organizations. */
function visibleTo(organizations: OrganizationScope): FilterQuery<Webhook> & object {
  const own = organizations === 'all' ? {} : { organizationId: { $in: [...organizations] } };
  return { deletedAt: null, ...own };
}

/** The SQL for the position after the last entry of an account. */
const AFTER_LAST_ENTRY = `(account.sequence + 1) * ${firstPositionOf(1n)}`;

/**
 * Adds the cursors of accounts that have none.
 * @param position the SQL for the position from which the webhook gets the events of an account
 */
async function addCursors(
  em: EntityManager,
  { id, organizationId }: Webhook,
  accountIds: readonly string[] | 'all',
  position: string,
): Promise<void> {
  const ofList = accountIds === 'all' ? '' : `and account.id in (${literalsOf(accountIds)})`;
  await em.execute(
    `insert into webhook_cursor (webhook_id, account_id, position)
    select ${idLiteral(id)}, account.id, ${position} from account
    where account.organization_id = ${idLiteral(organizationId)} ${ofList}
      and not exists (select 1 from webhook_cursor known
        where known.webhook_id = ${idLiteral(id)} and known.account_id = account.id)`,
  );
}

/** Changes the accounts of a locked webhook. An account that it had already keeps its place. */
async function replaceCursors(
  em: EntityManager,
  webhook: Webhook,
  accountIds: readonly string[] | 'all',
  wasOfAll: boolean,
): Promise<void> {
  // An account without a cursor was opened after a webhook of all accounts, which gets all of its events.
  if (accountIds === 'all' && wasOfAll) return;
  const position = wasOfAll ? `${firstPositionOf(1n)}` : AFTER_LAST_ENTRY;
  await addCursors(em, webhook, accountIds, position);
  if (accountIds === 'all') return;
  await em.execute(
    `delete from webhook_cursor where webhook_id = ${idLiteral(webhook.id)}
      and account_id not in (${literalsOf(accountIds)})`,
  );
}

/** Makes deliveries of a locked webhook due that have ended. Those of an ordered webhook join their lines. */
async function repeat(
  em: EntityManager,
  { ordered }: Webhook,
  deliveries: readonly EndedDelivery[],
  now: Date,
): Promise<void> {
  const byAccount = Map.groupBy(deliveries, ({ accountId }) => (ordered ? accountId : null));
  for (const [accountId, group] of byAccount) {
    const [first] = group;
    if (!first) continue;
    const line = accountId === null ? undefined : { webhookId: first.webhookId, accountId };
    const isIdle = line !== undefined && (await firstPendingOf(em, line)) === undefined;
    const ended = { id: { $in: group.map(({ id }) => id) }, status: { $ne: 'PENDING' } } as const;
    const dueAt = line ? null : now;
    const again = { status: 'PENDING', failures: 0, endedAt: null, dueAt } as const;
    await em.nativeUpdate(WebhookDelivery, ended, again);
    if (isIdle) await startNext(em, line, now);
  }
}

function literalsOf(ids: readonly string[]): string {
  return ids.map(idLiteral).join(',');
}
