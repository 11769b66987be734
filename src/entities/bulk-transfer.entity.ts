import { defineEntity, p } from '@mikro-orm/core';
import { IDEMPOTENCY_KEY_CHARACTERS_MAX } from '../domain/idempotency.js';
import { MINOR_UNITS_MAX } from '../domain/money.js';
import { bulkTransferIdOf } from '../domain/position-id.js';
import { Account } from './account.entity.js';
import { ExactTextColumn, UuidColumn } from './column-types.js';

/** A bulk that was performed. A bulk never changes. */
export class BulkTransfer {
  /** See bulkTransferIdOf. It is stored, because ledger entries refer to it. */
  readonly id!: string;
  readonly accountId!: string;
  /** The number of the bulk's ledger entry in the account. It is the order of commit. */
  readonly sequence!: bigint;
  readonly idempotencyKey!: string | null;
  readonly fingerprint!: string | null;
  readonly transferCount!: number;
  readonly currency!: string;
  readonly totalAmountMinor!: bigint;
  readonly balanceAfterMinor!: bigint;
  readonly createdAt!: Date;

  static of(facts: Omit<BulkTransfer, 'id'>): BulkTransfer {
    return Object.assign(new BulkTransfer(), facts, { id: bulkTransferIdOf(facts) });
  }
}

export const BulkTransferSchema = defineEntity({
  class: BulkTransfer,
  tableName: 'bulk_transfer',
  properties: {
    id: p.type(UuidColumn).primary(),
    accountId: () => p.manyToOne(Account).mapToPk().joinColumn('account_id').index(false),
    sequence: p.bigint(),
    idempotencyKey: p.type(new ExactTextColumn(IDEMPOTENCY_KEY_CHARACTERS_MAX)).nullable(),
    fingerprint: p.string().length(64).nullable(),
    transferCount: p.integer(),
    currency: p.string().length(3),
    totalAmountMinor: p.bigint(),
    balanceAfterMinor: p.bigint(),
    createdAt: p.datetime().length(3),
  },
  uniques: [
    { name: 'bulk_transfer_sequence_unique', properties: ['accountId', 'sequence'] },
    { name: 'bulk_transfer_idempotency_key_unique', properties: ['accountId', 'idempotencyKey'] },
  ],
  checks: [
    {
      name: 'bulk_transfer_total_amount_minor_check',
      expression: `total_amount_minor between 1 and ${MINOR_UNITS_MAX}`,
    },
  ],
});
