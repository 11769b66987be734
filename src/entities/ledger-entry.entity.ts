import { defineEntity, p } from '@mikro-orm/core';
import { IDEMPOTENCY_KEY_CHARACTERS_MAX } from '../domain/idempotency.js';
import type { LedgerEntryKind } from '../domain/kinds.js';
import { MINOR_UNITS_MAX } from '../domain/money.js';
import { Account, type Posting } from './account.entity.js';
import { BulkTransfer } from './bulk-transfer.entity.js';
import { ExactTextColumn, UuidColumn } from './column-types.js';

export interface LedgerEntryFacts {
  readonly id: string;
  readonly kind: LedgerEntryKind;
  readonly description: string;
  readonly bulkTransferId?: string;
  readonly idempotencyKey?: string | undefined;
  readonly fingerprint?: string | undefined;
}

/** One entry in the ledger of an account. Entries are append-only. */
export class LedgerEntry {
  readonly id!: string;
  readonly accountId!: string;
  /** The number of the entry: 1, 2, 3 … without a gap in each account. */
  readonly sequence!: bigint;
  readonly kind!: LedgerEntryKind;
  readonly currency!: string;
  /** The amount from the account's side; a debit is negative. */
  readonly amountMinor!: bigint;
  readonly balanceAfterMinor!: bigint;
  readonly bulkTransferId!: string | null;
  /** The idempotency key of a credit. A bulk stores its own key. */
  readonly idempotencyKey!: string | null;
  readonly fingerprint!: string | null;
  readonly description!: string;
  readonly createdAt!: Date;

  /** Makes the entry that records a posting. */
  static of(account: Account, posting: Posting, facts: LedgerEntryFacts): LedgerEntry {
    return Object.assign(new LedgerEntry(), {
      id: facts.id,
      accountId: account.id,
      sequence: posting.sequence,
      kind: facts.kind,
      currency: account.currency,
      amountMinor: posting.amountMinor,
      balanceAfterMinor: posting.balanceAfterMinor,
      bulkTransferId: facts.bulkTransferId ?? null,
      idempotencyKey: facts.idempotencyKey ?? null,
      fingerprint: facts.fingerprint ?? null,
      description: facts.description,
      createdAt: posting.at,
    });
  }
}

export const LedgerEntrySchema = defineEntity({
  class: LedgerEntry,
  tableName: 'ledger_entry',
  properties: {
    id: p.type(UuidColumn).primary(),
    accountId: () => p.manyToOne(Account).mapToPk().joinColumn('account_id').index(false),
    sequence: p.bigint(),
    kind: p.string().length(17).$type<LedgerEntryKind>(),
    currency: p.string().length(3),
    amountMinor: p.bigint(),
    balanceAfterMinor: p.bigint(),
    bulkTransferId: () =>
      p
        .manyToOne(BulkTransfer)
        .mapToPk()
        .joinColumn('bulk_transfer_id')
        .nullable()
        .deleteRule('no action'),
    idempotencyKey: p.type(new ExactTextColumn(IDEMPOTENCY_KEY_CHARACTERS_MAX)).nullable(),
    fingerprint: p.string().length(64).nullable(),
    description: p.string().length(140),
    createdAt: p.datetime().length(3),
  },
  uniques: [
    { name: 'ledger_entry_sequence_unique', properties: ['accountId', 'sequence'] },
    { name: 'ledger_entry_idempotency_key_unique', properties: ['accountId', 'idempotencyKey'] },
  ],
  indexes: [
    { name: 'ledger_entry_created_at_index', properties: ['accountId', 'createdAt', 'sequence'] },
  ],
  checks: [
    {
      name: 'ledger_entry_amount_minor_check',
      expression: `amount_minor between -${MINOR_UNITS_MAX} and ${MINOR_UNITS_MAX}`,
    },
    {
      name: 'ledger_entry_balance_after_minor_check',
      expression: `balance_after_minor between 0 and ${MINOR_UNITS_MAX}`,
    },
  ],
});
