import { defineEntity, OptionalProps, PrimaryKeyProp, p } from '@mikro-orm/core';
import { MINOR_UNITS_MAX } from '../domain/money.js';
import { bulkTransferIdOf, positionId } from '../domain/position-id.js';
import { indexOf, sequenceOf } from '../domain/postings.js';
import { Account } from './account.entity.js';
import { ExactTextColumn, UuidColumn } from './column-types.js';
import { sequenceSql } from './sequence-sql.js';

/**
 * The largest size of a folded name: 140 characters of four bytes, times three, because folding makes at most three
 * characters of one.
 */
export const FOLDED_NAME_BYTES_MAX = 1_680;

/** The largest size of an end-to-end id: 35 characters of four bytes. */
export const END_TO_END_ID_BYTES_MAX = 140;

/** The columns of a transfer. */
export interface TransferRecord {
  /** The debited account. */
  readonly accountId: string;
  /** The position in the account's history: see transferPosition. */
  readonly position: bigint;
  readonly amountMinor: bigint;
  readonly counterpartyName: string;
  /** The name in the form that filters compare: see foldName. */
  readonly counterpartyNameFolded: string;
  readonly counterpartyIban: string;
  readonly counterpartyBic: string | null;
  /** The credited account of this server; null if the money went to another bank. */
  readonly counterpartyAccountId: string | null;
  readonly description: string;
  readonly endToEndId: string | null;
}

/**
 * One credit transfer of a bulk. A transfer never changes. A bulk has thousands of transfers, so values that all of them
 * share are columns of the bulk or of the account alone.
 */
export class Transfer implements TransferRecord {
  /** These fields are derived, so they are no columns. */
  declare [OptionalProps]?: 'id' | 'bulkTransferId' | 'index' | 'sequence';
  declare [PrimaryKeyProp]?: ['accountId', 'position'];
  readonly accountId!: string;
  readonly position!: bigint;
  readonly amountMinor!: bigint;
  readonly counterpartyName!: string;
  readonly counterpartyNameFolded!: string;
  readonly counterpartyIban!: string;
  readonly counterpartyBic!: string | null;
  readonly counterpartyAccountId!: string | null;
  readonly description!: string;
  readonly endToEndId!: string | null;
  /** The currency of the account. */
  readonly currency!: string;
  /** The time of the bulk. */
  readonly createdAt!: Date;

  get id(): string {
    return positionId('transfer', this);
  }

  /** The bulk has the account and the time of its transfers. */
  get bulkTransferId(): string {
    return bulkTransferIdOf(this);
  }

  /** The 0-based index in the bulk. */
  get index(): number {
    return indexOf(this.position);
  }

  /** The sequence of the bulk in the ledger of the debited account. */
  get sequence(): bigint {
    return sequenceOf(this.position);
  }
}

export const TransferSchema = defineEntity({
  class: Transfer,
  tableName: 'transfer',
  properties: {
    accountId: () =>
      p
        .manyToOne(Account)
        .mapToPk()
        .joinColumn('account_id')
        .primary()
        .index(false)
        .createForeignKeyConstraint(false),
    position: p.bigint().unsigned(false).primary(),
    amountMinor: p.bigint(),
    counterpartyName: p.string().length(140),
    counterpartyNameFolded: p.type(new ExactTextColumn(FOLDED_NAME_BYTES_MAX)),
    counterpartyIban: p.string().length(34),
    counterpartyBic: p.string().length(11).nullable(),
    counterpartyAccountId: p.type(UuidColumn).nullable(),
    description: p.string().length(140),
    endToEndId: p.type(new ExactTextColumn(END_TO_END_ID_BYTES_MAX)).nullable(),
    currency: p
      .string()
      .formula(
        (transfer) => `(select currency from account where account.id = ${transfer.accountId})`,
      ),
    createdAt: p
      .datetime()
      .length(3)
      .formula(
        (transfer) => `(select created_at from bulk_transfer
          where bulk_transfer.account_id = ${transfer.accountId}
            and bulk_transfer.sequence = ${sequenceSql(String(transfer.position))})`,
      ),
  },
  checks: [
    {
      name: 'transfer_amount_minor_check',
      expression: `amount_minor between 1 and ${MINOR_UNITS_MAX}`,
    },
  ],
});
