import {
  AbandonedError,
  BadUserInputError,
  DomainError,
  ForbiddenError,
  UnavailableError,
} from '../domain/errors.js';
import type { AuditedOutcomeCode, MutationName } from '../domain/kinds.js';
import { mayAnswer, type RejectionCodeOf, rolesFor } from '../domain/mutations.js';
import type { UserErrorTypes } from '../schema/user-errors.js';
import { type RequestContext, requireRole } from './context.js';
import { presentRejection } from './present-rejection.js';

/** The answer of a mutation, and the facts for its audit entry. */
export interface Audited<Answer> {
  readonly answer: Answer;
  /** Tells whether an earlier request made the change. A change that is made now is audited in its own commit. */
  readonly replayed?: boolean;
  readonly accountId?: string;
  readonly subjectId?: string;
}

/**
 * Runs a mutation for a caller who has its role. A rejection that the mutation declares becomes a member of its
 * union. Any other rejection is a programming error and is thrown again. A mutation that was refused or replayed is
 * recorded in the audit log before it is answered.
 */
export async function audited<Name extends MutationName, Answer>(
  context: RequestContext,
  action: Name,
  work: () => Promise<Audited<Answer>>,
): Promise<Answer | UserErrorTypes[RejectionCodeOf<Name>]> {
  const { audit, source } = context;
  try {
    requireRole(context, ...rolesFor(action));
    const { answer, replayed = false, accountId, subjectId } = await work();
    if (replayed) await audit.note(source, { action, outcome: 'REPLAYED', accountId, subjectId });
    return answer;
  } catch (error) {
    // Nothing was refused, and what was done is audited in its own commit. The audit log is in the same database, which is
    // usually what is unavailable.
    if (error instanceof UnavailableError && error.reason !== 'OUTCOME_UNKNOWN') throw error;
    await audit.note(source, { action, outcome: outcomeOf(error) });
    if (error instanceof DomainError && mayAnswer(action, error.rejection)) {
      context.noteRefusal(error.rejection.code);
      return presentRejection<RejectionCodeOf<Name>>(error.rejection);
    }
    throw error;
  }
}

function outcomeOf(error: unknown): AuditedOutcomeCode {
  if (error instanceof DomainError) return error.rejection.code;
  if (error instanceof ForbiddenError) return 'FORBIDDEN';
  if (error instanceof AbandonedError) return 'ABANDONED';
  // After a programming error or a failed commit, nobody can tell whether the mutation was done.
  return error instanceof BadUserInputError ? 'BAD_USER_INPUT' : 'UNKNOWN';
}
