import { defineEntity, p } from '@mikro-orm/core';
import { shortIdOf } from '../domain/id.js';
import { MINOR_UNITS_MAX } from '../domain/money.js';
import { UuidColumn } from './column-types.js';

/** The record of one change of a balance in the ledger. */
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
  /** See shortIdOf. It is stored so that an index finds the account. */
  readonly shortId!: number;
  /**
   * The organization of the account. There is no foreign key, because SQLite cannot add one to an existing table. The
   * verify command checks the reference instead.
   */
  readonly organizationId!: string;
  /** The name of the organization. It is stored here too, because every bulk and event contains it. */
  readonly organizationName!: string;
  readonly iban!: string;
  readonly bic!: string;
  readonly currency!: string;
  balanceMinor!: bigint;
  /** The number of the last ledger entry; 0 before the first entry. */
  sequence!: bigint;
  readonly createdAt!: Date;
  /** The time of the last ledger entry. */
  updatedAt!: Date;

  /** Makes an account with a balance of zero. */
  static open(opening: AccountOpening): Account {
    const { at, ...facts } = opening;
    return Object.assign(new Account(), facts, {
      shortId: shortIdOf(facts.id),
      balanceMinor: 0n,
      sequence: 0n,
      createdAt: at,
      updatedAt: at,
    });
  }

  /** Returns a copy, for postings that may be discarded. */
  copy(): Account {
    return Object.assign(new Account(), this);
  }

  /** Takes over the postings to a copy of this account. */
  takeOver({ balanceMinor, sequence, updatedAt }: Account): void {
    this.balanceMinor = balanceMinor;
    this.sequence = sequence;
    this.updatedAt = updatedAt;
  }

  /** Tells whether a debit leaves the balance at zero or above. */
  covers(amountMinor: bigint): boolean {
    return this.balanceMinor >= amountMinor;
  }

  /** Tells whether a credit leaves the balance within the exact range. */
  canReceive(amountMinor: bigint): boolean {
    return this.balanceMinor + amountMinor <= MINOR_UNITS_MAX;
  }

  /**
   * Changes the balance. Callers must hold the account's lock.
   * @param amountMinor negative for a debit
   * @param at the current time. An entry is never earlier than the entry before it, even if the clock jumped back. A
   *   statement's days therefore agree with the order of the ledger
   * @throws Error if the balance would leave its range; callers check this first
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
    shortId: p.integer().unsigned(),
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
  uniques: [
    { name: 'account_short_id_unique', properties: ['shortId'] },
    { name: 'account_iban_unique', properties: ['iban'] },
  ],
  indexes: [{ name: 'account_organization_id_index', properties: ['organizationId'] }],
  checks: [
    {
      name: 'account_balance_minor_check',
      expression: `balance_minor between 0 and ${MINOR_UNITS_MAX}`,
    },
  ],
});
