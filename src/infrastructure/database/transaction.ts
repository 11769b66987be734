/**
 * Transaction boundaries. If a statement before the COMMIT fails, nothing was done. If the COMMIT fails, the
 * transaction may have been committed, and only the error of the COMMIT can tell that it was not.
 */
import { DeadlockException, LockWaitTimeoutException } from '@mikro-orm/core';
import type { EntityManager, MikroORM } from '@mikro-orm/sql';
import { UnavailableError } from '../../domain/errors.js';
import { isCertainlyRolledBack, throwUnavailable } from './unavailability.js';

/**
 * Runs work in a transaction of its own.
 * @throws UnavailableError OUTCOME_UNKNOWN if it is unknown whether the transaction was committed; after any other
 *   error nothing was done
 */
export async function inTransaction<Result>(
  em: EntityManager,
  work: (em: EntityManager) => Promise<Result>,
): Promise<Result> {
  let result: Result;
  try {
    await em.begin();
    result = await work(em);
    await em.flush();
  } catch (error) {
    await rollBack(em);
    return throwUnavailable(error);
  }
  await commit(em).catch(throwUnavailable);
  return result;
}

/** Runs statements without results in a transaction of their own. */
export function writeInTransaction(
  { em }: Pick<MikroORM, 'em'>,
  statements: readonly string[],
): Promise<void> {
  return inTransaction(em.fork(), async (inside) => {
    for (const statement of statements) await inside.execute(statement);
  });
}

/**
 * Commits a transaction whose entities have been flushed.
 * @throws UnavailableError OUTCOME_UNKNOWN if it is unknown whether the transaction was committed; after any other
 *   error it was rolled back
 */
export async function commit(em: EntityManager): Promise<void> {
  try {
    await em.commit();
  } catch (cause) {
    await rollBack(em);
    // MikroORM converts only the errors of statements. Galera detects deadlocks at the COMMIT.
    const error = em.getPlatform().getExceptionConverter().convertException(errorOf(cause));
    const isContention =
      error instanceof DeadlockException || error instanceof LockWaitTimeoutException;
    if (isContention || isCertainlyRolledBack(error)) throw error;
    throw new UnavailableError('OUTCOME_UNKNOWN', { cause: error });
  }
}

/** Tells whether an error means that a transaction may have been committed. */
export function isOutcomeUnknown(error: unknown): error is UnavailableError {
  return error instanceof UnavailableError && error.reason === 'OUTCOME_UNKNOWN';
}

/**
 * Rolls back, and ignores an error of the rollback so that it never replaces the original error. A connection that is
 * disconnected has rolled back by itself.
 */
export async function rollBack(em: EntityManager): Promise<void> {
  await em.rollback().catch(() => {});
}

function errorOf(cause: unknown): Error {
  return cause instanceof Error ? cause : new Error(String(cause));
}
