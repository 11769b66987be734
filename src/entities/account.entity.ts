import { defineEntity, p } from '@mikro-orm/core';
import { MINOR_UNITS_MAX } from '../domain/money.js';
import { UuidColumn } from './column-types.js';

/** What the ledger records of one change of a balance. */
export interface Posting {
  readonly sequence: bigint;
  readonly amountMinor: bigint;
  readonly balanceAfterMinor: bigint;
  readonly at: Date;
}

export interface AccountOpening {
  readonly id: string;
  readonly organizationId: string;
  readonly organizationName: string;
  readonly iban: string;
  readonly bic: string;
  readonly currency: string;
  readonly at: Date;
}

/** An account of an organization, and the state of its ledger. Money is in minor units. */
export class Account {
  readonly id!: string;
  /** No foreign key: SQLite can't add one to a table that exists, so that verify checks it. */
  readonly organizationId!: string;
  /** The organization's, kept here as well: every bulk and event has it. */
  readonly organizationName!: string;
  readonly iban!: string;
  readonly bic!: string;
  readonly currency!: string;
  balanceMinor!: bigint;
  /** Number of the last ledger entry; 0 before the first. */
  sequence!: bigint;
  readonly createdAt!: Date;
  /** Time of the last ledger entry. */
  updatedAt!: Date;

  /** An account with nothing on it. */
  static open(opening: AccountOpening): Account {
    const { at, ...facts } = opening;
    return Object.assign(new Account(), facts, {
      balanceMinor: 0n,
      sequence: 0n,
      createdAt: at,
      updatedAt: at,
    });
  }

  /** Returns a copy, for postings that may come to nothing. */
  copy(): Account {
    return Object.assign(new Account(), this);
  }

  /** Takes over the postings to a copy of this account. */
  takeOver({ balanceMinor, sequence, updatedAt }: Account): void {
    this.balanceMinor = balanceMinor;
    this.sequence = sequence;
    this.updatedAt = updatedAt;
  }

  /** Whether a debit leaves the balance at zero or above. */
  covers(amountMinor: bigint): boolean {
    return this.balanceMinor >= amountMinor;
  }

  /** Whether a credit leaves the balance within what can be kept exactly. */
  canReceive(amountMinor: bigint): boolean {
    return this.balanceMinor + amountMinor <= MINOR_UNITS_MAX;
  }

  /**
   * Moves the balance. To be called under the account's lock alone.
   * @param amountMinor negative for a debit
   * @param at now; an entry is never earlier than the one before it, whatever the clock did, so that
   *   a statement's days and the order of the ledger agree
   * @throws Error where the balance would leave its range: callers ask first
   */
  post(amountMinor: bigint, at: Date): Posting {
    const balanceAfterMinor = this.balanceMinor + amountMinor;
    if (balanceAfterMinor < 0n || balanceAfterMinor > MINOR_UNITS_MAX) {
      throw new Error(`Balance of account ${this.id} would be ${balanceAfterMinor}`);
    }
    this.balanceMinor = balanceAfterMinor;
    this.sequence += 1n;
    this.updatedAt = at > this.updatedAt ? at : this.updatedAt;
    return {
      sequence: this.sequence,
      amountMinor,
      balanceAfterMinor,
      at: this.updatedAt,
    };
  }
}

export const AccountSchema = defineEntity({
  class: Account,
  tableName: 'account',
  properties: {
    id: p.type(UuidColumn).primary(),
    organizationId: p.type(UuidColumn),
    organizationName: p.string().length(140),
    iban: p.string().length(34),
    bic: p.string().length(11),
    currency: p.string().length(3),
    balanceMinor: p.bigint(),
    sequence: p.bigint(),
    createdAt: p.datetime().length(3),
    updatedAt: p.datetime().length(3),
  },
  uniques: [{ name: 'account_iban_unique', properties: ['iban'] }],
  indexes: [{ name: 'account_organization_id_index', properties: ['organizationId'] }],
  checks: [
    {
      name: 'account_balance_minor_check',
      expression: `balance_minor between 0 and ${MINOR_UNITS_MAX}`,
    },
  ],
});
