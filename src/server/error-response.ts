/**
 * Responses to operations that cost too much or are not allowed. An error response is a value, so that each transport
 * can send it in its own form. A refused operation has not run, and is not logged as an internal error.
 */
import { HeaderMap } from '@apollo/server';
import type { FastifyReply } from 'fastify';
import { GraphQLError } from 'graphql';
import type { Unavailability } from '../domain/errors.js';
import type { Problem } from '../domain/problem.js';

/** The encodings of request bodies, as the Accept-Encoding header of a 415 lists them. */
const ENCODINGS_ACCEPTED = 'gzip';

/** The HTTP status of each code with which a limit is answered. */
const LIMIT_STATUSES = {
  PAYLOAD_TOO_LARGE: 413,
  JSON_TOO_DEEP: 400,
  JSON_TOO_MANY_VALUES: 400,
  OPERATION_TOO_LARGE: 400,
  NAME_TOO_LONG: 400,
  ANSWER_TOO_LARGE: 400,
  TOO_MANY_TOKENS: 400,
  TOO_MANY_SELECTIONS: 400,
  TOO_MANY_ROOT_FIELDS: 400,
  TOO_MANY_ALIASES: 400,
  TOO_MANY_DIRECTIVES: 400,
  TOO_DEEP: 400,
  TOO_EXPENSIVE: 400,
  RATE_LIMITED: 429,
  TOO_MANY_BODIES: 429,
  TOO_MANY_CONNECTIONS: 429,
  TOO_MANY_SUBSCRIPTIONS: 429,
  TOO_MANY_EXPORTS: 429,
  TOO_MANY_IMPORTS: 429,
  OVERLOADED: 503,
} as const;

/** The HTTP status of each code with which a limit, an outage or a rule of access is answered. */
const STATUSES = {
  ...LIMIT_STATUSES,
  UNSUPPORTED_CONTENT_ENCODING: 415,
  DOCUMENT_CONFLICT: 400,
  PERSISTED_QUERY_NOT_FOUND: 400,
  PERSISTED_QUERY_ONLY: 400,
  FOREIGN_ORIGIN: 403,
  BAD_USER_INPUT: 400,
  FORBIDDEN: 403,
  ACCOUNT_NOT_FOUND: 404,
  INVALID_INPUT: 422,
  IDEMPOTENCY_KEY_REUSED: 422,
  IMPORT_IN_PROGRESS: 409,
  LINK_INVALID: 403,
  NOT_FOUND: 404,
  LINK_EXPIRED: 410,
  ROWS_DELETED: 410,
  UNAVAILABLE: 503,
  OUTCOME_UNKNOWN: 503,
} as const;

export type ErrorResponseCode = keyof typeof STATUSES;

/** Tells whether a code is that of a limit on operations. */
export function isLimitCode(code: string): boolean {
  return Object.hasOwn(LIMIT_STATUSES, code);
}

export interface ErrorResponse {
  readonly code: ErrorResponseCode;
  /** A sentence for a human reader. */
  readonly message: string;
  /** The limit that was exceeded, and the requested amount in the limit's unit. */
  readonly limit?: number;
  readonly requested?: number;
  /** The problems of an input. */
  readonly problems?: readonly Problem[];
  /**
   * Whole seconds after which the same request may succeed; undefined if a repetition is useless or could run it twice.
   */
  readonly retryAfterSeconds?: number;
}

/** Tells whether a result is an error response. */
export function isErrorResponse<Result>(result: Result | ErrorResponse): result is ErrorResponse {
  return typeof result === 'object' && result !== null && 'code' in result && 'message' in result;
}

function statusOf({ code }: ErrorResponse): number {
  return STATUSES[code];
}

/** The delay after which a client may retry a request that failed because of the database, in seconds. */
const RETRY_AFTER_OUTAGE_S = 5;

const OUTAGES: Readonly<Record<Unavailability, Pick<ErrorResponse, 'code' | 'message'>>> = {
  DATABASE_AWAY: {
    code: 'UNAVAILABLE',
    message: 'The database is unreachable, and nothing was done: try again.',
  },
  DATABASE_READ_ONLY: {
    code: 'UNAVAILABLE',
    message: 'The database accepts no writes, and nothing was done: try again.',
  },
  DATABASE_FULL: {
    code: 'UNAVAILABLE',
    message: 'The database has no space left, and nothing was done: try again.',
  },
  DATABASE_ACCESS_DENIED: {
    code: 'UNAVAILABLE',
    message: 'The database user of this server lacks a privilege, and nothing was done: try again.',
  },
  DATABASE_INCOMPLETE: {
    code: 'UNAVAILABLE',
    message: 'The database lacks a table or a column, and nothing was done: try again.',
  },
  STATEMENT_FAILED: {
    code: 'UNAVAILABLE',
    message: 'The database could not finish a statement, and nothing was done: try again.',
  },
  CLOCK_SKEW: {
    code: 'UNAVAILABLE',
    message: 'The clock of this server is wrong, and nothing was done: try again.',
  },
  BROKER_AWAY: {
    code: 'UNAVAILABLE',
    message: 'RabbitMQ is unreachable. Each dead letter that was not sent is kept: try again.',
  },
  OUTCOME_UNKNOWN: {
    code: 'OUTCOME_UNKNOWN',
    message:
      'The database did not confirm the commit, so the outcome is unknown. Send a bulk or a credit again with its idempotency key. After any other mutation, check first whether it was done.',
  },
};

/**
 * Returns the response to a request during an outage.
 * @param isRepeatable whether the same request may be sent again; if not, generic clients are not asked to retry
 */
export function outageResponse(
  reason: Unavailability,
  isRepeatable = reason !== 'OUTCOME_UNKNOWN',
): ErrorResponse {
  return { ...OUTAGES[reason], ...(isRepeatable && { retryAfterSeconds: RETRY_AFTER_OUTAGE_S }) };
}

/** Returns an error response in the form that a stream sends. */
export function graphQLErrorOf({ message, ...extensions }: ErrorResponse): GraphQLError {
  return new GraphQLError(message, { extensions });
}

/** Returns an error response in the form that Apollo accepts, with the status and headers of the HTTP answer. */
export function httpErrorOf(response: ErrorResponse): GraphQLError {
  const error = graphQLErrorOf(response);
  error.extensions.http = httpHeadOf(response);
  return error;
}

/** Returns the status and the headers of an HTTP answer, in the form that Apollo accepts with an error. */
export function httpHeadOf(response: ErrorResponse): { status: number; headers: HeaderMap } {
  const headers = new HeaderMap(Object.entries(headersOf(response)));
  return { status: statusOf(response), headers };
}

/** An error for code that cannot return an error response as a value. The server answers both in the same way. */
export class RequestError extends Error {
  constructor(readonly response: ErrorResponse) {
    super(response.message);
  }
}

/** Answers a request that reaches no handler. */
export function sendErrorResponse(reply: FastifyReply, response: ErrorResponse): FastifyReply {
  return reply
    .code(statusOf(response))
    .headers(headersOf(response))
    .send({ errors: [graphQLErrorOf(response).toJSON()] });
}

function headersOf({ code, retryAfterSeconds }: ErrorResponse): Record<string, string> {
  return {
    ...(retryAfterSeconds !== undefined && { 'retry-after': String(retryAfterSeconds) }),
    // RFC 9110, 15.5.16.
    ...(code === 'UNSUPPORTED_CONTENT_ENCODING' && { 'accept-encoding': ENCODINGS_ACCEPTED }),
  };
}
