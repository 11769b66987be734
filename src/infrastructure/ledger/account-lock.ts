import { LockMode } from '@mikro-orm/core';
import type { EntityManager } from '@mikro-orm/sql';
import { Account } from '../../entities/account.entity.js';

/** What becomes of an account that another transaction has locked. */
export type WhenLocked = 'skip' | 'wait';

/**
 * Locks accounts and reads them as they are under the lock: the only lock on balances. It is the
 * first statement of its transaction, and always in ascending order of id, so that two units of work
 * never wait for each other. SQLite has no row locks and needs none: see its dialect.
 * @returns those that it got, by id
 * @throws Error where it waits and an account does not exist: callers looked it up, and accounts are
 *   never deleted
 */
export async function lockAccounts(
  em: EntityManager,
  accountIds: readonly string[],
  whenLocked: WhenLocked,
): Promise<ReadonlyMap<string, Account>> {
  const ids = [...accountIds].sort();
  if (ids.length === 0) return new Map();
  const accounts = await em.find(
    Account,
    { id: { $in: ids } },
    {
      lockMode:
        whenLocked === 'skip' ? LockMode.PESSIMISTIC_PARTIAL_WRITE : LockMode.PESSIMISTIC_WRITE,
      orderBy: { id: 'asc' },
      refresh: true,
    },
  );
  if (whenLocked === 'wait' && accounts.length !== ids.length) {
    throw new Error('An account to lock does not exist');
  }
  return new Map(accounts.map((account) => [account.id, account]));
}
