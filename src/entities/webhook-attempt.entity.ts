import { defineEntity, PrimaryKeyProp, p } from '@mikro-orm/core';
import { ATTEMPT_ERROR_CHARACTERS_MAX, RESPONSE_CHARACTERS_MAX } from '../domain/webhook.js';
import { UuidColumn } from './column-types.js';

/** One call of a webhook. An attempt never changes. */
export class WebhookAttempt {
  declare [PrimaryKeyProp]?: ['deliveryId', 'number'];
  readonly deliveryId!: string;
  /** The number among the attempts of the delivery, from 1. */
  readonly number!: number;
  readonly at!: Date;
  readonly durationMs!: number;
  /** Null if there was no response. */
  readonly httpStatus!: number | null;
  readonly error!: string | null;
  readonly responseBody!: string | null;

  static of(facts: WebhookAttempt): WebhookAttempt {
    return Object.assign(new WebhookAttempt(), facts);
  }
}

export const WebhookAttemptSchema = defineEntity({
  class: WebhookAttempt,
  tableName: 'webhook_attempt',
  properties: {
    deliveryId: p.type(UuidColumn).primary(),
    number: p.integer().unsigned(false).primary(),
    at: p.datetime().length(3),
    durationMs: p.integer(),
    httpStatus: p.integer().nullable(),
    error: p.string().length(ATTEMPT_ERROR_CHARACTERS_MAX).nullable(),
    responseBody: p.string().length(RESPONSE_CHARACTERS_MAX).nullable(),
  },
});
