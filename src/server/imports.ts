/**
 * Takes files of transfers, each by one POST, and makes draft orders of them:
 *
 *   place    a place of the server and one of the caller, until the answer
 *   receive  the body into a temporary file; the caller pays for its bytes as they arrive
 *   import   reads the file twice, and adds the rows of its orders in parts: see application/import-orders.ts
 *
 * A body that is cut off makes no order, and neither does an import whose client disconnects. With `Accept:
 * text/event-stream`, the answer tells how far the import is.
 */
import fastifyMultipart from '@fastify/multipart';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { AuditLog } from '../application/ports/audit-log.js';
import type {
  ImportedOrders,
  ImportOrders,
  ImportRequest,
} from '../application/ports/import-orders.js';
import type { RequestSource } from '../domain/caller.js';
import {
  AbandonedError,
  DomainError,
  ForbiddenError,
  ImportConflictError,
  UnavailableError,
} from '../domain/errors.js';
import type { AuditedOutcomeCode } from '../domain/kinds.js';
import { formatAmount } from '../domain/money.js';
import { rolesFor } from '../domain/mutations.js';
import { ORDER_FILE_FORMATS, type OrderFileFormat } from '../domain/order-file.js';
import type { BulkTransferOrder } from '../entities/bulk-transfer-order.entity.js';
import { unavailabilityOf } from '../infrastructure/database/unavailability.js';
import { SpooledFile } from '../infrastructure/files-in/spooled-file.js';
import type { Logger } from '../infrastructure/observability/logger.js';
import { requireRole } from '../resolvers/context.js';
import { presentRejection } from '../resolvers/present-rejection.js';
import { requestSourceOf } from './access/access.js';
import { decodeBody } from './content-encoding.js';
import {
  type ErrorResponse,
  graphQLErrorOf,
  isErrorResponse,
  outageResponse,
  RequestError,
  sendErrorResponse,
} from './error-response.js';
import { maskedError } from './graphql-errors.js';
import { OVERLOADED } from './limits/body-budget.js';
import { callerKeyOf } from './limits/caller-key.js';
import type { Connections } from './limits/connections.js';
import { FilePlaces } from './limits/file-places.js';
import type { OperationGate } from './limits/operation-gate.js';
import type { OperationLog } from './operation-log.js';

export interface ImportSettings {
  /** Limits the bytes of one file. */
  readonly importBytesMax: number;
}

export interface ImportHttpPorts {
  readonly importOrders: ImportOrders;
  readonly audit: AuditLog;
  readonly gate: OperationGate;
  readonly connections: Connections;
  readonly operationLog: OperationLog;
  readonly logger: Logger;
  readonly settings: ImportSettings;
}

/** Limits the imports of one caller, and those of all. Each keeps a file on the disk and some rows in memory. */
const IMPORTS_PER_CALLER_MAX = 2;
const IMPORTS_MAX = 8;

/** The delay after which a place is likely to be free again, in seconds. */
const PLACE_RETRY_S = 10;

const TOO_MANY_IMPORTS: ErrorResponse = {
  code: 'TOO_MANY_IMPORTS',
  message: `A caller may send ${IMPORTS_PER_CALLER_MAX} files at once: wait until one is imported.`,
  limit: IMPORTS_PER_CALLER_MAX,
  retryAfterSeconds: PLACE_RETRY_S,
};

/** The bytes of a file that cost a unit: some 20 rows of CSV. */
const IMPORT_BYTES_PER_UNIT = 2_048;

/** The time after which an import is given up. A million rows take some minutes. */
const IMPORT_TIMEOUT_MS = 600_000;

/** The media types of a body that is the file itself. */
const FILE_TYPES = ['text/csv', 'application/xml', 'text/xml', 'application/octet-stream'];

/** The parameters of the address, which a form may send as fields. */
const PARAMETERS = ['account', 'format', 'fileName'] as const;

type Parameters = Partial<Record<(typeof PARAMETERS)[number], string>>;

/** Limits the other parts of a form. */
const FORM_LIMITS = { fieldNameSize: 100, fieldSize: 1_000, fields: 10, headerPairs: 20, files: 1 };

/** A file that was received, and the parameters of its request. */
interface ReceivedFile {
  readonly file: SpooledFile;
  readonly parameters: Parameters;
}

/** The receipt of one file. */
interface Receipt {
  readonly file: SpooledFile;
  readonly bytesMax: number;
  /** Waits until the caller has paid for bytes. */
  readonly pay: (bytes: number) => Promise<void>;
}

export async function serveImports(app: FastifyInstance, ports: ImportHttpPorts): Promise<void> {
  const places = new FilePlaces(IMPORTS_PER_CALLER_MAX, IMPORTS_MAX, TOO_MANY_IMPORTS);
  await app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    await scope.register(fastifyMultipart, {
      limits: { ...FORM_LIMITS, fileSize: ports.settings.importBytesMax + 1 },
    });
    // The handler reads the body itself, after it has a place.
    scope.addContentTypeParser(FILE_TYPES, async () => undefined);
    const options = { config: { requestTimeoutMs: IMPORT_TIMEOUT_MS } };
    scope.post('/imports', options, async (request, reply) => {
      const source = requestSourceOf(request);
      const key = callerKeyOf(source);
      const place = ports.connections.isOverloaded(request) ? OVERLOADED : places.take(key);
      if (isErrorResponse(place)) {
        ports.operationLog.countRefusal(place.code);
        return sendErrorResponse(reply, place);
      }
      try {
        return await takeFile({ request, reply, source }, ports);
      } finally {
        place();
      }
    });
  });
}

interface Exchange {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly source: RequestSource;
}

async function takeFile(exchange: Exchange, ports: ImportHttpPorts): Promise<FastifyReply> {
  const { request, reply, source } = exchange;
  const startedAt = performance.now();
  let outcome = 'OK';
  let bytes = 0;
  let rows: number | undefined;
  try {
    requireRole({ source }, ...rolesFor('importOrder'));
    const received = await receive(exchange, ports);
    try {
      bytes = received.file.size;
      const imported = await importFile(received, exchange, ports);
      rows = imported.orders.reduce((sum, { rowCount }) => sum + rowCount, 0);
    } finally {
      await received.file.close();
    }
  } catch (error) {
    outcome = await refuse(error, exchange, ports);
  }
  ports.operationLog.endImport({
    ...{ outcome, caller: callerKeyOf(source), bytes, rows },
    durationMs: Math.round(performance.now() - startedAt),
    requestId: request.id,
  });
  return reply;
}

/** Receives the file of a request. @throws RequestError for a body that is not one file within the limits */
async function receive(
  { request, source }: Exchange,
  { gate, settings }: ImportHttpPorts,
): Promise<ReceivedFile> {
  const parameters = parametersOf(request.query as Readonly<Record<string, unknown>>);
  const isAbandoned = () => source.isAbandoned?.() === true;
  const file = await SpooledFile.create();
  const receipt: Receipt = {
    file,
    bytesMax: settings.importBytesMax,
    pay: async (bytes) => {
      await gate.pay(Math.ceil(bytes / IMPORT_BYTES_PER_UNIT), callerKeyOf(source), isAbandoned);
      if (isAbandoned()) throw new AbandonedError();
    },
  };
  const received = async () => {
    if (request.isMultipart()) return parametersOf(await spoolForm(request, receipt));
    await spool(bodyOf(request, settings.importBytesMax), receipt);
    return {};
  };
  try {
    const fields = await Promise.race([received(), disconnectionOf(request)]);
    return { file, parameters: { ...fields, ...parameters } };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/**
 * Rejects when the client disconnects before the end of its body. Decoders and the parser of forms would wait for the
 * rest without end, and keep their places.
 */
function disconnectionOf({ raw }: FastifyRequest): Promise<never> {
  return new Promise((_, reject) => {
    const check = () => {
      if (!raw.readableEnded) reject(new AbandonedError());
    };
    if (raw.destroyed) check();
    else raw.once('close', check);
  });
}

function bodyOf({ raw }: FastifyRequest, bytesMax: number): AsyncIterable<Uint8Array> {
  const announced = Number(raw.headers['content-length'] ?? 0);
  const decoded = announced > bytesMax ? tooLarge(bytesMax) : decodeBody(raw);
  if (isErrorResponse(decoded)) throw new RequestError(decoded);
  return decoded.source;
}

async function spool(body: AsyncIterable<Uint8Array>, receipt: Receipt): Promise<void> {
  const { file, bytesMax, pay } = receipt;
  for await (const bytes of body) {
    if (file.size + bytes.length > bytesMax) throw new RequestError(tooLarge(bytesMax));
    await pay(bytes.length);
    await file.append(bytes);
  }
}

/** Receives the file of a form. @returns its fields */
async function spoolForm(
  request: FastifyRequest,
  receipt: Receipt,
): Promise<Readonly<Record<string, unknown>>> {
  let fields: Readonly<Record<string, unknown>> = {};
  let hasFile = false;
  for await (const part of wellFormed(() => request.parts())) {
    if (part.type === 'field') {
      fields = { ...fields, [part.fieldname]: part.value };
      continue;
    }
    hasFile = true;
    await spool(
      wellFormed(() => part.file),
      receipt,
    );
    // The parser of forms ends a file at its limit as if it were complete.
    if (part.file.truncated) throw new RequestError(tooLarge(receipt.bytesMax));
    if (part.filename) fields = { fileName: part.filename, ...fields };
  }
  if (!hasFile) throw badInput('The form has no file.');
  return fields;
}

/** Yields what the parser of forms finds. @throws RequestError for a form that is malformed */
async function* wellFormed<Found>(found: () => AsyncIterable<Found>): AsyncGenerator<Found> {
  try {
    yield* found();
  } catch (error) {
    // The parser's own errors have no code. Those of the connection, and of limits, have one.
    if (!(error instanceof Error) || 'code' in error) throw error;
    throw badInput(`The form is malformed: ${error.message}.`);
  }
}

function tooLarge(limit: number): ErrorResponse {
  return { code: 'PAYLOAD_TOO_LARGE', message: `A file may have at most ${limit} bytes.`, limit };
}

function badInput(message: string): RequestError {
  return new RequestError({ code: 'BAD_USER_INPUT', message });
}

/** @throws RequestError for an unknown or a repeated parameter, so that none is ignored */
function parametersOf(given: Readonly<Record<string, unknown>>): Parameters {
  for (const [name, value] of Object.entries(given)) {
    if (typeof value === 'string' && PARAMETERS.some((each) => each === name)) continue;
    throw badInput(
      `The parameter ${JSON.stringify(name.slice(0, 50))} is unknown or repeated: allowed are ${PARAMETERS.join(', ')}.`,
    );
  }
  return given;
}

async function importFile(
  { file, parameters }: ReceivedFile,
  { request, reply, source }: Exchange,
  { importOrders }: ImportHttpPorts,
): Promise<ImportedOrders> {
  const importRequest: ImportRequest = {
    format: await formatOf(parameters.format, file),
    file,
    fileHash: file.digest(),
    fileName: parameters.fileName,
    organizationIban: parameters.account,
    idempotencyKey: keyOf(request),
  };
  if (!request.headers.accept?.includes(EVENT_STREAM)) {
    const imported = await importOrders(importRequest, source);
    reply.code(imported.replayed ? 200 : 201).send(presentImport(imported));
    return imported;
  }
  const stream = new ProgressStream(reply);
  const imported = await importOrders(importRequest, source, {
    onBegin: (orders, rowsTotal) =>
      stream.send('begin', { orders: orders.map(({ id }) => ({ id })), rowsTotal }),
    onRows: (rowsDone) => stream.send('progress', { rowsDone }),
  });
  stream.end('complete', presentImport(imported));
  return imported;
}

/** Returns the format that a request names, or that the first character of the file shows. */
async function formatOf(named: string | undefined, file: SpooledFile): Promise<OrderFileFormat> {
  const format = ORDER_FILE_FORMATS.find((each) => each === named);
  if (format) return format;
  if (named !== undefined) {
    throw badInput(`The format is one of ${ORDER_FILE_FORMATS.join(', ')}.`);
  }
  for await (const bytes of file.read()) {
    // In UTF-16, every other byte of the beginning is 0.
    const first = bytes.find((byte) => !BLANK_BYTES.has(byte));
    if (first !== undefined) return first === LESS_THAN ? 'PAIN_001' : 'CSV';
  }
  return 'CSV';
}

/** The bytes before the first character: byte order marks, NUL, tab, line feed, carriage return, space. */
const BLANK_BYTES: ReadonlySet<number> = new Set([0xef, 0xbb, 0xbf, 0xfe, 0xff, 0, 9, 10, 13, 32]);
const LESS_THAN = 0x3c;

/** @throws RequestError for two keys, because nobody can tell which one is meant */
function keyOf({ raw }: FastifyRequest): string | undefined {
  const [key, ...others] = raw.headersDistinct['idempotency-key'] ?? [];
  if (others.length > 0) throw badInput('The header Idempotency-Key may be sent once.');
  return key;
}

function presentImport({ orders }: ImportedOrders) {
  return { orders: orders.map(presentOrder) };
}

function presentOrder(order: BulkTransferOrder) {
  const { id, name, status, source, fileName, rowCount, totalMinor, currency } = order;
  const totalAmount =
    totalMinor === null ? null : { amount: formatAmount(totalMinor, currency), currency };
  const problemCount = order.problemCount + order.fileProblems.length;
  return { id, name, status, source, fileName, rowCount, problemCount, totalAmount };
}

const EVENT_STREAM = 'text/event-stream';

/** The answer that tells how far an import is. */
class ProgressStream {
  constructor(private readonly reply: FastifyReply) {}

  send(event: string, data: object): void {
    const { reply } = this;
    if (!reply.sent) {
      // Fastify and the request timeout leave a hijacked answer alone.
      reply.hijack();
      // The client reset its connection, so there is no recipient for the error.
      reply.raw.on('error', () => {});
      reply.raw.writeHead(200, {
        ...(reply.getHeaders() as Record<string, string>),
        'content-type': `${EVENT_STREAM}; charset=utf-8`,
        'cache-control': 'no-store',
        'x-accel-buffering': 'no',
      });
    }
    reply.raw.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  end(event: string, data: object): void {
    this.send(event, data);
    this.reply.raw.end();
  }
}

/** Answers and audits an error. @returns the outcome for the log */
async function refuse(
  error: unknown,
  { request, reply, source }: Exchange,
  { audit, logger, operationLog }: ImportHttpPorts,
): Promise<string> {
  const response = responseTo(error);
  const isAbandoned = error instanceof AbandonedError;
  if (!response && !isAbandoned) {
    logger.error({ err: error, requestId: request.id }, 'Unexpected error');
  }
  if (response) operationLog.countRefusal(response.code);
  // The audit log is in the same database, which is usually what is unavailable.
  if (response?.code !== 'UNAVAILABLE') {
    await audit.note(source, { action: 'importOrder', outcome: auditedOutcomeOf(error) });
  }
  const masked = () => ({ errors: [maskedError(request.id)] });
  if (isAbandoned) {
    if (!reply.sent) reply.hijack();
    reply.raw.destroy();
  } else if (reply.sent) {
    const answer = response ? { errors: [graphQLErrorOf(response).toJSON()] } : masked();
    new ProgressStream(reply).end('error', answer);
  } else if (response) {
    sendErrorResponse(reply, response);
  } else {
    reply.code(500).send(masked());
  }
  return isAbandoned ? 'ABANDONED' : (response?.code ?? 'INTERNAL_SERVER_ERROR');
}

/** Returns the response to an error that a client may cause or repeat; undefined for any other. */
function responseTo(error: unknown): ErrorResponse | undefined {
  if (error instanceof RequestError) return error.response;
  if (error instanceof DomainError) return refusalOf(error);
  if (error instanceof ImportConflictError) return CONFLICTS[error.reason];
  if (error instanceof ForbiddenError) return { code: 'FORBIDDEN', message: error.message };
  if (!(error instanceof Error)) return undefined;
  const outage = error instanceof UnavailableError ? error.reason : unavailabilityOf(error);
  if (outage) return outageResponse(outage);
  const { code = '', statusCode = 500 } = error as Partial<FastifyError>;
  if (NO_SPACE.includes(code)) return NO_SPACE_LEFT;
  if (ZLIB.test(code))
    return { code: 'BAD_USER_INPUT', message: `The body is not gzip: ${error.message}.` };
  // The body was cut off, or the parser of forms names what is wrong with it.
  if (code === 'ECONNRESET' || statusCode >= 500) return undefined;
  return { code: 'BAD_USER_INPUT', message: error.message };
}

const CONFLICTS: Readonly<Record<ImportConflictError['reason'], ErrorResponse>> = {
  KEY_REUSED: {
    code: 'IDEMPOTENCY_KEY_REUSED',
    message: 'The idempotency key was used for another file or another account. Use a new key.',
  },
  IN_PROGRESS: {
    code: 'IMPORT_IN_PROGRESS',
    message: 'A request with the same idempotency key is in progress: try again.',
    retryAfterSeconds: PLACE_RETRY_S,
  },
};

/** The errors of zlib, which names what is wrong with a body. */
const ZLIB = /^Z_/;

/** The errors of the operating system for a full disk or quota. */
const NO_SPACE: readonly string[] = ['ENOSPC', 'EDQUOT'];

const NO_SPACE_LEFT: ErrorResponse = {
  code: 'UNAVAILABLE',
  message: 'The server has no space for the file, and nothing was done: try again.',
  retryAfterSeconds: PLACE_RETRY_S,
};

function refusalOf({ rejection }: DomainError): ErrorResponse | undefined {
  const { code } = rejection;
  if (code !== 'INVALID_INPUT' && code !== 'ACCOUNT_NOT_FOUND') return undefined;
  const { message } = presentRejection(rejection);
  return { code, message, ...(code === 'INVALID_INPUT' && { problems: rejection.problems }) };
}

function auditedOutcomeOf(error: unknown): AuditedOutcomeCode {
  if (error instanceof DomainError) return error.rejection.code;
  if (error instanceof ForbiddenError) return 'FORBIDDEN';
  if (error instanceof AbandonedError) return 'ABANDONED';
  const response = responseTo(error);
  if (response?.code === 'IDEMPOTENCY_KEY_REUSED') return response.code;
  return response ? 'BAD_USER_INPUT' : 'UNKNOWN';
}
