/**
 * Reads the JSON body of a request and limits its cost:
 *
 *   bytes of one body       BODY_LIMIT_BYTES, both as received and after gzip decoding
 *   its structure           nesting and number of values, while they arrive: see JsonScan
 *   bodies in progress      their number and bytes, for one caller and for all
 *   its price               by its bytes and values, from the caller's rate limit, before it is parsed
 *
 * Each turn of the event loop parses at most one large body, with callers served in turn, so that small requests run in
 * between.
 */
import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { EventLoopTurns } from '../../infrastructure/fair-turns.js';
import { isGuarded, requestSourceOf } from '../access/access.js';
import { decodeBody } from '../content-encoding.js';
import { type ErrorResponse, isErrorResponse, RequestError } from '../error-response.js';
import { cut as shortened } from '../graphql-errors.js';
import { BodyBudget } from './body-budget.js';
import { callerKeyOf } from './caller-key.js';
import { type JsonFault, type JsonLimits, JsonScan } from './json-scan.js';
import { SMALL_BODY_BYTES_MAX } from './large-requests.js';
import type { OperationGate } from './operation-gate.js';

export interface BodySettings {
  /** Limits the bytes of one request's body. */
  readonly bodyLimitBytes: number;
  /** Limits the bytes of all bodies that are being received and parsed. */
  readonly bodiesBytesMax: number;
  /** Limits the transfers in one bulk, which determine how many values a body may need. */
  readonly bulkTransfersMax: number;
}

/** Limits the nesting of arrays and objects. A bulk has six levels. */
const JSON_DEPTH_MAX = 32;

/** Values of one row of a bulk: seven fields, the row itself, and two more. */
const VALUES_PER_TRANSFER = 10;

/** Limits the values of any other request. */
const VALUES_MIN = 5_000;

const UTF8 = new TextDecoder('utf-8', { fatal: true });

/** The request decorator for the units that its body has cost. */
const UNITS_PAID = 'unitsPaid';

/** Returns the units of cost that were taken for the body of a request. */
export function unitsPaidBy(request: FastifyRequest): number {
  return request.getDecorator<number>(UNITS_PAID);
}

export interface BodyPorts {
  readonly gate: OperationGate;
  readonly turns: EventLoopTurns;
  readonly settings: BodySettings;
}

/** Makes this parser the parser of `application/json`. */
export function parseJsonBodies(app: FastifyInstance, { gate, turns, settings }: BodyPorts): void {
  const budget = new BodyBudget(settings.bodiesBytesMax);
  const limits = {
    depthMax: JSON_DEPTH_MAX,
    valuesMax: VALUES_MIN + VALUES_PER_TRANSFER * settings.bulkTransfersMax,
  };
  app.decorateRequest(UNITS_PAID, 0);
  // Fastify's default parsers would also accept text/plain, which foreign pages may send.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    'application/json',
    async (request: FastifyRequest, stream: IncomingMessage) => {
      if (!isGuarded(request)) return undefined;
      const caller = callerKeyOf(requestSourceOf(request));
      const reservation = budget.open(caller);
      if (isErrorResponse(reservation)) throw new RequestError(reservation);
      try {
        const { bytes, values } = await receive(stream, {
          bytesMax: settings.bodyLimitBytes,
          limits,
          reserve: reservation.add,
        });
        const units = gate.receive({ bytes: bytes.length, values }, caller);
        if (isErrorResponse(units)) throw new RequestError(units);
        request.setDecorator(UNITS_PAID, units);
        return await parseInTurn(bytes, caller, turns);
      } finally {
        reservation.release();
      }
    },
  );
}

interface Receiving {
  readonly bytesMax: number;
  readonly limits: JsonLimits;
  /** Counts bytes that arrived. */
  readonly reserve: (bytes: number) => ErrorResponse | undefined;
}

interface ReceivedBody {
  readonly bytes: Buffer;
  /** The number of JSON values, as JsonScan counts them. */
  readonly values: number;
}

/** @throws RequestError for a body over a limit; the rest of the body is not read */
function receive(
  stream: IncomingMessage,
  { bytesMax, limits, reserve }: Receiving,
): Promise<ReceivedBody> {
  const announced = Number(stream.headers['content-length'] ?? 0);
  const decoded = announced > bytesMax ? tooLarge(bytesMax) : decodeBody(stream);
  if (isErrorResponse(decoded)) return Promise.reject(new RequestError(decoded));
  const { source, discard } = decoded;
  const memoryError = reserve(decoded.memoryBytes);
  if (memoryError) {
    discard();
    return Promise.reject(new RequestError(memoryError));
  }
  const scan = new JsonScan(limits);
  const body = new GrowingBuffer();
  return new Promise((resolve, reject) => {
    const end = (settle: () => void) => {
      source.off('data', take).off('end', finish).off('error', fail);
      stream.off('close', cut);
      // The rest of the body is discarded as it arrives.
      discard();
      settle();
    };
    const refuse = (response: ErrorResponse) => end(() => reject(new RequestError(response)));
    const take = (chunk: Buffer) => {
      if (body.length + chunk.length > bytesMax) return refuse(tooLarge(bytesMax));
      const fault = scan.feed(chunk);
      if (fault) return refuse(overJsonLimit(fault, limits));
      const response = reserve(chunk.length);
      if (response) return refuse(response);
      body.append(chunk);
    };
    const finish = () => end(() => resolve({ bytes: body.bytes, values: scan.values }));
    const fail = ({ message }: Error) => {
      const isOurs = source === stream;
      end(() => reject(new BodyError(isOurs ? INCOMPLETE : `The body is not gzip: ${message}.`)));
    };
    // A body that has arrived completely may still be in decoding.
    const cut = () => stream.readableEnded || end(() => reject(new BodyError(INCOMPLETE)));
    source.on('data', take).once('end', finish).once('error', fail);
    stream.once('close', cut);
  });
}

const INCOMPLETE = 'The body ended before it was complete.';

/**
 * Collects bytes in one buffer that doubles. A body in many small chunks takes no more memory than one in a single
 * chunk.
 */
class GrowingBuffer {
  length = 0;
  #buffer: Buffer = Buffer.alloc(0);

  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.length);
  }

  append(chunk: Buffer): void {
    const length = this.length + chunk.length;
    if (this.length === 0) this.#buffer = chunk;
    else {
      if (length > this.#buffer.length) this.#grow(length);
      this.#buffer.set(chunk, this.length);
    }
    this.length = length;
  }

  #grow(lengthMin: number): void {
    const grown = Buffer.allocUnsafe(Math.max(lengthMin, 2 * this.#buffer.length));
    grown.set(this.bytes);
    this.#buffer = grown;
  }
}

/**
 * Parses a body. A large body waits for its caller's turn of the event loop, and its further work for another turn. If
 * many large bodies began in one turn, all other requests would wait for all of them.
 */
async function parseInTurn(bytes: Buffer, caller: string, turns: EventLoopTurns): Promise<unknown> {
  if (bytes.length <= SMALL_BODY_BYTES_MAX) return parseJson(bytes);
  await turns.take(caller);
  const parsed = parseJson(bytes);
  await turns.take(caller);
  return parsed;
}

/** @throws BodyError that names the position of the JSON error; bytes that are not UTF-8 are refused, never replaced */
function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(UTF8.decode(bytes));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new BodyError(shortened(`The body is not JSON in UTF-8: ${reason}`));
  }
}

class BodyError extends Error {
  readonly statusCode = 400;
}

function tooLarge(limit: number): ErrorResponse {
  return { code: 'PAYLOAD_TOO_LARGE', message: `A body may have at most ${limit} bytes.`, limit };
}

function overJsonLimit(code: JsonFault, { depthMax, valuesMax }: JsonLimits): ErrorResponse {
  return code === 'JSON_TOO_DEEP'
    ? {
        code,
        message: `The JSON of a body may be nested at most ${depthMax} levels deep.`,
        limit: depthMax,
      }
    : { code, message: `A body may have at most ${valuesMax} JSON values.`, limit: valuesMax };
}
