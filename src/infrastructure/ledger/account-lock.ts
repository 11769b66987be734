import { LockMode } from '@mikro-orm/core';
import type { EntityManager } from '@mikro-orm/sql';
import { Account } from '../../entities/account.entity.js';

/** The behaviour for an account that another transaction has locked. */
export type WhenLocked = 'skip' | 'wait';

/**
 * Locks accounts and reads their state under the lock. This is the only lock on balances. It is the first statement
 * of its transaction, and locks in ascending order of id, so two units of work never deadlock. SQLite has no row
 * locks and needs none: see its dialect.
 * @returns the locked accounts, by id
 * @throws Error if the call waits for locks and an account does not exist. Callers looked the accounts up, and
 *   accounts are never deleted
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
