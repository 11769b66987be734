/**
 * The border of a transaction: a statement that fails before the COMMIT has done nothing; a COMMIT that fails may
 * have been done, and only its own error can tell that it was not.
 */
import { DeadlockException, LockWaitTimeoutException } from '@mikro-orm/core';
import type { EntityManager } from '@mikro-orm/sql';
import { UnavailableError } from '../../domain/errors.js';
import { isCertainlyRolledBack, throwUnavailable } from './unavailability.js';

/**
 * Runs work in a transaction of its own.
 * @throws UnavailableError OUTCOME_UNKNOWN where it is unknown whether it was committed; after anything else nothing was
 *   done
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

/**
 * Commits a transaction whose entities have been flushed.
 * @throws UnavailableError OUTCOME_UNKNOWN where it is unknown whether it was committed; after anything else it was
 *   rolled back
 */
export async function commit(em: EntityManager): Promise<void> {
  try {
    await em.commit();
  } catch (cause) {
    await rollBack(em);
    // MikroORM converts the errors of statements alone. Galera finds deadlocks when it commits.
    const error = em.getPlatform().getExceptionConverter().convertException(errorOf(cause));
    const isContention =
      error instanceof DeadlockException || error instanceof LockWaitTimeoutException;
    if (isContention || isCertainlyRolledBack(error)) throw error;
    throw new UnavailableError('OUTCOME_UNKNOWN', { cause: error });
  }
}

/** Tells whether an error says that a transaction may have been committed. */
export function isOutcomeUnknown(error: unknown): error is UnavailableError {
  return error instanceof UnavailableError && error.reason === 'OUTCOME_UNKNOWN';
}

/** Never in place of the error that led to it: a connection that is gone has rolled back by itself. */
export async function rollBack(em: EntityManager): Promise<void> {
  await em.rollback().catch(() => {});
}

function errorOf(cause: unknown): Error {
  return cause instanceof Error ? cause : new Error(String(cause));
}
