import {
  AbandonedError,
  BadUserInputError,
  DomainError,
  ForbiddenError,
  UnavailableError,
} from '../domain/errors.js';
import type { AuditedAction, AuditedOutcomeCode } from '../entities/audit-entry.entity.js';
import type { RequestContext } from './context.js';
import { presentRejection, type RejectionType } from './present-rejection.js';

/** What a mutation came to. */
export interface Audited<Answer> {
  readonly answer: Answer;
  /** Whether it had been done before: what is done anew is audited in its own commit. */
  readonly replayed?: boolean;
  readonly accountId?: string;
  readonly subjectId?: string;
}

/**
 * Runs a mutation. What it throws as a business outcome becomes a member of its union; what was refused,
 * or had been done before, is noted in the audit log before it is answered.
 */
export async function audited<Answer>(
  { audit, origin }: RequestContext,
  action: AuditedAction,
  work: () => Promise<Audited<Answer>>,
): Promise<Answer | RejectionType> {
  try {
    const { answer, replayed = false, accountId, subjectId } = await work();
    if (replayed) await audit.note(origin, { action, outcome: 'REPLAYED', accountId, subjectId });
    return answer;
  } catch (error) {
    // Nothing was done or refused, and the audit log is in the database that is unavailable.
    if (error instanceof UnavailableError && error.reason !== 'OUTCOME_UNKNOWN') throw error;
    await audit.note(origin, { action, outcome: outcomeOf(error) });
    if (error instanceof DomainError) return presentRejection(error.rejection);
    throw error;
  }
}

function outcomeOf(error: unknown): AuditedOutcomeCode {
  if (error instanceof DomainError) return error.rejection.code;
  if (error instanceof ForbiddenError) return 'FORBIDDEN';
  if (error instanceof AbandonedError) return 'ABANDONED';
  // Of a mistake of ours, or a commit that failed, nobody can say what became of it.
  return error instanceof BadUserInputError ? 'BAD_USER_INPUT' : 'UNKNOWN';
}
