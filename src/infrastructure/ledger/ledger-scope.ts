import { type FilterQuery, raw } from '@mikro-orm/core';
import type { OrganizationScope } from '../../domain/caller.js';
import { isId } from '../../domain/id.js';
import { idLiteral } from '../database/id-literal.js';

/** A condition on the rows of one account, for MikroORM and for plain SQL. */
export interface AccountRows {
  readonly where: object;
  /** The condition in plain SQL. It names the column account_id and needs no parameters. */
  readonly sql: string;
  /** The part of it that depends on the account alone. */
  readonly isVisibleSql: string;
}

/** Conditions that limit a statement to the organizations of a caller. A scope of all organizations adds none. */
export class LedgerScope {
  /** The ids of the organizations; undefined for all organizations. */
  readonly #ids: string[] | undefined;
  /** The condition on accounts in plain SQL. A text with the shape of an id needs no escaping. */
  readonly #accountsSql: string;

  constructor(organizations: OrganizationScope) {
    this.#ids = organizations === 'all' ? undefined : organizations.filter(isId);
    this.#accountsSql = `organization_id in (${['null', ...(this.#ids ?? []).map(idLiteral)].join(',')})`;
  }

  get includesAll(): boolean {
    return this.#ids === undefined;
  }

  get accounts(): { organizationId?: { $in: string[] } } {
    return this.#ids ? { organizationId: { $in: this.#ids } } : {};
  }

  get organizations(): { id?: { $in: string[] } } {
    return this.#ids ? { id: { $in: this.#ids } } : {};
  }

  /**
   * Limits a condition on rows of any account, by a join with the account. The relation is mapped to its key, so
   * MikroORM's types do not know that it can be joined.
   */
  ofAnyAccount<Row>(where: object): FilterQuery<Row> {
    const account = this.#ids ? { accountId: this.accounts } : {};
    return { ...where, ...account } as FilterQuery<Row>;
  }

  /**
   * Returns the condition on the rows of one account. A subquery that does not depend on the row looks up the
   * account's organization. The database therefore evaluates the subquery once, and uses the same index as without
   * it.
   */
  ofAccount(accountId: string): AccountRows {
    const id = idLiteral(accountId);
    const sql = `account_id = ${id}`;
    if (!this.#ids) return { where: { accountId }, sql, isVisibleSql: '1 = 1' };
    const isVisibleSql = `exists (select 1 from account where id = ${id} and ${this.#accountsSql})`;
    const where = { accountId, [raw(isVisibleSql)]: [] };
    return { where, sql: `${sql} and ${isVisibleSql}`, isVisibleSql };
  }
}
