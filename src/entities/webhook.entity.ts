import { defineEntity, p } from '@mikro-orm/core';
import type { LedgerEventKind, WebhookStatus } from '../domain/kinds.js';
import { SECRET_OVERLAP_MS } from '../domain/webhook.js';
import { UuidColumn } from './column-types.js';

/** The largest length of the reason why a webhook is disabled. */
const DISABLED_REASON_CHARACTERS_MAX = 300;

/** What a company chooses for a webhook. */
export interface WebhookChoices {
  url: string;
  events: LedgerEventKind[];
  /** The accounts whose events are sent; null for all accounts of the organization, also later ones. */
  accountIbans: string[] | null;
  description: string | null;
}

interface WebhookFacts extends WebhookChoices {
  readonly id: string;
  readonly organizationId: string;
  readonly slot: number;
  readonly ordered: boolean;
  readonly secret: string;
  readonly createdAt: Date;
}

/** An address of a company that the server calls for each chosen event. */
export class Webhook implements WebhookChoices {
  readonly id!: string;
  readonly organizationId!: string;
  /** The number among the webhooks of the organization, from 1. Its unique key limits their number. Null if deleted. */
  slot!: number | null;
  url!: string;
  events!: LedgerEventKind[];
  accountIbans!: string[] | null;
  description!: string | null;
  /** Tells whether the deliveries of each account are made one after another, in the order of commit. */
  readonly ordered!: boolean;
  status!: WebhookStatus;
  disabledReason!: string | null;
  /** The secret that signs: whsec_ and the base64 of 32 bytes. It is stored, because each call needs it. */
  secret!: string;
  previousSecret!: string | null;
  /** The time until which the previous secret signs too. */
  previousSecretEndsAt!: Date | null;
  readonly createdAt!: Date;
  readonly lastDeliveredAt!: Date | null;
  /** The time of the first failed attempt after the last successful one. */
  failingSince!: Date | null;
  deletedAt!: Date | null;

  static of(facts: WebhookFacts): Webhook {
    return Object.assign(new Webhook(), facts, {
      status: 'ENABLED',
      disabledReason: null,
      previousSecret: null,
      previousSecretEndsAt: null,
      lastDeliveredAt: null,
      failingSince: null,
      deletedAt: null,
    });
  }

  enable(): void {
    this.status = 'ENABLED';
    this.disabledReason = null;
    this.failingSince = null;
  }

  disable(reason: string): void {
    this.status = 'DISABLED';
    this.disabledReason = reason;
  }

  /** Replaces the secret. The old secret signs too for a day. */
  rotateSecret(secret: string, at: Date): void {
    this.previousSecret = this.secret;
    this.previousSecretEndsAt = new Date(at.getTime() + SECRET_OVERLAP_MS);
    this.secret = secret;
  }

  /** Deletes the webhook for its company. Its deliveries are deleted later, in parts, and then its row. */
  delete(at: Date): void {
    this.disable('Deleted.');
    this.deletedAt = at;
    this.slot = null;
  }
}

export const WebhookSchema = defineEntity({
  class: Webhook,
  tableName: 'webhook',
  properties: {
    id: p.type(UuidColumn).primary(),
    organizationId: p.type(UuidColumn),
    slot: p.integer().nullable(),
    url: p.string().length(2_000),
    events: p.array().length(200).$type<LedgerEventKind[]>(),
    accountIbans: p.array().length(4_000).$type<string[]>().nullable(),
    description: p.string().length(140).nullable(),
    ordered: p.boolean(),
    status: p.string().length(10).$type<WebhookStatus>(),
    disabledReason: p.string().length(DISABLED_REASON_CHARACTERS_MAX).nullable(),
    secret: p.string().length(60),
    previousSecret: p.string().length(60).nullable(),
    previousSecretEndsAt: p.datetime().length(3).nullable(),
    createdAt: p.datetime().length(3),
    lastDeliveredAt: p.datetime().length(3).nullable(),
    failingSince: p.datetime().length(3).nullable(),
    deletedAt: p.datetime().length(3).nullable(),
  },
  uniques: [{ name: 'webhook_slot_unique', properties: ['organizationId', 'slot'] }],
});
