/**
 * Logs and counts each operation once, at its end, over every transport. A line has the name of the operation, and
 * otherwise nothing that a client sent.
 */
import type { ApolloServerPlugin } from '@apollo/server';
import type { FastifyInstance } from 'fastify';
import type { Caller } from '../domain/caller.js';
import type { ExportKind } from '../domain/kinds.js';
import type { Logger } from '../infrastructure/observability/logger.js';
import type { OperationMeter } from '../infrastructure/observability/operation-meter.js';
import { callerOf } from './access/access.js';
import type { OperationContext } from './operation-context.js';
import {
  type ConnectionLimit,
  decorateWithRecord,
  isLimit,
  OperationRecord,
  type RefusedConnection,
  recordOf,
  setRecord,
  type Transport,
  UNKNOWN,
} from './operation-record.js';

/** Which operations are logged: all, those that were refused or failed, or none. All are counted. */
export type LoggedOperations = 'all' | 'errors' | 'none';

const OK = 'OK';

/** The outcome of a request whose client did not wait for the answer. */
const ABANDONED = 'ABANDONED';

/** The largest size of an error response that is searched for its code. */
const ERROR_CHARACTERS_MAX = 10_000;

/** The largest number of lines a second about clients that are not known, so that a stranger cannot fill the disk. */
const STRANGERS_LINES_MAX = 10;

/** The largest number of organizations of a caller that are logged. */
const ORGANIZATIONS_MAX = 5;

/** The facts of an upload or a download for its line in the log. */
interface FileRecord {
  /** OK, or why the file is not complete. */
  readonly outcome: string;
  /** The key of the caller, or of the organization of a link. */
  readonly caller: string;
  readonly durationMs: number;
  readonly requestId: string;
}

interface ExportRecord extends FileRecord {
  readonly kind: ExportKind;
}

interface ImportRecord extends FileRecord {
  /** The bytes of the file, and the rows of its orders if it was imported. */
  readonly bytes: number;
  readonly rows: number | undefined;
}

export class OperationLog {
  /** The second in which the last line about a client that is not known was due, and the lines of that second. */
  #second = 0;
  #strangersLines = 0;
  /** The number of lines that were left out since the last one. */
  #omitted = 0;

  constructor(
    private readonly logger: Logger,
    private readonly meter: OperationMeter,
    private readonly logged: LoggedOperations,
  ) {}

  /** Logs that a subscription has begun, because its end may be days away. */
  begin({ name, field, transport, requestId }: OperationRecord, caller: Caller): void {
    if (this.logged !== 'all') return;
    const operation = { operation: name, field, transport, ...describe(caller), requestId };
    this.logger.info(operation, 'Subscription started');
  }

  /** Logs and counts an operation that has ended. */
  end(record: OperationRecord, caller: Caller | undefined, status?: number): void {
    const { name, type, field, transport, outcome = OK, rows, cost, requestId } = record;
    const { durationMs, traceId, exemplar } = record;
    const eventCount = type === 'subscription' ? record.eventCount : undefined;
    const { logger, meter, logged } = this;
    meter.count({ field, outcome, durationMs, eventCount, exemplar });
    if (isLimit(outcome)) meter.countLimit(outcome);
    if (logged === 'none' || (logged === 'errors' && outcome === OK)) return;
    if (!caller && !this.#mayLogStranger()) return;
    const omitted = this.#takeOmitted();
    logger.info(
      {
        ...{ operation: name, type, field, transport, outcome, status },
        ...(caller ? describe(caller) : record.refused),
        ...{ rows, cost, events: eventCount, durationMs, requestId, omitted },
        ...(traceId !== undefined && { traceId }),
      },
      'Operation',
    );
  }

  /** Logs that a WebSocket was refused, or closed because of its credential. */
  refuseConnection(refused: RefusedConnection): void {
    this.meter.countRefusedConnection(refused.reason);
    if (isLimit(refused.reason)) this.meter.countLimit(refused.reason);
    if (this.logged === 'none' || !this.#mayLogStranger()) return;
    const omitted = this.#takeOmitted();
    this.logger.info({ transport: 'websocket', ...refused, omitted }, 'Connection refused');
  }

  /** Counts a download that was refused because of a limit. */
  countRefusal(code: string): void {
    if (isLimit(code)) this.meter.countLimit(code);
  }

  /** Logs a download that has ended. */
  endExport(download: ExportRecord): void {
    this.#endFile(download, 'Export');
  }

  /** Logs an upload that has ended. */
  endImport(upload: ImportRecord): void {
    this.#endFile(upload, 'Import');
  }

  #endFile(file: FileRecord, message: string): void {
    const { logged } = this;
    if (logged === 'none' || (logged === 'errors' && file.outcome === OK)) return;
    this.logger.info(file, message);
  }

  /** Counts a connection that was refused or cut because of a limit. */
  countLimit(limit: ConnectionLimit): void {
    this.meter.countLimit(limit);
  }

  #mayLogStranger(): boolean {
    const second = Math.floor(performance.now() / 1_000);
    if (second !== this.#second) this.#strangersLines = 0;
    this.#second = second;
    this.#strangersLines += 1;
    if (this.#strangersLines <= STRANGERS_LINES_MAX) return true;
    this.#omitted += 1;
    return false;
  }

  #takeOmitted(): number | undefined {
    const omitted = this.#omitted;
    this.#omitted = 0;
    return omitted === 0 ? undefined : omitted;
  }
}

function describe({ kind, name, organizationIds }: Caller) {
  const isShort = organizationIds !== 'all' && organizationIds.length <= ORGANIZATIONS_MAX;
  return { caller: `${kind}:${name}`, ...(isShort && { organizations: organizationIds }) };
}

const TRANSPORTS: Readonly<Record<string, Transport>> = {
  '/graphql': 'http',
  '/graphql/stream': 'sse',
};

/** Logs the operations of HTTP requests, also those that are refused before they are known. */
export function logOperations(app: FastifyInstance, log: OperationLog): void {
  decorateWithRecord(app);
  app.addHook('onRequest', (request, reply, next) => {
    const transport = TRANSPORTS[request.routeOptions.url ?? ''];
    if (transport === undefined || request.method === 'OPTIONS') return next();
    const record = new OperationRecord(transport, request.id);
    setRecord(request, record);
    // The hook onResponse is not called if the client disconnects.
    reply.raw.once('close', () => {
      const isAbandoned = transport === 'http' && !reply.raw.writableFinished;
      if (isAbandoned) record.outcome ??= ABANDONED;
      log.end(record, callerOf(request), isAbandoned ? undefined : reply.raw.statusCode);
    });
    next();
  });
  app.addHook('onSend', (request, reply, payload, next) => {
    const record = recordOf(request);
    if (record && reply.statusCode >= 400) record.outcome ??= codeOf(payload);
    next(null, payload);
  });
}

/** Returns the code of an error response that was made before GraphQL. */
function codeOf(payload: unknown): string {
  if (typeof payload !== 'string' || payload.length > ERROR_CHARACTERS_MAX) return UNKNOWN;
  try {
    return String(JSON.parse(payload).errors[0].extensions.code);
  } catch {
    return UNKNOWN;
  }
}

/** Notes the operation of a request to Apollo, and its outcome. */
export function operationLogPlugin(): ApolloServerPlugin<OperationContext> {
  return {
    requestDidStart: async ({ contextValue: { record } }) => ({
      didResolveOperation: async ({ operation }) => {
        if (operation) record?.describe(operation);
      },
      willSendResponse: async ({ response: { body }, contextValue: { bulkRows } }) => {
        if (!record || body.kind !== 'single') return;
        const { errors, extensions } = body.singleResult;
        const [error] = errors ?? [];
        if (error) record.outcome = String(error.extensions?.code ?? UNKNOWN);
        const { requested } = (extensions?.cost ?? {}) as { readonly requested?: number };
        record.cost = requested;
        if (bulkRows.size > 0) {
          record.rows = [...bulkRows.values()].reduce((sum, rows) => sum + rows.length, 0);
        }
      },
    }),
  };
}
