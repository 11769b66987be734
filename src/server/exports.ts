/**
 * Serves exported files, each by one GET. The caller proves its identity by a token like any other caller, or has a
 * signed link, which stands for the organization of its file. A file is read and written while the client takes it:
 *
 *   place    a place of the server and one of the caller, until the end of the download
 *   open     finds the subject, and reads the first page, within the request timeout and with a status of its own
 *   stream   page by page, each after the client took the page before; the caller pays for each page
 *
 * A failure in the stream cuts the connection, so that a client sees that its file is not complete.
 */
import { pipeline } from 'node:stream/promises';
import { setImmediate as turnOfTheLoop } from 'node:timers/promises';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ExportLinks, ExportScope, OpenExport } from '../application/ports/exports.js';
import type { ScopeLedger } from '../application/ports/scoped-ledger-reader.js';
import { type OrganizationScope, READERS, visibleOrganizations } from '../domain/caller.js';
import {
  AbandonedError,
  ChangedMeanwhileError,
  RowsDeletedError,
  UnavailableError,
} from '../domain/errors.js';
import {
  EXPORT_FOLDERS,
  type ExportRequest,
  type ExportSubject,
  exportFileName,
  exportKindOf,
  mediaTypeOf,
  readExportInput,
} from '../domain/export.js';
import { RECEIPT_POLICY } from '../infrastructure/files-out/receipt-html.js';
import type { Logger } from '../infrastructure/observability/logger.js';
import { requireRole } from '../resolvers/context.js';
import { isByLink, requestSourceOf } from './access/access.js';
import { type ErrorResponse, isErrorResponse, sendErrorResponse } from './error-response.js';
import { OVERLOADED } from './limits/body-budget.js';
import { callerKeyOf } from './limits/caller-key.js';
import type { Connections } from './limits/connections.js';
import { FilePlaces } from './limits/file-places.js';
import type { OperationGate } from './limits/operation-gate.js';
import type { OperationLog } from './operation-log.js';

export interface ExportPorts {
  readonly openExport: OpenExport;
  readonly exportLinks: ExportLinks;
  readonly scopeLedger: ScopeLedger;
  readonly gate: OperationGate;
  readonly connections: Connections;
  readonly operationLog: OperationLog;
  readonly logger: Logger;
}

/** Limits the downloads of one caller, and those of all. Each keeps a page of rows and its text in memory. */
const EXPORTS_PER_CALLER_MAX = 4;
const EXPORTS_MAX = 16;

/** The delay after which a place is likely to be free again, in seconds. */
const PLACE_RETRY_S = 10;

const TOO_MANY_EXPORTS: ErrorResponse = {
  code: 'TOO_MANY_EXPORTS',
  message: `A caller may take ${EXPORTS_PER_CALLER_MAX} files at once: wait until one is complete.`,
  limit: EXPORTS_PER_CALLER_MAX,
  retryAfterSeconds: PLACE_RETRY_S,
};

/** The rows of a file that cost a unit. A row takes some 10 microseconds. */
const ROWS_PER_UNIT = 100;

/** The parameters of a file's address. A link has more, which are signed. */
const PARAMETERS = ['from', 'to', 'timeZone'] as const;
const LINK_PARAMETERS: readonly string[] = ['expires', 'organization', 'signature'];

const FILE_NAME = /^(?<name>[^.]+)\.(?<format>[a-z]+)$/;

const NOT_FOUND: ErrorResponse = { code: 'NOT_FOUND', message: 'There is no such file.' };

const LINK_REFUSALS: Readonly<Record<'invalid' | 'expired', ErrorResponse>> = {
  invalid: { code: 'LINK_INVALID', message: 'The link is not one of this server, or was changed.' },
  expired: { code: 'LINK_EXPIRED', message: 'The link has expired: create another one.' },
};

/** Who takes a file. */
interface Taker {
  /** The key against which limits count. */
  readonly key: string;
  readonly organizations: OrganizationScope;
}

export function serveExports(app: FastifyInstance, ports: ExportPorts): void {
  const places = new FilePlaces(EXPORTS_PER_CALLER_MAX, EXPORTS_MAX, TOO_MANY_EXPORTS);
  for (const [type, folder] of Object.entries(EXPORT_FOLDERS)) {
    app.get<{ Params: FileParameters }>(
      `/exports/${folder}/:file`,
      { exposeHeadRoute: false },
      async (request, reply) => {
        const download = admit(request, type as ExportSubject['type'], ports);
        if (isErrorResponse(download)) return sendErrorResponse(reply, download);
        const place = places.take(download.taker.key);
        if (isErrorResponse(place)) {
          ports.operationLog.countRefusal(place.code);
          return sendErrorResponse(reply, place);
        }
        try {
          return await answer(download, request, reply, ports);
        } finally {
          place();
        }
      },
    );
  }
}

interface FileParameters {
  readonly file: string;
}

/** A file, and who takes it. */
interface Download {
  readonly file: ExportRequest;
  readonly taker: Taker;
}

type FileRequest = FastifyRequest<{ Params: FileParameters }>;

/** Returns what is asked for, if the caller may ask. @throws ForbiddenError */
function admit(
  request: FileRequest,
  type: ExportSubject['type'],
  ports: ExportPorts,
): Download | ErrorResponse {
  const taker = takerOf(request, ports);
  if (isErrorResponse(taker)) return taker;
  if (ports.connections.isOverloaded(request)) return OVERLOADED;
  const refusal = ports.gate.spend(1, taker.key, 0);
  if (refusal) return refusal;
  const file = readRequest(request, type);
  return isErrorResponse(file) ? file : { file, taker };
}

function takerOf(request: FastifyRequest, { exportLinks }: ExportPorts): Taker | ErrorResponse {
  if (isByLink(request)) {
    const link = exportLinks.check(request.url);
    if (link.state !== 'valid') return LINK_REFUSALS[link.state];
    return { key: `link ${link.organizationId}`, organizations: [link.organizationId] };
  }
  const source = requestSourceOf(request);
  requireRole({ source }, ...READERS);
  return { key: callerKeyOf(source), organizations: visibleOrganizations(source.caller) };
}

/** Reads the address of a file. Every fault of the address is answered, so that none is ignored. */
function readRequest(
  { params, query }: FileRequest,
  type: ExportSubject['type'],
): ExportRequest | ErrorResponse {
  const { name = '', format = '' } = FILE_NAME.exec(params.file)?.groups ?? {};
  const kind = exportKindOf(type, format);
  if (kind === undefined) return NOT_FOUND;
  const given = Object.entries(query as Readonly<Record<string, unknown>>);
  const unknown = given.find(
    ([parameter, value]) => typeof value !== 'string' || !isParameter(parameter),
  );
  if (unknown) {
    const message = `The address has an unknown or a repeated parameter: allowed are ${PARAMETERS.join(', ')}.`;
    return { code: 'BAD_USER_INPUT', message };
  }
  const field = { statement: 'accountIban', 'bulk-transfer': 'bulkTransferId', order: 'orderId' };
  const read = readExportInput({ ...Object.fromEntries(given), [field[type]]: name, kind });
  if ('request' in read) return read.request;
  const [problem] = read.problems;
  return { code: 'BAD_USER_INPUT', message: `${problem?.field}: ${problem?.message}` };
}

function isParameter(name: string): boolean {
  return PARAMETERS.some((each) => each === name) || LINK_PARAMETERS.includes(name);
}

async function answer(
  { file, taker }: Download,
  request: FastifyRequest,
  reply: FastifyReply,
  ports: ExportPorts,
): Promise<FastifyReply> {
  const { socket } = request.raw;
  const response = reply.raw;
  const isAbandoned = () => socket.destroyed || response.destroyed || response.writableEnded;
  const scope = scopeOf(taker, isAbandoned, ports);
  try {
    const content = await ports.openExport(file, scope);
    if (!content) return sendErrorResponse(reply, NOT_FOUND);
    const first = await content.next();
    if (isAbandoned()) {
      await content.return(undefined);
      return reply;
    }
    const text = withFirst(first.value, content);
    await stream(text, { file, taker, request, reply }, ports);
  } catch (error) {
    if (error instanceof RowsDeletedError) {
      return sendErrorResponse(reply, { code: 'ROWS_DELETED', message: error.message });
    }
    // The client has disconnected, or its request was answered because it took too long.
    if (!(error instanceof AbandonedError)) throw error;
    if (!reply.sent) reply.hijack();
  }
  return reply;
}

function scopeOf(
  { key, organizations }: Taker,
  isAbandoned: () => boolean,
  { scopeLedger, gate }: ExportPorts,
): ExportScope {
  return {
    reader: scopeLedger(organizations, { key, isAbandoned }),
    organizations,
    payForRows: async (rows) => {
      await gate.pay(Math.ceil(rows / ROWS_PER_UNIT), key, isAbandoned);
      // SQLite reads without a turn of the event loop, so other requests would wait for the whole file.
      await turnOfTheLoop();
      if (isAbandoned()) throw new AbandonedError();
    },
  };
}

async function* withFirst(
  first: string | undefined,
  rest: AsyncGenerator<string>,
): AsyncGenerator<string> {
  try {
    if (first !== undefined) yield first;
    yield* rest;
  } finally {
    await rest.return(undefined);
  }
}

interface Answer extends Download {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

/** Sends a file. The promise is fulfilled when the file is sent or its connection is closed. */
async function stream(
  text: AsyncGenerator<string>,
  { file, taker, request, reply }: Answer,
  { connections, operationLog, logger }: ExportPorts,
): Promise<void> {
  const startedAt = performance.now();
  const response = reply.raw;
  // Fastify and the request timeout leave a hijacked answer alone.
  reply.hijack();
  // The client reset its connection, so there is no recipient for the error.
  response.on('error', () => {});
  response.writeHead(200, {
    ...(reply.getHeaders() as Record<string, string>),
    ...headersOf(file),
  });
  connections.noteDownload(request.raw.socket, response);
  let outcome = 'OK';
  try {
    await pipeline(text, response);
  } catch (error) {
    response.destroy();
    outcome = outcomeOf(error);
    if (outcome === 'UNKNOWN') {
      logger.error({ err: error, requestId: request.id }, 'Unexpected error');
    }
  }
  operationLog.endExport({
    kind: file.kind,
    outcome,
    caller: taker.key,
    durationMs: Math.round(performance.now() - startedAt),
    requestId: request.id,
  });
}

function outcomeOf(error: unknown): string {
  if (error instanceof AbandonedError) return 'ABANDONED';
  if (error instanceof ChangedMeanwhileError) return 'CHANGED';
  if (error instanceof UnavailableError) return 'UNAVAILABLE';
  const { code } = error as { readonly code?: unknown };
  const isByClient = code === 'ERR_STREAM_PREMATURE_CLOSE' || code === 'ECONNRESET';
  return isByClient || code === 'EPIPE' ? 'ABANDONED' : 'UNKNOWN';
}

function headersOf(file: ExportRequest): Record<string, string> {
  const policy = file.kind === 'RECEIPT_HTML' ? RECEIPT_POLICY : "default-src 'none'";
  return {
    'content-type': mediaTypeOf(file.kind),
    'content-disposition': `attachment; filename="${exportFileName(file)}"`,
    'cache-control': 'no-store',
    'referrer-policy': 'no-referrer',
    'content-security-policy': `${policy}; frame-ancestors 'none'; sandbox`,
    // nginx would buffer the file.
    'x-accel-buffering': 'no',
  };
}
