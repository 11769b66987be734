import { defineEntity, p } from '@mikro-orm/core';
import type { OutboxMessageType } from '../domain/kinds.js';
import { UuidColumn } from './column-types.js';

/** Of the reason why a message was not published. */
export const LAST_ERROR_CHARACTERS_MAX = 500;

/** Before any clock: an account's time may be ahead of a relay's, and its events wait for none. */
export const DUE_AT_ONCE = new Date(0);

/** What happened, as the use case that made it happen tells it. */
export interface OutboxMessageFacts {
  readonly id: string;
  readonly type: OutboxMessageType;
  readonly accountId: string;
  readonly sequence: bigint;
  readonly createdAt: Date;
}

/**
 * What happened to an account, written in the commit that made it happen. It carries ids alone:
 * whoever reads it reads the rest from the ledger. It is due, or was published, or is parked.
 */
export class OutboxMessage {
  readonly id!: string;
  readonly type!: OutboxMessageType;
  readonly accountId!: string;
  /** Number of the ledger entry it tells of: with the account, the order of commit. */
  readonly sequence!: bigint;
  readonly createdAt!: Date;
  /** When a relay may take it; while one has it, when its lease ends; null once it is done with. */
  dueAt!: Date | null;
  /** Id of the relay that has it; null while none has. */
  leasedBy!: string | null;
  /** How often publishing it has failed. */
  readonly attempts!: number;
  readonly publishedAt!: Date | null;
  /** When it was given up on, until an operator puts it back. */
  readonly parkedAt!: Date | null;
  readonly lastError!: string | null;
  /** W3C trace context of the request that made it happen. */
  traceparent!: string | null;

  /** A message that is due at once. */
  static of(facts: OutboxMessageFacts): OutboxMessage {
    return Object.assign(new OutboxMessage(), facts, {
      dueAt: DUE_AT_ONCE,
      leasedBy: null,
      attempts: 0,
      publishedAt: null,
      parkedAt: null,
      lastError: null,
      traceparent: null,
    });
  }

  /** Notes the trace of the request that made it happen. */
  trace(traceparent: string | null): void {
    this.traceparent = traceparent;
  }

  /** Leases the message, before it is committed, to the relay of the process that commits it. */
  lease(holder: string, end: Date): void {
    this.leasedBy = holder;
    this.dueAt = end;
  }
}

export const OutboxMessageSchema = defineEntity({
  class: OutboxMessage,
  tableName: 'outbox_message',
  properties: {
    id: p.type(UuidColumn).primary(),
    type: p.string().length(40).$type<OutboxMessageType>(),
    accountId: p.type(UuidColumn),
    sequence: p.bigint(),
    createdAt: p.datetime().length(3),
    dueAt: p.datetime().length(3).nullable(),
    attempts: p.integer().default(0),
    publishedAt: p.datetime().length(3).nullable(),
    parkedAt: p.datetime().length(3).nullable(),
    lastError: p.string().length(LAST_ERROR_CHARACTERS_MAX).nullable(),
    traceparent: p.string().length(55).nullable(),
    leasedBy: p.type(UuidColumn).nullable(),
  },
  uniques: [{ name: 'outbox_message_sequence_unique', properties: ['accountId', 'sequence'] }],
  indexes: [
    { name: 'outbox_message_due_at_index', properties: ['dueAt', 'id'] },
    { name: 'outbox_message_published_at_index', properties: ['publishedAt'] },
    { name: 'outbox_message_parked_at_index', properties: ['parkedAt'] },
  ],
});
