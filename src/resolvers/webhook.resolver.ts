import DataLoader from 'dataloader';
import { Arg, Args, Ctx, FieldResolver, ID, Mutation, Query, Resolver, Root } from 'type-graphql';
import type { ManageWebhooks } from '../application/manage-webhooks.js';
import type { WebhookStore } from '../application/ports/webhook-store.js';
import { visibleOrganizations } from '../domain/caller.js';
import { canonicalId } from '../domain/id.js';
import type { DeliveryStatus, MutationName, Role } from '../domain/kinds.js';
import type { Webhook } from '../entities/webhook.entity.js';
import type { WebhookAttempt } from '../entities/webhook-attempt.entity.js';
import { type Connection, PageArgs } from '../schema/page.js';
import { DateTime } from '../schema/scalars.js';
import {
  RegisterWebhookInput,
  RegisterWebhookResult,
  RotateWebhookSecretResult,
  UpdateWebhookInput,
  UpdateWebhookResult,
  WebhookAttemptType,
  WebhookConnection,
  WebhookDeliveryConnection,
  WebhookDeliveryStatus,
  WebhookDeliveryType,
  WebhookRegisteredType,
  WebhookResult,
  WebhookType,
} from '../schema/webhook.js';
import { audited } from './audited.js';
import { type RequestContext, requireRole } from './context.js';
import { deliveriesOf, WEBHOOKS } from './cursor-scopes.js';
import { make, presentAttempt, presentDelivery, presentPage, presentWebhook } from './present.js';
import { readPageRange } from './read-page-range.js';

/** The roles that see webhooks. A URL may contain a secret of the company. */
export const WEBHOOK_READERS: readonly Role[] = ['initiator', 'operator'];

const NOT_FOUND_ELSE =
  "WebhookNotFound if the caller's organizations have no such webhook. Requires the role INITIATOR, else FORBIDDEN.";

/** The largest number of deliveries whose attempts are read in one statement. */
const ATTEMPTS_BATCH_MAX = 100;

@Resolver(() => WebhookType)
export class WebhookResolver {
  constructor(
    private readonly useCases: ManageWebhooks,
    private readonly store: WebhookStore,
  ) {}

  @Query(() => WebhookConnection, {
    description:
      "The webhooks of the caller's organizations, oldest first; all for an operator. Requires the role INITIATOR or OPERATOR, else FORBIDDEN.",
  })
  async webhooks(
    @Args(() => PageArgs) page: PageArgs,
    @Ctx() context: RequestContext,
  ): Promise<Connection<WebhookType>> {
    requireRole(context, ...WEBHOOK_READERS);
    const range = await readPageRange(page, WEBHOOKS, context.reader);
    const webhooks = await this.store.list(visibleOrganizations(context.source.caller), range);
    return presentPage(webhooks, WEBHOOKS, presentWebhook);
  }

  @Query(() => WebhookType, {
    nullable: true,
    description:
      'A webhook; null if there is none, or if the caller does not see it. Requires the role INITIATOR or OPERATOR, else FORBIDDEN.',
  })
  async webhook(
    @Arg('id', () => ID, { description: 'The value of Webhook.id, a UUID in any case.' })
    text: string,
    @Ctx() context: RequestContext,
  ): Promise<WebhookType | null> {
    requireRole(context, ...WEBHOOK_READERS);
    const id = canonicalId(text);
    const organizations = visibleOrganizations(context.source.caller);
    const webhook = id === undefined ? null : await this.store.byId(id, organizations);
    return webhook && presentWebhook(webhook);
  }

  @FieldResolver(() => WebhookDeliveryConnection, {
    description: 'The deliveries of the webhook, newest first.',
  })
  async deliveries(
    @Root() { id }: WebhookType,
    @Arg('status', () => WebhookDeliveryStatus, {
      nullable: true,
      description: 'Only deliveries with this status. All if absent.',
    })
    status: DeliveryStatus | null,
    @Args(() => PageArgs) page: PageArgs,
    @Ctx() { reader }: RequestContext,
  ): Promise<Connection<WebhookDeliveryType>> {
    const scope = deliveriesOf(id);
    const range = await readPageRange(page, scope, reader);
    const deliveries = await this.store.deliveries(id, status ?? undefined, range);
    return presentPage(deliveries, scope, presentDelivery);
  }

  @Mutation(() => RegisterWebhookResult, {
    description:
      'Registers a webhook: the server calls it for each later event of the chosen kinds, and signs by Standard Webhooks. Only this answer contains the secret. An organization may have 20 webhooks. Requires the role INITIATOR, else FORBIDDEN. A wrong input is refused with all of its problems.',
  })
  registerWebhook(
    @Arg('input', () => RegisterWebhookInput, { description: 'The webhook to register.' })
    input: RegisterWebhookInput,
    @Ctx() context: RequestContext,
  ): Promise<typeof RegisterWebhookResult> {
    return audited(context, 'registerWebhook', async () => {
      const request = {
        url: input.url,
        events: input.events,
        accountIbans: input.accountIbans ?? undefined,
        organizationId: input.organizationId ?? undefined,
        description: input.description ?? undefined,
        ordered: input.ordered ?? false,
      };
      const { webhook, secret } = await this.useCases.register(request, context.source);
      return { answer: make(WebhookRegisteredType, { webhook: presentWebhook(webhook), secret }) };
    });
  }

  @Mutation(() => UpdateWebhookResult, {
    description: `Changes a webhook. Pending deliveries are sent to the new URL. A wrong input is refused with all of its problems. ${NOT_FOUND_ELSE}`,
  })
  updateWebhook(
    @Arg('input', () => UpdateWebhookInput, { description: 'The fields to change.' })
    { id, url, events, accountIbans, description }: UpdateWebhookInput,
    @Ctx() context: RequestContext,
  ): Promise<typeof UpdateWebhookResult> {
    const request = {
      id,
      url: url ?? undefined,
      events: events ?? undefined,
      accountIbans,
      description,
    };
    return this.#change(context, 'updateWebhook', () =>
      this.useCases.update(request, context.source),
    );
  }

  @Mutation(() => RotateWebhookSecretResult, {
    description: `Replaces the secret. Only this answer contains the new one. The old and the new secret both sign for 24 hours. ${NOT_FOUND_ELSE}`,
  })
  rotateWebhookSecret(
    @Arg('id', () => ID, { description: 'The value of Webhook.id.' }) id: string,
    @Ctx() context: RequestContext,
  ): Promise<typeof RotateWebhookSecretResult> {
    return audited(context, 'rotateWebhookSecret', async () => {
      const { webhook, secret } = await this.useCases.rotateSecret(id, context.source);
      return { answer: make(WebhookRegisteredType, { webhook: presentWebhook(webhook), secret }) };
    });
  }

  @Mutation(() => WebhookResult, {
    description: `Enables a webhook. It continues with the event at which it was disabled. ${NOT_FOUND_ELSE}`,
  })
  enableWebhook(
    @Arg('id', () => ID, { description: 'The value of Webhook.id.' }) id: string,
    @Ctx() context: RequestContext,
  ): Promise<typeof WebhookResult> {
    return this.#change(context, 'enableWebhook', () => this.useCases.enable(id, context.source));
  }

  @Mutation(() => WebhookResult, {
    description: `Disables a webhook. A call in progress ends; no other begins until the webhook is enabled. ${NOT_FOUND_ELSE}`,
  })
  disableWebhook(
    @Arg('id', () => ID, { description: 'The value of Webhook.id.' }) id: string,
    @Ctx() context: RequestContext,
  ): Promise<typeof WebhookResult> {
    return this.#change(context, 'disableWebhook', () => this.useCases.disable(id, context.source));
  }

  @Mutation(() => WebhookResult, {
    description: `Deletes a webhook and its deliveries, and returns it as it was. ${NOT_FOUND_ELSE}`,
  })
  deleteWebhook(
    @Arg('id', () => ID, { description: 'The value of Webhook.id.' }) id: string,
    @Ctx() context: RequestContext,
  ): Promise<typeof WebhookResult> {
    return this.#change(context, 'deleteWebhook', () => this.useCases.delete(id, context.source));
  }

  @Mutation(() => WebhookResult, {
    description: `Sends an event of the type virement.webhook.test.v1. InvalidInput if the webhook is disabled. ${NOT_FOUND_ELSE}`,
  })
  sendTestEvent(
    @Arg('webhookId', () => ID, { description: 'The value of Webhook.id.' }) id: string,
    @Ctx() context: RequestContext,
  ): Promise<typeof WebhookResult> {
    return this.#change(context, 'sendTestEvent', () =>
      this.useCases.sendTestEvent(id, context.source),
    );
  }

  @Mutation(() => WebhookResult, {
    description: `Sends the event of a delivery again, with the same event id and new attempts. A pending delivery is not changed. ${NOT_FOUND_ELSE}`,
  })
  redeliver(
    @Arg('deliveryId', () => ID, { description: 'The value of WebhookDelivery.id.' }) id: string,
    @Ctx() context: RequestContext,
  ): Promise<typeof WebhookResult> {
    return this.#change(context, 'redeliver', () => this.useCases.redeliver(id, context.source));
  }

  @Mutation(() => WebhookResult, {
    description: `Sends the events of all deliveries since a moment again, delivered or failed: at most 100,000, else InvalidInput. ${NOT_FOUND_ELSE}`,
  })
  redeliverSince(
    @Arg('webhookId', () => ID, { description: 'The value of Webhook.id.' }) id: string,
    @Arg('since', () => DateTime, {
      description:
        'The earliest WebhookDelivery.createdAt. Deliveries are kept for WEBHOOK_RETENTION.',
    })
    since: Date,
    @Ctx() context: RequestContext,
  ): Promise<typeof WebhookResult> {
    return this.#change(context, 'redeliverSince', () =>
      this.useCases.redeliverSince(id, since, context.source),
    );
  }

  #change(context: RequestContext, action: ChangingMutation, change: () => Promise<Webhook>) {
    return audited(context, action, async () => ({ answer: presentWebhook(await change()) }));
  }
}

/** The mutations that answer a webhook. */
type ChangingMutation = Extract<
  MutationName,
  | 'updateWebhook'
  | 'enableWebhook'
  | 'disableWebhook'
  | 'deleteWebhook'
  | 'sendTestEvent'
  | 'redeliver'
  | 'redeliverSince'
>;

@Resolver(() => WebhookDeliveryType)
export class WebhookDeliveryResolver {
  /** Reads the attempts of deliveries that are presented at the same time in one statement. */
  readonly #attempts = new DataLoader<WebhookDeliveryType, readonly WebhookAttempt[]>(
    async (deliveries) => {
      const found = await this.store.attemptsOf(
        deliveries.map(({ id, attemptCount }) => ({ id, attempts: attemptCount })),
      );
      return deliveries.map(({ id }) => found.get(id) ?? []);
    },
    { cache: false, maxBatchSize: ATTEMPTS_BATCH_MAX },
  );

  constructor(private readonly store: WebhookStore) {}

  @FieldResolver(() => [WebhookAttemptType], {
    description: 'The calls that were made, oldest first: the last 10.',
  })
  async attempts(@Root() delivery: WebhookDeliveryType): Promise<WebhookAttemptType[]> {
    return (await this.#attempts.load(delivery)).map(presentAttempt);
  }
}
