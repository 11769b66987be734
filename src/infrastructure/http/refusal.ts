/**
 * Refusals of what would cost too much, or is not allowed to be asked: values, so that each transport can
 * answer them in its own form. Nothing was run, and nothing is logged as a mistake of ours.
 */
import { HeaderMap } from '@apollo/server';
import type { FastifyReply } from 'fastify';
import { GraphQLError } from 'graphql';

/** Every code that a limit answers with, and its HTTP status. */
const STATUSES = {
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
  DOCUMENT_CONFLICT: 400,
  PERSISTED_QUERY_NOT_FOUND: 400,
  PERSISTED_QUERY_ONLY: 400,
  FOREIGN_ORIGIN: 403,
  RATE_LIMITED: 429,
  TOO_MANY_BODIES: 429,
  TOO_MANY_CONNECTIONS: 429,
  TOO_MANY_SUBSCRIPTIONS: 429,
  OVERLOADED: 503,
} as const;

export type RefusalCode = keyof typeof STATUSES;

export interface Refusal {
  readonly code: RefusalCode;
  /** A sentence for a person. */
  readonly message: string;
  /** The limit that was passed, and what was asked for, in the limit's own unit. */
  readonly limit?: number;
  readonly requested?: number;
  /** Whole seconds after which the same may pass. */
  readonly retryAfterSeconds?: number;
}

/** Whether a limit refused what would otherwise be a result. */
export function isRefusal<Result>(result: Result | Refusal): result is Refusal {
  return typeof result === 'object' && result !== null && 'code' in result && 'message' in result;
}

export function statusOf({ code }: Refusal): number {
  return STATUSES[code];
}

/** As a stream answers it. */
export function graphQLErrorOf({ message, ...extensions }: Refusal): GraphQLError {
  return new GraphQLError(message, { extensions });
}

/** As Apollo takes it: with the status and headers of the HTTP answer. */
export function httpErrorOf(refusal: Refusal): GraphQLError {
  const error = graphQLErrorOf(refusal);
  const headers = new HeaderMap(Object.entries(headersOf(refusal)));
  error.extensions.http = { status: statusOf(refusal), headers };
  return error;
}

/** A refusal where a value can't be given back; answered like one. */
export class RefusalError extends Error {
  constructor(readonly refusal: Refusal) {
    super(refusal.message);
  }
}

/** Answers a request that no handler will see. */
export function answerRefusal(reply: FastifyReply, refusal: Refusal): FastifyReply {
  return reply
    .code(statusOf(refusal))
    .headers(headersOf(refusal))
    .send({ errors: [graphQLErrorOf(refusal).toJSON()] });
}

function headersOf({ retryAfterSeconds }: Refusal): Record<string, string> {
  return retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) };
}
