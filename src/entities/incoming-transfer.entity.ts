import { defineEntity, OptionalProps, PrimaryKeyProp, p } from '@mikro-orm/core';
import { MINOR_UNITS_MAX } from '../domain/money.js';
import { positionId } from '../domain/position-id.js';
import { sequenceOf } from '../domain/postings.js';
import { Account } from './account.entity.js';
import { ExactTextColumn } from './column-types.js';
import { END_TO_END_ID_BYTES_MAX, FOLDED_NAME_BYTES_MAX } from './transfer.entity.js';

/** The columns of an incoming transfer. The counterparty is the payer. */
export interface IncomingTransferRecord {
  /** The credited account. */
  readonly accountId: string;
  /** The position in the history of the credited account: see transferPosition. */
  readonly position: bigint;
  /**
   * The debited account. Together with the position of the transfer in that account's history, it identifies the
   * transfer.
   */
  readonly payerAccountId: string;
  readonly payerPosition: bigint;
  readonly currency: string;
  readonly amountMinor: bigint;
  readonly counterpartyName: string;
  /** The name in the form that filters compare: see foldName. */
  readonly counterpartyNameFolded: string;
  readonly counterpartyIban: string;
  readonly description: string;
  readonly endToEndId: string | null;
  readonly createdAt: Date;
}

/**
 * A transfer between two accounts of this server, as its payee sees it. It has the payer's name and IBAN, and the
 * text and end-to-end id as the payer wrote them. It has the columns by which a payer's transfers are filtered, so
 * one search serves both.
 */
export class IncomingTransfer implements IncomingTransferRecord {
  /** These fields are derived, so they are no columns. */
  declare [OptionalProps]?: 'id' | 'sequence';
  declare [PrimaryKeyProp]?: ['accountId', 'position'];
  readonly accountId!: string;
  readonly position!: bigint;
  readonly payerAccountId!: string;
  readonly payerPosition!: bigint;
  readonly currency!: string;
  readonly amountMinor!: bigint;
  readonly counterpartyName!: string;
  readonly counterpartyNameFolded!: string;
  readonly counterpartyIban!: string;
  readonly description!: string;
  readonly endToEndId!: string | null;
  readonly createdAt!: Date;

  get id(): string {
    return positionId('incoming-transfer', this);
  }

  /** The number of the ledger entry that credited the transfer. */
  get sequence(): bigint {
    return sequenceOf(this.position);
  }
}

export const IncomingTransferSchema = defineEntity({
  class: IncomingTransfer,
  tableName: 'incoming_transfer',
  properties: {
    accountId: () => p.manyToOne(Account).mapToPk().joinColumn('account_id').primary().index(false),
    position: p.bigint().unsigned(false).primary(),
    payerAccountId: () =>
      p.manyToOne(Account).mapToPk().joinColumn('payer_account_id').index(false),
    payerPosition: p.bigint(),
    currency: p.string().length(3),
    amountMinor: p.bigint(),
    counterpartyName: p.string().length(140),
    counterpartyNameFolded: p.type(new ExactTextColumn(FOLDED_NAME_BYTES_MAX)),
    counterpartyIban: p.string().length(34),
    description: p.string().length(140),
    endToEndId: p.type(new ExactTextColumn(END_TO_END_ID_BYTES_MAX)).nullable(),
    createdAt: p.datetime().length(3),
  },
  uniques: [
    {
      name: 'incoming_transfer_payer_position_unique',
      properties: ['payerAccountId', 'payerPosition'],
    },
  ],
  checks: [
    {
      name: 'incoming_transfer_amount_minor_check',
      expression: `amount_minor between 1 and ${MINOR_UNITS_MAX}`,
    },
  ],
});
