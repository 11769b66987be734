/**
 * Common parts of WebSocket and server-sent events. Both carry only subscriptions. Queries and mutations use HTTP,
 * where idempotency keys are headers and bodies may be large.
 *
 * Streams have backpressure: a client that reads slowly gets no further events until it has read. Its stream waits, and
 * keeps only its place. A client that reads nothing is disconnected, and resumes from its last cursor.
 */
import type { Socket } from 'node:net';
import {
  type DocumentNode,
  GraphQLError,
  type GraphQLSchema,
  getOperationAST,
  Kind,
  OperationTypeNode,
  parse,
  type SelectionSetNode,
  validate,
} from 'graphql';
import type { Logger } from '../../infrastructure/observability/logger.js';
import type { Authenticator } from '../access/authentication.js';
import type { OriginSettings } from '../access/origins.js';
import type { AddressOf } from '../access/remote-address.js';
import { cut, withoutSuggestion } from '../graphql-errors.js';
import type { PageSettings } from '../landing-page.js';
import type { OperationGate } from '../limits/operation-gate.js';
import type { ContextFactory } from '../operation-context.js';
import type { OperationLog } from '../operation-log.js';
import type { SharedResults } from './shared-results.js';

export interface StreamPorts {
  readonly schema: GraphQLSchema;
  readonly logger: Logger;
  readonly authenticator: Authenticator;
  readonly isOpen: boolean;
  readonly addressOf: AddressOf;
  readonly contextOf: ContextFactory;
  readonly gate: OperationGate;
  readonly results: SharedResults;
  readonly operationLog: OperationLog;
  readonly settings: OriginSettings & PageSettings;
}

/** Interval between keep-alive messages on an idle stream. */
export const KEEP_ALIVE_MS = 12_000;

/** The raw subscription request of a client. */
export interface SubscriptionRequest {
  readonly query: string;
  readonly operationName?: string | null | undefined;
}

/** Returns the document of a valid subscription, or the errors that prevent its execution. */
export function prepareSubscription(
  { schema, settings }: Pick<StreamPorts, 'schema' | 'settings'>,
  { query, operationName }: SubscriptionRequest,
): DocumentNode | readonly GraphQLError[] {
  const document = parsed(query);
  if (document instanceof GraphQLError) return [document];
  const operation = getOperationAST(document, operationName);
  if (operation && operation.operation !== OperationTypeNode.SUBSCRIPTION) {
    return [
      graphQLError(
        'A stream carries subscriptions only: send this operation to /graphql.',
        'BAD_REQUEST',
      ),
    ];
  }
  if (operation && isConditional(operation.selectionSet, document)) {
    const message = 'A subscription must have its field: remove @skip and @include from it.';
    return [graphQLError(message, 'GRAPHQL_VALIDATION_FAILED')];
  }
  const errors = validate(schema, document);
  for (const error of errors) {
    error.extensions.code = 'GRAPHQL_VALIDATION_FAILED';
    error.message = cut(error.message);
    if (!settings.introspection) error.message = withoutSuggestion(error.message);
  }
  return errors.length > 0 ? errors : document;
}

/**
 * Tells whether a root field may be skipped, which would leave nothing to subscribe to. GraphQL.js then fails, and the
 * specification forbids it. Source: https://spec.graphql.org/September2025/#sec-Single-Root-Field
 */
function isConditional(root: SelectionSetNode, document: DocumentNode): boolean {
  const selectionSets = [root];
  const spread = new Set<string>();
  for (const { selections } of selectionSets) {
    for (const selection of selections) {
      if (selection.directives?.some(({ name }) => /^(skip|include)$/.test(name.value)))
        return true;
      if (selection.kind === Kind.INLINE_FRAGMENT) selectionSets.push(selection.selectionSet);
      if (selection.kind !== Kind.FRAGMENT_SPREAD || spread.has(selection.name.value)) continue;
      spread.add(selection.name.value);
      for (const definition of document.definitions) {
        const isSpread =
          definition.kind === Kind.FRAGMENT_DEFINITION &&
          definition.name.value === selection.name.value;
        if (isSpread) selectionSets.push(definition.selectionSet);
      }
    }
  }
  return false;
}

function parsed(query: string): DocumentNode | GraphQLError {
  try {
    return parse(query);
  } catch (error) {
    if (!(error instanceof GraphQLError)) throw error;
    return graphQLError(error.message, 'GRAPHQL_PARSE_FAILED', error);
  }
}

/** Returns an error that a client can correct, with its code. */
export function graphQLError(message: string, code: string, cause?: GraphQLError): GraphQLError {
  return new GraphQLError(message, {
    extensions: { code },
    ...(cause?.source && { source: cause.source }),
    ...(cause?.positions && { positions: cause.positions }),
  });
}

/** Returns the approximate number of bytes that a subscription keeps while it lasts. */
export function bytesOf({ query, variables }: { query: string; variables?: unknown }): number {
  return query.length + (variables == null ? 0 : JSON.stringify(variables).length);
}

/** The time for which a client may leave all sent data unread. */
const STUCK_MS = 10_000;
const STUCK_CHECK_MS = 2_000;

/**
 * Watches the bytes that the operating system takes from a connection. Pings do not prove that a client reads.
 * @returns a function that ends the watch
 */
export function whenStuck(
  tcp: Socket,
  { operationLog }: Pick<StreamPorts, 'operationLog'>,
  letGo: () => void,
): () => void {
  let takenBytes = 0;
  let takenAt = Date.now();
  const check = setInterval(() => {
    const nowTakenBytes = tcp.bytesWritten - tcp.writableLength;
    if (tcp.writableLength === 0 || nowTakenBytes !== takenBytes) takenAt = Date.now();
    takenBytes = nowTakenBytes;
    if (Date.now() - takenAt < STUCK_MS) return;
    clearInterval(check);
    operationLog.countLimit('SLOW_READER');
    letGo();
  }, STUCK_CHECK_MS);
  check.unref();
  return () => clearInterval(check);
}
