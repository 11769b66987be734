import { defineEntity, p } from '@mikro-orm/core';
import { BytesColumn, ExactTextColumn, UuidColumn } from './column-types.js';

/** The largest length of a consumer's name, a message id and a type, in bytes: that of a short string of AMQP. */
export const NAME_BYTES_MAX = 255;

export const DEAD_LETTER_ERROR_CHARACTERS_MAX = 1_000;

/** A dead letter as it arrived, before it is stored. */
export type DeadLetterFacts = Omit<DeadLetter, 'id' | 'arrivals'>;

/** A message on which a consumer gave up. Operators send it again or discard it. */
export class DeadLetter {
  readonly id!: string;
  /** The name of the consumer's queue. */
  readonly consumer!: string;
  /** The id of the message. With the consumer it identifies the row, so a message that fails again has one row. */
  readonly messageId!: string;
  /** The type of the event. */
  readonly type!: string;
  /** The reason why the consumer or the broker gave up. */
  readonly reason!: string;
  /** The number of failed attempts. */
  readonly attempts!: number;
  readonly lastError!: string | null;
  readonly firstFailedAt!: Date;
  readonly lastFailedAt!: Date;
  /** The time of the last arrival. */
  readonly receivedAt!: Date;
  /** The number of arrivals. It tells whether the message failed again after it was read. */
  readonly arrivals!: number;
  /** The body of the message, byte by byte, or its beginning. */
  readonly payload!: Uint8Array;
}

export const DeadLetterSchema = defineEntity({
  class: DeadLetter,
  tableName: 'dead_letter',
  properties: {
    id: p.type(UuidColumn).primary(),
    consumer: p.type(new ExactTextColumn(NAME_BYTES_MAX)),
    messageId: p.type(new ExactTextColumn(NAME_BYTES_MAX)),
    type: p.string().length(NAME_BYTES_MAX),
    reason: p.string().length(60),
    attempts: p.integer(),
    lastError: p.string().length(DEAD_LETTER_ERROR_CHARACTERS_MAX).nullable(),
    firstFailedAt: p.datetime().length(3),
    lastFailedAt: p.datetime().length(3),
    receivedAt: p.datetime().length(3),
    arrivals: p.integer(),
    payload: p.type(BytesColumn),
  },
  uniques: [{ name: 'dead_letter_message_unique', properties: ['consumer', 'messageId'] }],
  indexes: [{ name: 'dead_letter_consumer_index', properties: ['consumer', 'id'] }],
});
