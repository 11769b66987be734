import { defineEntity, p } from '@mikro-orm/core';
import type { OutboxMessageType } from '../domain/kinds.js';
import { UuidColumn } from './column-types.js';

/** The largest length of the reason why a message was not published. */
export const LAST_ERROR_CHARACTERS_MAX = 500;

/** A time before any clock's time. An account's time may be ahead of a relay's time, but its events must not wait. */
export const DUE_AT_ONCE = new Date(0);

/** The facts of an event, as its use case gives them. */
export interface OutboxMessageFacts {
  readonly id: string;
  readonly type: OutboxMessageType;
  readonly subjectId: string;
  readonly sequence: bigint;
  readonly createdAt: Date;
}

/**
 * Something that happened, written in the commit that made it happen. A message contains only ids; its readers read the
 * rest from the tables of its subject. A message is due, published or parked.
 */
export class OutboxMessage {
  readonly id!: string;
  readonly type!: OutboxMessageType;
  /** The id of the thing that the message is about: for all types so far, an account. */
  readonly subjectId!: string;
  /**
   * The number of the message, which grows in the order of commit among the messages of its subject. For an account, it
   * is the number of a ledger entry.
   */
  readonly sequence!: bigint;
  readonly createdAt!: Date;
  /**
   * The time from which a relay may claim the message. While a relay leases the message, this is the end of the
   * lease. Null after the message is published or parked.
   */
  dueAt!: Date | null;
  /** The id of the relay that leases the message; null without a lease. */
  leasedBy!: string | null;
  /** The number of failed attempts to publish the message. */
  readonly attempts!: number;
  readonly publishedAt!: Date | null;
  /** The time at which the relay gave up, until an operator retries the message. */
  readonly parkedAt!: Date | null;
  readonly lastError!: string | null;
  /** The W3C trace context of the request that caused the event. */
  traceparent!: string | null;

  /** Makes a message that is due at once. */
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

  /** Stores the trace of the request that caused the event. */
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
    subjectId: p.type(UuidColumn),
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
  uniques: [{ name: 'outbox_message_sequence_unique', properties: ['subjectId', 'sequence'] }],
  indexes: [
    { name: 'outbox_message_due_at_index', properties: ['dueAt', 'id'] },
    { name: 'outbox_message_published_at_index', properties: ['publishedAt'] },
    { name: 'outbox_message_parked_at_index', properties: ['parkedAt'] },
  ],
});
