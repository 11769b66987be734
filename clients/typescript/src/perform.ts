/**
 * Performs a bulk once, whatever happens on the way. Every attempt has the same idempotency key, so the
 * server performs the bulk with the first attempt that reaches it, and answers the others with the same
 * bulk. What is definite is never tried again: a refusal of the rows, a lack of money, a key in use.
 */
import { sleep } from './backoff.js';
import type { Connection } from './connection.js';
import { VirementError } from './errors.js';
import {
  PerformBulkTransferDocument,
  type PerformBulkTransferInput,
  type PerformBulkTransferMutation,
} from './generated/graphql.js';
import { request } from './request.js';

/** Attempts of one bulk, by default: some 30 seconds. */
const ATTEMPTS_MAX = 8;

/** A member of the union, told apart by `__typename`. */
export type PerformResult = PerformBulkTransferMutation['performBulkTransfer'];

export interface PerformOptions {
  /**
   * Made by each call where absent, so a second call without it pays again. Give a key that you have stored with the bulk, to
   * perform again after an error or a crash of your own.
   */
  readonly key?: string;
  readonly signal?: AbortSignal;
  /** Default: 8, over some 30 seconds. */
  readonly attemptsMax?: number;
}

/**
 * @throws VirementError where there is no result; it has the `idempotencyKey`, and `isOutcomeUnknown`
 *   where the bulk may have been performed
 */
export async function perform(
  connection: Connection,
  input: PerformBulkTransferInput,
  { key, signal, attemptsMax = ATTEMPTS_MAX }: PerformOptions = {},
): Promise<PerformResult> {
  const idempotencyKey = key ?? input.idempotencyKey ?? crypto.randomUUID();
  const variables = { input: { ...input, idempotencyKey } };
  const policy = connection.newRetryPolicy();
  let isOutcomeUnknown = false;
  const giveUp = (cause: VirementError) => givenUp(cause, { idempotencyKey, isOutcomeUnknown });
  for (let attempt = 1; ; attempt += 1) {
    const result = await attemptOnce(connection, variables, signal);
    const isAnswer = !(result instanceof VirementError);
    if (isAnswer && result.__typename !== 'AccountBusy') return result;
    const error = isAnswer ? new VirementError('ACCOUNT_BUSY', result.message) : result;
    isOutcomeUnknown ||= error.isOutcomeUnknown;
    if (attempt >= attemptsMax) {
      // An earlier attempt without an answer may be the one that keeps the account busy.
      if (isAnswer && !isOutcomeUnknown) return result;
      throw giveUp(error);
    }
    const delayMs = delayAfter(policy, error, giveUp);
    connection.onRetry(error, delayMs);
    await sleep(delayMs, signal);
    if (signal?.aborted) {
      throw giveUp(
        new VirementError('ABORTED', 'The bulk was aborted between two attempts.', {
          isOutcomeUnknown,
        }),
      );
    }
  }
}

/** @returns an error in place of throwing it */
async function attemptOnce(
  connection: Connection,
  variables: { readonly input: PerformBulkTransferInput },
  signal: AbortSignal | undefined,
): Promise<PerformResult | VirementError> {
  try {
    const data = await request(connection, PerformBulkTransferDocument, variables, signal);
    return data.performBulkTransfer;
  } catch (error) {
    if (error instanceof VirementError) return error;
    throw error;
  }
}

type GiveUp = (cause: VirementError) => VirementError;

function delayAfter(
  policy: ReturnType<Connection['newRetryPolicy']>,
  error: VirementError,
  giveUp: GiveUp,
): number {
  try {
    return policy.delayAfter(error);
  } catch {
    throw giveUp(error);
  }
}

function givenUp(
  cause: VirementError,
  known: { readonly idempotencyKey: string; readonly isOutcomeUnknown: boolean },
): VirementError {
  const { code, message, status, retryAfterMs, requestId } = cause;
  const doubt = known.isOutcomeUnknown
    ? ' The bulk may have been performed: perform it again with the same key.'
    : '';
  const details = { status, retryAfterMs, requestId, cause, ...known };
  return new VirementError(code, `${message}${doubt}`, details);
}
