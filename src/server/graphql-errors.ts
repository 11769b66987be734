/**
 * Errors in the form that clients see. Errors of this server that a client can correct keep their message and have a
 * code. Every unexpected error is masked, and logged with the request id that the client gets.
 */
import type { ApolloServerPlugin, GraphQLRequestContextDidEncounterErrors } from '@apollo/server';
import { unwrapResolverError } from '@apollo/server/errors';
import {
  GraphQLError,
  type GraphQLFormattedError,
  Kind,
  type OperationDefinitionNode,
  OperationTypeNode,
} from 'graphql';
import {
  AbandonedError,
  BadUserInputError,
  ForbiddenError,
  type Unavailability,
  UnavailableError,
  UnknownCursorError,
} from '../domain/errors.js';
import { isOutage, unavailabilityOf } from '../infrastructure/database/unavailability.js';
import type { Logger } from '../infrastructure/observability/logger.js';
import { currentRequestId } from '../infrastructure/observability/request-scope.js';
import type { RequestContext } from '../resolvers/context.js';
import { assertHeaderHasOneMutation, isRepeatable } from '../resolvers/idempotency-key.js';
import { type ErrorResponse, httpHeadOf, outageResponse } from './error-response.js';
import { fragmentsOf } from './limits/operation-shape.js';

const INTERNAL_SERVER_ERROR = 'INTERNAL_SERVER_ERROR';

/** The code of a statement that the database ended because of the server's statement timeout. */
const TIMEOUT = 'TIMEOUT';

/** Returns the error that a client gets for an internal error. */
export function maskedError(requestId: string): GraphQLFormattedError {
  return {
    message: 'The server failed unexpectedly; its log has the cause under this requestId.',
    extensions: { code: INTERNAL_SERVER_ERROR, requestId },
  };
}

/** Returns the error that replaces an error whose message is not for clients; undefined if the message may be shown. */
function maskOf(code: unknown, requestId: string): GraphQLFormattedError | undefined {
  if (code === INTERNAL_SERVER_ERROR) return maskedError(requestId);
  if (code !== TIMEOUT) return undefined;
  return {
    message:
      'The database took too long and ended the statement: ask for less, or try again later.',
    extensions: { code, requestId },
  };
}

/** Gives every error its code, and logs unexpected errors. */
export function errorPlugin(logger: Logger): ApolloServerPlugin<RequestContext> {
  return {
    requestDidStart: async () => ({
      didResolveOperation: async ({ operation, document, request, contextValue }) => {
        if (!operation) return;
        if (operation.operation === 'subscription') throw notASubscription();
        const fragments = fragmentsOf(document);
        const { variables = {} } = request;
        refuseAsBadRequest(() =>
          assertHeaderHasOneMutation({ operation, fragments, variables }, contextValue),
        );
      },
      didEncounterErrors: async (failed) => {
        const { errors, contextValue } = failed;
        const { requestId } = contextValue.source;
        const mutation = failedMutationOf(failed);
        for (const error of errors) {
          const response = refuseOutage(error, { requestId, logger, mutation });
          if (response) error.extensions.http = httpHeadOf(response);
          else classify(error, requestId, logger);
        }
      },
    }),
  };
}

/** A mutation with a failed field. */
interface FailedMutation {
  readonly operation: OperationDefinitionNode;
  /** Callers call this only after execution began, when fragments and variables are known to be valid. */
  readonly isRepeatable: () => boolean;
}

function failedMutationOf({
  operation,
  document,
  request: { variables = {} },
  contextValue,
}: GraphQLRequestContextDidEncounterErrors<RequestContext>): FailedMutation | undefined {
  if (!document || operation?.operation !== OperationTypeNode.MUTATION) return undefined;
  return {
    operation,
    isRepeatable: () =>
      isRepeatable({ operation, fragments: fragmentsOf(document), variables }, contextValue),
  };
}

/** Throws a check's input error as a GraphQL error. Before execution Apollo passes only GraphQL errors on unchanged. */
function refuseAsBadRequest(check: () => void): void {
  try {
    check();
  } catch (error) {
    if (!(error instanceof BadUserInputError)) throw error;
    const extensions = { code: 'BAD_USER_INPUT', http: { status: 400 } };
    throw new GraphQLError(error.message, { extensions });
  }
}

function notASubscription(): GraphQLError {
  const message =
    'Send subscriptions over WebSocket to /graphql, or over server-sent events to /graphql/stream.';
  return new GraphQLError(message, {
    extensions: { code: 'BAD_REQUEST', http: { status: 400 } },
  });
}

/**
 * Returns an execution result in the form that a client of a stream may see. Apollo does not process stream results.
 */
export function presentResult<Result extends { readonly errors?: readonly GraphQLError[] }>(
  result: Result,
  requestId: string,
  logger: Logger,
): Result {
  const { errors } = result;
  return errors ? { ...result, errors: presentErrors(errors, requestId, logger) } : result;
}

/** Returns the errors of a stream, which are coded, logged and masked like Apollo's. */
export function presentErrors(
  errors: readonly GraphQLError[],
  requestId: string,
  logger: Logger,
): GraphQLError[] {
  return errors.map((error) => {
    // GraphQL itself raised an error without a path, because of the client's input. For an invalid variable it adds an
    // error of its own as the cause.
    const { path, originalError } = error;
    const isClientError =
      path === undefined && (originalError === undefined || originalError instanceof GraphQLError);
    if (isClientError) error.extensions.code ??= 'BAD_USER_INPUT';
    if (refuseOutage(error, { requestId, logger })) return error;
    classify(error, requestId, logger);
    const masked = maskOf(error.extensions.code, requestId);
    if (masked) return new GraphQLError(masked.message, { ...masked, path });
    error.message = cut(error.message);
    return error;
  });
}

/** The context of an error: the request, the mutation, and the logger. */
interface ErrorScope {
  readonly requestId: string;
  readonly logger: Logger;
  readonly mutation?: FailedMutation | undefined;
}

/**
 * Turns an error that an unavailable database caused into an error response. The outage itself is logged at intervals, so the
 * error is not logged. An exception is an error whose cause is no outage: a COMMIT may fail for any reason.
 * @returns undefined for any other error, which stays unchanged
 */
function refuseOutage(
  error: GraphQLError,
  { requestId, logger, mutation }: ErrorScope,
): ErrorResponse | undefined {
  const reason = outageOf(error, mutation);
  if (reason === undefined) return undefined;
  const cause = unwrapResolverError(error);
  if (!isOutage(cause)) {
    const err = cause instanceof Error ? cause.cause : cause;
    logger.error({ err, requestId, path: error.path }, 'Commit failed');
  }
  const response = outageResponse(
    reason,
    reason !== 'OUTCOME_UNKNOWN' || mutation?.isRepeatable() === true,
  );
  const { message, ...extensions } = response;
  error.message = message;
  Object.assign(error.extensions, extensions);
  return response;
}

function outageOf(
  error: GraphQLError,
  mutation: FailedMutation | undefined,
): Unavailability | undefined {
  const cause = unwrapResolverError(error);
  const reason = cause instanceof UnavailableError ? cause.reason : unavailabilityOf(cause);
  return reason && mutation && mayHaveBeenDone(mutation.operation, error)
    ? 'OUTCOME_UNKNOWN'
    : reason;
}

/**
 * Tells whether a part of an operation may have been done before a field failed. This is so if the field is in the
 * answer of a mutation, or if another mutation of the operation came before it. Mutations run one after another.
 */
function mayHaveBeenDone(
  { selectionSet: { selections } }: OperationDefinitionNode,
  { path = [] }: GraphQLError,
): boolean {
  const [first] = selections;
  const isFirst = first?.kind === Kind.FIELD && (first.alias ?? first.name).value === path[0];
  return path.length > 1 || !isFirst;
}

function classify(error: GraphQLError, requestId: string, logger: Logger): void {
  const cause = unwrapResolverError(error);
  if (cause instanceof BadUserInputError) error.extensions.code = 'BAD_USER_INPUT';
  if (cause instanceof ForbiddenError) error.extensions.code = 'FORBIDDEN';
  if (cause instanceof UnknownCursorError) error.extensions.code = 'UNKNOWN_CURSOR';
  if (cause instanceof AbandonedError) error.extensions.code = 'ABANDONED';
  if (isRefusedArgument(cause)) error.extensions.code = 'BAD_USER_INPUT';
  if (isStatementTimeout(cause)) {
    Object.assign(error.extensions, { code: TIMEOUT, requestId });
  }
  if (error.extensions.code !== undefined) return;
  Object.assign(error.extensions, { code: INTERNAL_SERVER_ERROR, requestId });
  logger.error({ err: cause, requestId, path: error.path }, 'Unexpected error');
}

/**
 * Tells whether GraphQL.js refused the argument of a field while it executed the field. A variable that is null passes
 * the checks before if it has a default value.
 */
function isRefusedArgument(cause: unknown): boolean {
  return (
    cause instanceof GraphQLError &&
    cause.extensions.code === undefined &&
    cause.message.startsWith('Argument "')
  );
}

/** Error numbers of MariaDB and MySQL for a statement that exceeded its timeout. */
const STATEMENT_TIMEOUTS: readonly unknown[] = [1_969, 3_024];

function isStatementTimeout(cause: unknown): boolean {
  return cause instanceof Error && 'errno' in cause && STATEMENT_TIMEOUTS.includes(cause.errno);
}

/** Limits the length of a message, because GraphQL quotes a refused value of any length. */
const MESSAGE_CHARACTERS_MAX = 200;

/** Returns a message that may quote client input, shortened in the middle. */
export function cut(message: string): string {
  if (message.length <= MESSAGE_CHARACTERS_MAX) return message;
  const half = MESSAGE_CHARACTERS_MAX / 2;
  return `${message.slice(0, half - 1)}…${message.slice(-half)}`.toWellFormed();
}

const SUGGESTION = 'Did you mean ';

/**
 * Returns a message without suggestions. GraphQL suggests names of the schema that resemble an unknown name. Each such
 * sentence ends with a question mark.
 */
export function withoutSuggestion(message: string): string {
  let kept = '';
  let from = 0;
  for (;;) {
    const start = message.indexOf(SUGGESTION, from);
    const end = start < 0 ? -1 : message.indexOf('?', start);
    if (end < 0) return kept + message.slice(from);
    kept += message.slice(from, start).replace(/ $/, '');
    from = end + 1;
  }
}

export interface ErrorFormat {
  /** Tells whether messages may suggest names from the schema. */
  readonly hasSuggestions: boolean;
  readonly logger: Logger;
}

/** Makes Apollo's formatError. It masks internal errors, and removes suggested names unless they are allowed. */
export function makeFormatError({ hasSuggestions, logger }: ErrorFormat) {
  return (formatted: GraphQLFormattedError, error: unknown): GraphQLFormattedError => {
    const message = cut(formatted.message);
    const { code, requestId } = formatted.extensions ?? {};
    const masked = maskOf(code, String(requestId ?? logUnclassified(code, error, logger)));
    if (!masked) {
      return { ...formatted, message: hasSuggestions ? message : withoutSuggestion(message) };
    }
    const { locations, path } = formatted;
    return { ...masked, ...(locations && { locations }), ...(path && { path }) };
  };
}

/** Logs an error outside the execution of an operation, such as an answer that cannot be serialised. */
function logUnclassified(code: unknown, error: unknown, logger: Logger): string | undefined {
  const requestId = currentRequestId();
  if (code === INTERNAL_SERVER_ERROR) {
    logger.error({ err: unwrapResolverError(error), requestId }, 'Unexpected error');
  }
  return requestId;
}
