/**
 * Performs a bulk once, for any number of attempts. Every attempt has the same idempotency key. The server performs
 * the bulk with the first attempt that reaches it, and answers the other attempts with the same bulk. A permanent
 * outcome is never retried: refused rows, insufficient funds, a key in use.
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

/** The default number of attempts for one bulk or file. They take about 30 seconds. */
export const ATTEMPTS_MAX = 8;

/** A member of the union. `__typename` tells the members apart. */
export type PerformResult = PerformBulkTransferMutation['performBulkTransfer'];

export interface PerformOptions {
  /**
   * The idempotency key. Without a key, each call makes its own key, so a second call pays again. Store a key with
   * the bulk and give it here, to perform the bulk again after an error or a crash of your own.
   */
  readonly key?: string;
  readonly signal?: AbortSignal;
  /** The number of attempts. The default is 8, over about 30 seconds. */
  readonly attemptsMax?: number;
}

/**
 * @throws VirementError if there is no result. The error has the `idempotencyKey`, and `isOutcomeUnknown` if the bulk
 *   may have been performed
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
  const giveUp = (cause: VirementError) =>
    givenUp(cause, { idempotencyKey, isOutcomeUnknown }, DOUBT);
  for (let attempt = 1; ; attempt += 1) {
    const result = await attemptOnce(connection, variables, signal);
    const isAnswer = !(result instanceof VirementError);
    if (isAnswer && result.__typename !== 'AccountBusy') return result;
    const error = isAnswer ? new VirementError('ACCOUNT_BUSY', result.message) : result;
    isOutcomeUnknown ||= error.isOutcomeUnknown;
    if (attempt >= attemptsMax) {
      // An earlier attempt without an answer may be the reason why the account is busy.
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

/** @returns an error instead of throwing it */
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

const DOUBT = 'The bulk may have been performed: perform it again with the same key.';

/** Returns the delay before the next attempt. @throws VirementError if there is none */
export function delayAfter(
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

/** Returns the error of a request that is given up, with everything that its caller needs to send it again. */
export function givenUp(
  cause: VirementError,
  known: { readonly idempotencyKey: string; readonly isOutcomeUnknown: boolean },
  doubt: string,
): VirementError {
  const { code, message, status, retryAfterMs, requestId, problems } = cause;
  const details = { status, retryAfterMs, requestId, problems, cause, ...known };
  return new VirementError(code, known.isOutcomeUnknown ? `${message} ${doubt}` : message, details);
}
