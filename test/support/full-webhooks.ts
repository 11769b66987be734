import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { vi } from 'vitest';
import { PROGRAM } from '../../src/domain/caller.js';
import { makeNewId } from '../../src/domain/id.js';
import { OUTCOME_UNKNOWN_ERROR } from '../../src/domain/webhook.js';
import { Webhook } from '../../src/entities/webhook.entity.js';
import { WebhookAttempt } from '../../src/entities/webhook-attempt.entity.js';
import { WebhookDelivery } from '../../src/entities/webhook-delivery.entity.js';
import type { Database } from '../../src/infrastructure/database/dialect.js';
import { pruneDeliveries } from '../../src/infrastructure/webhooks/prune.js';
import { MikroOrmWebhooks } from '../../src/infrastructure/webhooks/webhooks.js';
import { ACME, GLOBEX } from './builders.js';
import type { Client } from './client.js';
import type { TestServer } from './server.js';

/** The status with which the receiver answers at each path. */
const STATUSES: Readonly<Record<string, number>> = { '/up': 204, '/down': 500, '/gone': 410 };

interface WebhookReceiver {
  readonly url: string;
  stop(): Promise<void>;
}

/** Starts a receiver of webhooks outside a test. The caller stops the receiver. */
export async function startReceiver(): Promise<WebhookReceiver> {
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(STATUSES[request.url ?? ''] ?? 404).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const stop = async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, stop };
}

const REGISTER = `mutation ($input: RegisterWebhookInput!) { registerWebhook(input: $input) {
  ... on WebhookRegistered { webhook { id } } ... on InvalidInput { problems { message } } } }`;

/** The ids of the webhooks of a full ledger. */
interface FullWebhooks {
  /** Is called for all events of ACME. */
  readonly all: string;
  /** Is called for one account of Globex, in order. */
  readonly listed: string;
  /** Fails, so that deliveries wait in a line. */
  readonly waiting: string;
  /** Was disabled, because the receiver no longer exists. */
  readonly gone: string;
  /** Is deleted. */
  readonly deleted: string;
}

/** Registers webhooks through the front door, before the events that they receive. */
export async function registerWebhooks(
  client: Client,
  receiver: WebhookReceiver,
): Promise<FullWebhooks> {
  const register = async (path: string, input: object): Promise<string> => {
    const url = receiver.url + path;
    const { registerWebhook } = await client.data(REGISTER, { input: { url, ...input } });
    if (registerWebhook.problems) throw new Error(JSON.stringify(registerWebhook.problems));
    return registerWebhook.webhook.id;
  };
  const { account } = await client.data(`{ account(iban: "${ACME}") { organizationId } }`);
  const { organizationId } = account;
  const sent = ['BULK_TRANSFER_PERFORMED', 'TRANSFER_PERFORMED'];
  const received = ['TRANSFER_RECEIVED', 'ACCOUNT_CREDITED'];
  return {
    all: await register('/up', { organizationId, events: [...sent, ...received] }),
    listed: await register('/up', { accountIbans: [GLOBEX], events: received, ordered: true }),
    waiting: await register('/down', { organizationId, events: sent, ordered: true }),
    gone: await register('/gone', { accountIbans: [ACME], events: sent, description: 'Gone' }),
    deleted: await register('/up', { accountIbans: [ACME], events: sent }),
  };
}

/** Waits until the webhooks were called for all events, and changes them through the front door. */
export async function changeWebhooks(server: TestServer, webhooks: FullWebhooks): Promise<void> {
  await untilCalled(server, webhooks);
  const change = (mutation: string) =>
    server.client.data(`mutation { ${mutation} { __typename } }`);
  await change(`sendTestEvent(webhookId: "${webhooks.all}")`);
  await change(`rotateWebhookSecret(id: "${webhooks.listed}")`);
  await untilCalled(server, webhooks);
  await change(`disableWebhook(id: "${webhooks.all}")`);
  await change(`deleteWebhook(id: "${webhooks.deleted}")`);
}

async function untilCalled(
  { database }: TestServer,
  { all, listed, deleted, waiting, gone }: FullWebhooks,
): Promise<void> {
  const em = database.orm.em.fork();
  const isCalled = async () => {
    const [behind] = await em.execute<object[]>(
      `select 1 from webhook w join account a on a.organization_id = w.organization_id
        left join webhook_cursor c on c.webhook_id = w.id and c.account_id = a.id
        where w.status = 'ENABLED' and (w.account_ibans is null or c.account_id is not null)
          and (a.sequence + 1) * 1048576 > coalesce(c.position, 1048576) limit 1`,
    );
    const count = (where: object) => em.count(WebhookDelivery, where);
    return (
      behind === undefined &&
      (await count({ webhookId: { $in: [all, listed, deleted] }, status: 'PENDING' })) === 0 &&
      (await count({ webhookId: waiting, failures: { $gt: 0 } })) > 0 &&
      (await count({ webhookId: gone, status: 'FAILED' })) > 0
    );
  };
  await vi.waitUntil(isCalled, { timeout: 60_000 });
}

/**
 * Creates deliveries that were requested again, that a stopped server has leased, and whose attempt is lost; a cursor in
 * the middle of a bulk; and webhooks that are deleted with and without their rows.
 */
export async function fillWebhooks(opened: Database): Promise<void> {
  const clock = () => new Date();
  const newId = makeNewId(clock);
  const store = new MikroOrmWebhooks(opened, clock, newId);
  const em = opened.orm.em.fork();
  const { id, organizationId } = await em.findOneOrFail(Webhook, {
    ordered: true,
    url: like('/up'),
  });
  await store.addTestEvent(id, 'all', PROGRAM);
  for (const ordered of [true, false]) {
    const ids = (await em.find(Webhook, { ordered, deletedAt: null })).map((each) => each.id);
    const delivered = {
      webhookId: { $in: ids },
      status: 'DELIVERED',
      kind: { $ne: null },
    } as const;
    await store.redeliver((await em.findOneOrFail(WebhookDelivery, delivered)).id, 'all', PROGRAM);
  }
  await loseAttempt(opened, newId());
  await moveIntoBulk(opened);
  // A deleted webhook has a row until its deliveries are deleted.
  await pruneDeliveries(opened, new Date(0), new AbortController().signal);
  const { secret, events } = await em.findOneOrFail(Webhook, { id });
  const facts = { organizationId, url: 'https://example.com', events, secret, createdAt: clock() };
  const choices = { slot: 1, accountIbans: null, description: null, ordered: false };
  const deleted = Webhook.of({ id: newId(), ...facts, ...choices });
  await store.add(deleted, 'all', PROGRAM);
  await store.addTestEvent(deleted.id, 'all', PROGRAM);
  const apply = (webhook: Webhook) => webhook.delete(clock());
  await store.change(deleted.id, 'all', { action: 'deleteWebhook', source: PROGRAM, apply });
}

const like = (path: string) => ({ $like: `%${path}` });

const LEASE_MS = 30_000;

/** Leaves a delivery as a server does that lost an attempt, began another one, and was killed. */
async function loseAttempt({ orm }: Database, leasedBy: string): Promise<void> {
  const em = orm.em.fork();
  const failed = { status: 'PENDING', failures: { $gt: 0 } } as const;
  const { id: deliveryId, attempts } = await em.findOneOrFail(WebhookDelivery, failed);
  const at = new Date();
  const number = attempts + 1;
  const unknown = { durationMs: 0, httpStatus: null, responseBody: null };
  await em.insert(WebhookAttempt, {
    ...{ deliveryId, number, at, error: OUTCOME_UNKNOWN_ERROR },
    ...unknown,
  });
  const dueAt = new Date(at.getTime() + LEASE_MS);
  const leased = { attempts: attempts + 2, leasedBy, leasedAt: at, dueAt };
  await em.nativeUpdate(WebhookDelivery, { id: deliveryId }, leased);
}

/** Leaves a cursor as a server does that was killed after the first transfers of a bulk. */
async function moveIntoBulk({ orm }: Database): Promise<void> {
  const em = orm.em.fork();
  const [next] = await em.execute<{ webhook: string; position: number }[]>(
    `select hex(c.webhook_id) as webhook, c.position from webhook_cursor c
      join transfer t on t.account_id = c.account_id and t.position = c.position limit 1`,
  );
  if (!next) throw new Error('No cursor is before a bulk');
  await em.execute(
    `update webhook_cursor set position = position + 1
      where webhook_id = x'${next.webhook}' and position = ${next.position}`,
  );
}
