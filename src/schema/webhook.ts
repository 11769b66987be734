import {
  createUnionType,
  Field,
  ID,
  InputType,
  Int,
  ObjectType,
  registerEnumType,
} from 'type-graphql';
import {
  DELIVERY_STATUSES,
  type DeliveryStatus,
  type LedgerEventKind,
  WEBHOOK_STATUSES,
  type WebhookStatus,
} from '../domain/kinds.js';
import { type Descriptions, enumOf } from './enum.js';
import { NodeType } from './node.js';
import { connectionOf } from './page.js';
import { DateTime, Iban } from './scalars.js';
import { InvalidInputType, WebhookNotFoundType } from './user-errors.js';

/** The name of a kind of event in the API: transfer.performed is TRANSFER_PERFORMED. */
type EventName<Kind extends string> = Kind extends `${infer Head}.${infer Tail}`
  ? `${EventName<Head>}_${EventName<Tail>}`
  : Kind extends `${infer Head}-${infer Tail}`
    ? `${EventName<Head>}_${EventName<Tail>}`
    : Uppercase<Kind>;

const WebhookEventEnum = {
  BULK_TRANSFER_PERFORMED: 'bulk-transfer.performed',
  TRANSFER_PERFORMED: 'transfer.performed',
  TRANSFER_RECEIVED: 'transfer.received',
  ACCOUNT_CREDITED: 'account.credited',
} as const satisfies { readonly [Kind in LedgerEventKind as EventName<Kind>]: Kind };

registerEnumType(WebhookEventEnum, {
  name: 'WebhookEvent',
  description: 'A kind of event for which a webhook is called.',
  valuesConfig: {
    BULK_TRANSFER_PERFORMED: {
      description:
        'A bulk left an account: one call for the whole bulk, with its number and total.',
    },
    TRANSFER_PERFORMED: { description: 'A transfer left an account: one call for each transfer.' },
    TRANSFER_RECEIVED: {
      description: 'A transfer from another account of this server arrived: one call for each.',
    },
    ACCOUNT_CREDITED: {
      description: 'The balance of an account grew: one call for all transfers of a bulk.',
    },
  } satisfies Descriptions<keyof typeof WebhookEventEnum>,
});

const Status = enumOf(WEBHOOK_STATUSES);

registerEnumType(Status, {
  name: 'WebhookStatus',
  description: 'Whether a webhook is called.',
  valuesConfig: {
    ENABLED: { description: 'The webhook is called.' },
    DISABLED: {
      description:
        'The webhook is not called. When it is enabled again, it continues where it stopped.',
    },
  } satisfies Descriptions<WebhookStatus>,
});

export const WebhookDeliveryStatus = enumOf(DELIVERY_STATUSES);

registerEnumType(WebhookDeliveryStatus, {
  name: 'WebhookDeliveryStatus',
  description: 'The state of a delivery.',
  valuesConfig: {
    PENDING: { description: 'An attempt is made now or later.' },
    DELIVERED: { description: 'The receiver answered with a status from 200 to 299.' },
    FAILED: { description: 'No further attempt is made, unless redeliver requests it.' },
  } satisfies Descriptions<DeliveryStatus>,
});

@ObjectType('WebhookAttempt', {
  description: 'One call of a webhook.',
  simpleResolvers: true,
})
export class WebhookAttemptType {
  @Field(() => DateTime)
  at!: Date;

  @Field(() => Int, { description: 'Time from the call to the end of the response.' })
  durationMs!: number;

  @Field(() => Int, { nullable: true, description: 'Null if there was no response.' })
  httpStatus!: number | null;

  @Field(() => String, { nullable: true, description: 'The reason why there was no response.' })
  error!: string | null;

  @Field(() => String, { nullable: true, description: 'The first KB of the response.' })
  responseBody!: string | null;
}

@ObjectType('WebhookDelivery', {
  implements: NodeType,
  description: 'One event for one webhook, with as many attempts as it needs.',
  simpleResolvers: true,
})
export class WebhookDeliveryType extends NodeType {
  @Field(() => ID, {
    description: 'The id of the event, which is also the header webhook-id of each attempt.',
  })
  eventId!: string;

  @Field(() => WebhookEventEnum, {
    nullable: true,
    description: 'Null for a test event.',
  })
  event!: LedgerEventKind | null;

  @Field(() => WebhookDeliveryStatus)
  status!: DeliveryStatus;

  @Field(() => DateTime, {
    nullable: true,
    description:
      'Null if no attempt is due: the delivery has ended, an attempt is in progress, or an ordered webhook waits for earlier events.',
  })
  nextAttemptAt!: Date | null;

  @Field(() => DateTime)
  createdAt!: Date;

  /** The number of attempts, with which their rows are found. */
  attemptCount!: number;
}

export const WebhookDeliveryConnection = connectionOf('WebhookDelivery', WebhookDeliveryType);

@ObjectType('Webhook', {
  implements: NodeType,
  description: 'An address of a company that the server calls for each event of the chosen kinds.',
  simpleResolvers: true,
})
export class WebhookType extends NodeType {
  @Field(() => String)
  url!: string;

  @Field(() => [WebhookEventEnum])
  events!: LedgerEventKind[];

  @Field(() => [Iban], {
    nullable: true,
    description: 'The accounts whose events are sent; null for all accounts of the organization.',
  })
  accountIbans!: string[] | null;

  @Field(() => String, { nullable: true })
  description!: string | null;

  @Field(() => Boolean, {
    description:
      'Whether the events of each account are sent one after another, in the order of commit.',
  })
  ordered!: boolean;

  @Field(() => Status)
  status!: WebhookStatus;

  @Field(() => String, { nullable: true })
  disabledReason!: string | null;

  @Field(() => DateTime)
  createdAt!: Date;

  @Field(() => DateTime, { nullable: true })
  lastDeliveredAt!: Date | null;
}

export const WebhookConnection = connectionOf('Webhook', WebhookType);

@InputType('RegisterWebhookInput', { description: 'A webhook to register.' })
export class RegisterWebhookInput {
  @Field(() => String, {
    description: 'An https URL with a public address, at most 2,000 characters.',
  })
  url!: string;

  @Field(() => [WebhookEventEnum], { description: 'The kinds of events to send: at least one.' })
  events!: LedgerEventKind[];

  @Field(() => [String], {
    nullable: true,
    description: 'The accounts whose events are sent: 1 to 100. All of the organization if absent.',
  })
  accountIbans?: string[] | null;

  @Field(() => ID, {
    nullable: true,
    description:
      'The organization of the webhook. Needed by callers of several organizations, unless accountIbans names accounts.',
  })
  organizationId?: string | null;

  @Field(() => String, { nullable: true, description: 'The purpose: at most 140 characters.' })
  description?: string | null;

  @Field(() => Boolean, {
    nullable: true,
    defaultValue: false,
    description:
      'Whether the events of each account are sent one after another, in the order of commit. An event that fails then delays the later ones.',
  })
  ordered?: boolean | null;
}

@InputType('UpdateWebhookInput', {
  description: 'Changes of a webhook. A field that is absent is not changed.',
})
export class UpdateWebhookInput {
  @Field(() => ID, { description: 'The value of Webhook.id.' })
  id!: string;

  @Field(() => String, { nullable: true, description: 'As in RegisterWebhookInput.' })
  url?: string | null;

  @Field(() => [WebhookEventEnum], {
    nullable: true,
    description: 'As in RegisterWebhookInput. Later events alone are affected.',
  })
  events?: LedgerEventKind[] | null;

  @Field(() => [String], {
    nullable: true,
    description: 'As in RegisterWebhookInput; null for all accounts of the organization.',
  })
  accountIbans?: string[] | null;

  @Field(() => String, {
    nullable: true,
    description: 'As in RegisterWebhookInput; null for none.',
  })
  description?: string | null;
}

@ObjectType('WebhookRegistered', {
  description: 'A webhook and its secret. Only this answer contains the secret.',
  simpleResolvers: true,
})
export class WebhookRegisteredType {
  @Field(() => WebhookType)
  webhook!: WebhookType;

  @Field(() => String, {
    description:
      'whsec_ and the base64 of the key that signs, as the library standardwebhooks takes it.',
  })
  secret!: string;
}

export const RegisterWebhookResult = createUnionType({
  name: 'RegisterWebhookResult',
  description: 'The webhook that was registered, or the problems of the input.',
  types: () => [WebhookRegisteredType, InvalidInputType] as const,
});

export const UpdateWebhookResult = createUnionType({
  name: 'UpdateWebhookResult',
  description: 'The changed webhook, or the reason why nothing was changed.',
  types: () => [WebhookType, InvalidInputType, WebhookNotFoundType] as const,
});

export const RotateWebhookSecretResult = createUnionType({
  name: 'RotateWebhookSecretResult',
  description: 'The webhook and its new secret, or the reason why nothing was changed.',
  types: () => [WebhookRegisteredType, WebhookNotFoundType] as const,
});

export const WebhookResult = createUnionType({
  name: 'WebhookResult',
  description: 'The webhook, or the reason why nothing was done.',
  types: () => [WebhookType, InvalidInputType, WebhookNotFoundType] as const,
});
