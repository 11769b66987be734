import { defineEntity, p } from '@mikro-orm/core';
import type { DeliveryStatus, LedgerEventKind } from '../domain/kinds.js';
import { UuidColumn } from './column-types.js';

/** The event that a delivery sends. The event is made from its row in the ledger for each attempt. */
interface DeliveredEvent {
  readonly accountId: string;
  /** The position of the event's row in the history of the account: see transferPosition. */
  readonly position: bigint;
  readonly kind: LedgerEventKind;
  readonly eventId: string;
}

interface DeliveryFacts {
  readonly id: string;
  readonly webhookId: string;
  /** Null in an ordered webhook, until the deliveries before it have ended. */
  readonly dueAt: Date | null;
  readonly createdAt: Date;
  /** Undefined for a test event. */
  readonly event?: DeliveredEvent;
}

/** One event for one webhook, with as many attempts as it needs. */
export class WebhookDelivery {
  readonly id!: string;
  readonly webhookId!: string;
  /** Null for a test event, like the position and the kind. */
  readonly accountId!: string | null;
  readonly position!: bigint | null;
  readonly kind!: LedgerEventKind | null;
  readonly eventId!: string;
  readonly status!: DeliveryStatus;
  /** The number of attempts that were begun. */
  readonly attempts!: number;
  /** The number of failed attempts since the delivery was made or requested again. */
  readonly failures!: number;
  /**
   * The time from which a server may make the next attempt. During an attempt it is the end of the server's lease. Null
   * if no attempt is due.
   */
  readonly dueAt!: Date | null;
  /** The server that makes an attempt. If its lease ends, the outcome of the attempt is unknown. */
  readonly leasedBy!: string | null;
  /** The time at which the attempt began. */
  readonly leasedAt!: Date | null;
  readonly createdAt!: Date;
  /** The time at which the delivery succeeded, or failed for good. */
  readonly endedAt!: Date | null;

  static of({ event, ...facts }: DeliveryFacts): WebhookDelivery {
    return Object.assign(new WebhookDelivery(), facts, {
      accountId: event?.accountId ?? null,
      position: event?.position ?? null,
      kind: event?.kind ?? null,
      eventId: event?.eventId ?? facts.id,
      status: 'PENDING',
      attempts: 0,
      failures: 0,
      leasedBy: null,
      leasedAt: null,
      endedAt: null,
    });
  }
}

export const WebhookDeliverySchema = defineEntity({
  class: WebhookDelivery,
  tableName: 'webhook_delivery',
  properties: {
    id: p.type(UuidColumn).primary(),
    webhookId: p.type(UuidColumn),
    accountId: p.type(UuidColumn).nullable(),
    position: p.bigint().nullable(),
    kind: p.string().length(40).$type<LedgerEventKind>().nullable(),
    eventId: p.type(UuidColumn),
    status: p.string().length(10).$type<DeliveryStatus>(),
    attempts: p.integer(),
    failures: p.integer(),
    dueAt: p.datetime().length(3).nullable(),
    leasedBy: p.type(UuidColumn).nullable(),
    leasedAt: p.datetime().length(3).nullable(),
    createdAt: p.datetime().length(3),
    endedAt: p.datetime().length(3).nullable(),
  },
  indexes: [
    { name: 'webhook_delivery_webhook_index', properties: ['webhookId', 'id'] },
    { name: 'webhook_delivery_status_index', properties: ['webhookId', 'status', 'id'] },
    { name: 'webhook_delivery_due_at_index', properties: ['webhookId', 'dueAt'] },
    {
      name: 'webhook_delivery_account_index',
      properties: ['webhookId', 'accountId', 'status', 'position'],
    },
  ],
});
