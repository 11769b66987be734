import { defineEntity, p } from '@mikro-orm/core';
import { UuidColumn } from './column-types.js';

export type OutboxMessageType = 'bulk-transfer.performed' | 'account.credited';

/**
 * What happened to an account, written in the commit that made it happen. It carries ids alone:
 * whoever reads it reads the rest from the ledger.
 */
export class OutboxMessage {
  id!: string;
  type!: OutboxMessageType;
  accountId!: string;
  /** Number of the ledger entry it tells of: with the account, the order of commit. */
  sequence!: bigint;
  createdAt!: Date;

  constructor(message: OutboxMessage) {
    Object.assign(this, message);
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
  },
  uniques: [{ name: 'outbox_message_sequence_unique', properties: ['accountId', 'sequence'] }],
});
