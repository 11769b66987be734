/**
 * Refusals of operations that would cost too much or are not allowed. A refusal is a value, so that each transport can
 * answer it in its own form. A refused operation has not run, and is not logged as an internal error.
 */
import { HeaderMap } from '@apollo/server';
import type { FastifyReply } from 'fastify';
import { GraphQLError } from 'graphql';
import type { Unavailability } from '../domain/errors.js';

/** The encodings of request bodies, as the Accept-Encoding header of a 415 lists them. */
const ENCODINGS_ACCEPTED = 'gzip';

/** The HTTP status of each code with which a limit or an outage is answered. */
const STATUSES = {
  PAYLOAD_TOO_LARGE: 413,
  UNSUPPORTED_CONTENT_ENCODING: 415,
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
  DOCUMENT_CONFLICT: 400,
  PERSISTED_QUERY_NOT_FOUND: 400,
  PERSISTED_QUERY_ONLY: 400,
  FOREIGN_ORIGIN: 403,
  RATE_LIMITED: 429,
  TOO_MANY_BODIES: 429,
  TOO_MANY_CONNECTIONS: 429,
  TOO_MANY_SUBSCRIPTIONS: 429,
  OVERLOADED: 503,
  UNAVAILABLE: 503,
  OUTCOME_UNKNOWN: 503,
} as const;

export type RefusalCode = keyof typeof STATUSES;

export interface Refusal {
  readonly code: RefusalCode;
  /** A sentence for a human reader. */
  readonly message: string;
  /** The limit that was exceeded, and the requested amount in the limit's unit. */
  readonly limit?: number;
  readonly requested?: number;
  /**
   * Whole seconds after which the same request may succeed; undefined if a repetition is useless or could run it twice.
   */
  readonly retryAfterSeconds?: number;
}

/** Tells whether a result is a refusal. */
export function isRefusal<Result>(result: Result | Refusal): result is Refusal {
  return typeof result === 'object' && result !== null && 'code' in result && 'message' in result;
}

function statusOf({ code }: Refusal): number {
  return STATUSES[code];
}

/** The delay after which a client may retry a request that failed because of the database, in seconds. */
const RETRY_AFTER_OUTAGE_S = 5;

const OUTAGES: Readonly<Record<Unavailability, Pick<Refusal, 'code' | 'message'>>> = {
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
  OUTCOME_UNKNOWN: {
    code: 'OUTCOME_UNKNOWN',
    message:
      'The database did not confirm the commit, so the outcome is unknown. Send a bulk or a credit again with its idempotency key. After any other mutation, check first whether it was done.',
  },
};

/**
 * Returns the refusal of a request during an outage.
 * @param isRepeatable whether the same request may be sent again; if not, generic clients are not asked to retry
 */
export function outageRefusal(
  reason: Unavailability,
  isRepeatable = reason !== 'OUTCOME_UNKNOWN',
): Refusal {
  return { ...OUTAGES[reason], ...(isRepeatable && { retryAfterSeconds: RETRY_AFTER_OUTAGE_S }) };
}

/** Returns a refusal in the form that a stream sends. */
export function graphQLErrorOf({ message, ...extensions }: Refusal): GraphQLError {
  return new GraphQLError(message, { extensions });
}

/** Returns a refusal in the form that Apollo accepts, with the status and headers of the HTTP answer. */
export function httpErrorOf(refusal: Refusal): GraphQLError {
  const error = graphQLErrorOf(refusal);
  error.extensions.http = httpHeadOf(refusal);
  return error;
}

/** Returns the status and the headers of an HTTP answer, in the form that Apollo accepts with an error. */
export function httpHeadOf(refusal: Refusal): { status: number; headers: HeaderMap } {
  const headers = new HeaderMap(Object.entries(headersOf(refusal)));
  return { status: statusOf(refusal), headers };
}

/** An error for code that cannot return a refusal as a value. The server answers both in the same way. */
export class RefusalError extends Error {
  constructor(readonly refusal: Refusal) {
    super(refusal.message);
  }
}

/** Answers a request that reaches no handler. */
export function answerRefusal(reply: FastifyReply, refusal: Refusal): FastifyReply {
  return reply
    .code(statusOf(refusal))
    .headers(headersOf(refusal))
    .send({ errors: [graphQLErrorOf(refusal).toJSON()] });
}

function headersOf({ code, retryAfterSeconds }: Refusal): Record<string, string> {
  return {
    ...(retryAfterSeconds !== undefined && { 'retry-after': String(retryAfterSeconds) }),
    // RFC 9110, 15.5.16.
    ...(code === 'UNSUPPORTED_CONTENT_ENCODING' && { 'accept-encoding': ENCODINGS_ACCEPTED }),
  };
}
