/** Webhooks as their companies see them, through the API. */
import { expect } from 'vitest';
import { ACME } from './builders.js';
import type { Client } from './client.js';
import type { Receiver } from './receiver.js';
import type { TestServer } from './server.js';
import { DIALECT } from './test-database.js';

const REGISTER = `mutation ($input: RegisterWebhookInput!) { registerWebhook(input: $input) {
  ... on WebhookRegistered { secret webhook { id } }
  ... on InvalidInput { problems { index field code message } } } }`;

const DELIVERIES = `query ($id: ID!) { webhook(id: $id) { status disabledReason lastDeliveredAt
  deliveries(last: 100) { nodes { id eventId event status nextAttemptAt createdAt
    attempts { at durationMs httpStatus error responseBody } } } } }`;

/** A webhook of a test, with its secret. */
export interface RegisteredWebhook {
  readonly id: string;
  readonly secret: string;
}

/** Registers a webhook for the transfers of ACME's account. */
export async function registerWebhook(
  client: Client,
  receiver: Pick<Receiver, 'url'>,
  input: object = {},
): Promise<RegisteredWebhook> {
  const defaults = { url: receiver.url, events: ['TRANSFER_PERFORMED'], accountIbans: [ACME] };
  const { registerWebhook: answer } = await client.data(REGISTER, {
    input: { ...defaults, ...input },
  });
  if (answer.problems) throw new Error(JSON.stringify(answer.problems));
  return { id: answer.webhook.id, secret: answer.secret };
}

/** Returns a webhook with its deliveries, the first one first. */
export async function webhookOf(client: Client, id: string) {
  const { webhook } = await client.data(DELIVERIES, { id });
  return { ...webhook, deliveries: webhook.deliveries.nodes.toReversed() };
}

/** Waits until each delivery of a webhook has one of the statuses. @returns the deliveries, the first one first */
export async function untilDeliveriesAre(client: Client, id: string, statuses: readonly string[]) {
  const read = async () => (await webhookOf(client, id)).deliveries;
  await expect
    .poll(async () => (await read()).map(({ status }: { status: string }) => status), {
      timeout: 60_000,
    })
    .toEqual(statuses);
  return read();
}

/** Lets the time pass until each pending delivery is due, and each lease has ended. */
export async function untilDue({ database }: Pick<TestServer, 'database'>): Promise<void> {
  const past = DIALECT === 'mysql' ? "'1970-01-01 00:00:01'" : '1000';
  await database.orm.em
    .fork()
    .execute(`update webhook_delivery set due_at = ${past} where due_at is not null`);
}

/** Runs a mutation that answers a webhook. @returns its status, or the code of the refusal */
export async function change(client: Client, mutation: string): Promise<string> {
  const { answer } = await client.data(
    `mutation { answer: ${mutation} {
    ... on Webhook { status } ... on UserError { code }
    ... on WebhookRegistered { secret } } }`.replace(
      mutation.startsWith('rotate')
        ? '... on Webhook { status } '
        : '... on WebhookRegistered { secret }',
      '',
    ),
  );
  return answer.status ?? answer.code ?? answer.secret;
}
