/** The errors between this client and a server: one class, with a code for each error. */

/** The codes of this client. All other codes are the server's `extensions.code`. */
export type ClientErrorCode =
  /** No answer, an incomplete answer, or no answer in time. */
  | 'NETWORK_ERROR'
  /** The server ended a subscription's connection. */
  | 'STREAM_ENDED'
  /** The function that returns tokens threw an error. */
  | 'TOKEN_UNAVAILABLE'
  /** The server does not speak the protocol, or reports that this client does not. */
  | 'PROTOCOL_ERROR'
  /** The answer is not from Virement, but for example from a proxy; see `status`. */
  | 'HTTP_ERROR'
  /** The signal was aborted. */
  | 'ABORTED'
  /** The account lock was not acquired in any attempt. */
  | 'ACCOUNT_BUSY';

/** The server's codes for temporary errors. The same request is sent again. */
const RETRYABLE_CODES: ReadonlySet<string> = new Set([
  'NETWORK_ERROR',
  'STREAM_ENDED',
  'TOKEN_UNAVAILABLE',
  'ACCOUNT_BUSY',
  'RATE_LIMITED',
  'TOO_MANY_BODIES',
  'TOO_MANY_CONNECTIONS',
  'TOO_MANY_SUBSCRIPTIONS',
  'TOO_MANY_OPERATIONS',
  'TOO_MANY_IMPORTS',
  'IMPORT_IN_PROGRESS',
  'OVERLOADED',
  'UNAVAILABLE',
  'OUTCOME_UNKNOWN',
  'TIMEOUT',
  'REQUEST_TIMEOUT',
  'ABANDONED',
  'INTERNAL_SERVER_ERROR',
]);

/** The codes after which it is unknown whether a mutation was done. */
const DOUBTFUL_CODES: ReadonlySet<string> = new Set([
  'NETWORK_ERROR',
  'ABORTED',
  'OUTCOME_UNKNOWN',
  'TIMEOUT',
  'ABANDONED',
  'INTERNAL_SERVER_ERROR',
]);

const TOO_MANY_REQUESTS = 429;
const SERVER_ERROR_MIN = 500;

/** A problem of an input or a file, with the code INVALID_INPUT. */
export interface InputProblem {
  /** The row, from 0; absent if the problem is not that of a row. */
  readonly index?: number;
  readonly field: string;
  readonly code: string;
  readonly message: string;
}

export interface VirementErrorDetails {
  /** The HTTP status, if there was an answer. */
  readonly status?: number | undefined;
  /** The time in milliseconds after which the server accepts the same request. */
  readonly retryAfterMs?: number | undefined;
  /** The id of the request. The server's log contains it, so operators can look the request up. */
  readonly requestId?: string | undefined;
  /** The key with which to perform the same bulk, or import the same file, again. */
  readonly idempotencyKey?: string | undefined;
  readonly isOutcomeUnknown?: boolean | undefined;
  readonly problems?: readonly InputProblem[] | undefined;
  readonly cause?: unknown;
}

/** A request or a subscription that failed. Business outcomes are members of a union, not errors. */
export class VirementError extends Error {
  override readonly name = 'VirementError';
  /** The server's `extensions.code`, or one of `ClientErrorCode`. */
  readonly code: string;
  readonly status: number | undefined;
  readonly retryAfterMs: number | undefined;
  readonly requestId: string | undefined;
  readonly idempotencyKey: string | undefined;
  /** True if a mutation may have been done. Send the mutation again with the same key. */
  readonly isOutcomeUnknown: boolean;
  /** The problems of an input with the code INVALID_INPUT; empty with every other code. */
  readonly problems: readonly InputProblem[];

  constructor(code: string, message: string, details: VirementErrorDetails = {}) {
    super(message, { cause: details.cause });
    this.code = code;
    this.status = details.status;
    this.retryAfterMs = details.retryAfterMs;
    this.requestId = details.requestId;
    this.idempotencyKey = details.idempotencyKey;
    this.problems = details.problems ?? [];
    this.isOutcomeUnknown =
      details.isOutcomeUnknown ??
      (DOUBTFUL_CODES.has(code) || (code === 'HTTP_ERROR' && isServerError(details.status)));
  }

  /** True if the same request may succeed later. */
  get isRetryable(): boolean {
    if (this.code !== 'HTTP_ERROR') return RETRYABLE_CODES.has(this.code);
    return this.status === TOO_MANY_REQUESTS || isServerError(this.status);
  }
}

function isServerError(status = 0): boolean {
  return status >= SERVER_ERROR_MIN;
}

/** An item of `errors` in an answer. */
export interface GraphQLErrorLike {
  readonly message: string;
  readonly extensions?: Readonly<Record<string, unknown>> | undefined;
}

/** Makes an error from the first error in a server's answer. */
export function errorOf(
  { message, extensions = {} }: GraphQLErrorLike,
  details: VirementErrorDetails = {},
): VirementError {
  const { code, requestId, retryAfterSeconds, problems } = extensions;
  const allDetails: VirementErrorDetails = {
    ...details,
    ...(typeof retryAfterSeconds === 'number' && { retryAfterMs: retryAfterSeconds * 1_000 }),
    ...(typeof requestId === 'string' && { requestId }),
    ...(Array.isArray(problems) && { problems: problems as InputProblem[] }),
  };
  if (code === 'UNKNOWN_CURSOR')
    return new VirementError(code, `${message} ${START_AGAIN}`, allDetails);
  return new VirementError(typeof code === 'string' ? code : 'PROTOCOL_ERROR', message, allDetails);
}

const START_AGAIN =
  'This cursor cannot be resumed. Discard it and everything that was derived from it. ' +
  'Then page through the list again, and follow from its newest cursor.';

/** Makes an error from any value that a network or a library threw. */
export function networkErrorOf(cause: unknown): VirementError {
  if (cause instanceof VirementError) return cause;
  const reason = cause instanceof Error ? cause.message : 'no connection';
  return new VirementError('NETWORK_ERROR', `The server cannot be reached: ${reason}`, { cause });
}
