/** The facts of an operation for its line in the log. Each part of the server adds the facts that it learns. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import {
  type DocumentNode,
  type ExecutionResult,
  getOperationAST,
  Kind,
  type OperationDefinitionNode,
  type OperationTypeNode,
} from 'graphql';
import {
  activeExemplar,
  activeTraceId,
  type Exemplar,
} from '../infrastructure/observability/tracing.js';
import type { CredentialFault } from './access/authentication.js';
import { isLimitCode } from './error-response.js';

export type Transport = 'http' | 'sse' | 'websocket';

/** The code of an error without a code, and the field of an operation whose document is not valid. */
export const UNKNOWN = 'unknown';

/** The field of an operation that selects several. */
const SEVERAL = 'several';

/** The largest number of characters of an operation's name that are logged. */
const NAME_CHARACTERS_MAX = 64;

/** A credential that was refused, without its content. */
export interface RefusedCredential {
  readonly reason: CredentialFault;
  readonly remoteAddress: string;
}

/** Why a WebSocket was refused or closed before any operation. */
export interface RefusedConnection {
  readonly reason: CredentialFault | 'FOREIGN_ORIGIN' | 'TOO_MANY_CONNECTIONS';
  readonly remoteAddress: string;
}

/** Limits on connections. Some are hit before there is an operation, or after it has been answered. */
const CONNECTION_LIMITS = [
  'CONNECTIONS',
  'HEADERS_TOO_LARGE',
  'REQUEST_TIMEOUT',
  'SLOW_READER',
  'TOO_MANY_OPERATIONS',
] as const;

export type ConnectionLimit = (typeof CONNECTION_LIMITS)[number];

/** Tells whether a code is that of a limit. */
export function isLimit(code: string): boolean {
  const connectionLimits: readonly string[] = CONNECTION_LIMITS;
  return isLimitCode(code) || connectionLimits.includes(code);
}

/** The facts of one operation, from its first byte to its end. */
export class OperationRecord {
  readonly #startedAt = performance.now();
  name: string | null = null;
  type: OperationTypeNode | null = null;
  field = UNKNOWN;
  /** The code of the refusal or of the first error; undefined if there is none. */
  outcome: string | undefined;
  /** The number of transfers that a bulk had. */
  rows: number | undefined;
  cost: number | undefined;
  /** Why the credential was refused, and who sent it; undefined if it was not. */
  refused: RefusedCredential | undefined;
  /** The number of events that were sent to a subscriber. */
  eventCount = 0;
  /** The trace of the operation; undefined if it has none. */
  traceId: string | undefined;
  exemplar: Exemplar = {};

  constructor(
    readonly transport: Transport,
    readonly requestId: string,
  ) {}

  get durationMs(): number {
    return Math.round((performance.now() - this.#startedAt) * 10) / 10;
  }

  /** Notes a valid operation. */
  describe(operation: OperationDefinitionNode): void {
    // When the operation ends, its span may no longer be the active one.
    this.traceId = activeTraceId();
    this.exemplar = activeExemplar();
    this.name = operation.name?.value.slice(0, NAME_CHARACTERS_MAX) ?? null;
    this.type = operation.operation;
    const [first, ...others] = operation.selectionSet.selections;
    this.field = first?.kind === Kind.FIELD && others.length === 0 ? first.name.value : SEVERAL;
  }

  /** Notes the operation of a valid document. */
  describeDocument(document: DocumentNode, operationName: string | null | undefined): void {
    const operation = getOperationAST(document, operationName);
    if (operation) this.describe(operation);
  }

  /** Notes a result that is sent to a subscriber: an event, or errors. */
  noteResult({ data, errors }: ExecutionResult): void {
    const [error] = errors ?? [];
    if (error) this.outcome ??= String(error.extensions?.code ?? UNKNOWN);
    if (data != null) this.eventCount += 1;
  }
}

/** The request decorator for the record of its operation. */
const RECORD = 'operationRecord';

export function decorateWithRecord(app: FastifyInstance): void {
  app.decorateRequest(RECORD);
}

export function setRecord(request: FastifyRequest, record: OperationRecord): void {
  request.setDecorator(RECORD, record);
}

/** Returns the record of a request's operation; undefined if the request is for no operation. */
export function recordOf(request: FastifyRequest): OperationRecord | undefined {
  return request.getDecorator<OperationRecord | null>(RECORD) ?? undefined;
}
