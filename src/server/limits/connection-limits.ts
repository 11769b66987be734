/**
 * What a client may take of a connection: the time to send a request, the size and number of its headers.
 * One that sends a byte now and then to keep a connection is let go of.
 */
import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyHttpOptions, FastifyInstance } from 'fastify';

export interface ReceiveSettings {
  /** For all headers of a request, from its first byte, or from the connection's begin. */
  readonly headersTimeoutMs: number;
  /** For a whole request, its body included. */
  readonly receiveTimeoutMs: number;
}

/** A proxy's is shorter, mostly a minute: who closes first must not be the one who is sent to. */
const KEEP_ALIVE_TIMEOUT_MS = 72_000;

/** Tokens and trace headers are long; this is Node's own. */
const HEADERS_BYTES_MAX = 16_384;
const HEADERS_MAX = 100;

/** How late a timeout may be noticed. */
const LOOK_MS_MAX = 5_000;

/** Fastify's options that make it so. */
export function connectionOptions({ headersTimeoutMs, receiveTimeoutMs }: ReceiveSettings) {
  return {
    // Whoever has a connection when the server stops is answered: see Connections.
    return503OnClosing: false,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    requestTimeout: receiveTimeoutMs,
    http: {
      maxHeaderSize: HEADERS_BYTES_MAX,
      headersTimeout: Math.min(headersTimeoutMs, receiveTimeoutMs),
      requestTimeout: receiveTimeoutMs,
      connectionsCheckingInterval: Math.min(LOOK_MS_MAX, Math.ceil(headersTimeoutMs / 2)),
      shouldUpgradeCallback: isForWebSocket,
    },
    clientErrorHandler: answerClientError,
  } satisfies FastifyHttpOptions<never>;
}

/**
 * Tells whether a request is for a WebSocket of ours. Any other offer to change the protocol, such as the `h2c` of
 * Java's HttpClient and of `curl --http2`, counts for nothing: a server may ignore it and answers over
 * HTTP/1.1. Source: RFC 9110, 7.8.
 */
function isForWebSocket({ method, url, headers }: IncomingMessage): boolean {
  const isOurs = method === 'GET' && url?.split('?')[0] === '/graphql';
  return isOurs && headers.upgrade?.trim().toLowerCase() === 'websocket';
}

/** Node leaves the headers out that are too many: an Idempotency-Key among them must not get lost. */
export function boundHeaders(app: FastifyInstance): void {
  app.server.maxHeadersCount = HEADERS_MAX + 1;
  app.addHook('onRequest', (request, reply, next) => {
    if (request.raw.rawHeaders.length / 2 <= HEADERS_MAX) return next();
    const message = `A request has ${HEADERS_MAX} headers at most.`;
    reply.code(431).send({ errors: [{ message, extensions: { code: HEADERS_TOO_LARGE } }] });
  });
}

const HEADERS_TOO_LARGE = 'HEADERS_TOO_LARGE';

/**
 * Answers 503 to a request that takes too long, from its headers on. Fastify's handlerTimeout makes an
 * AbortController for every request and aborts it at its end: a tenth of all that a small bulk takes.
 */
export function boundHandling(app: FastifyInstance, requestTimeoutMs: number): void {
  app.addHook('onRequest', (_, reply, next) => {
    const timer = setTimeout(() => {
      if (reply.sent) return;
      // What has begun to answer can't answer otherwise.
      if (reply.raw.headersSent) reply.raw.destroy();
      else reply.send(new RequestTimeoutError(requestTimeoutMs));
    }, requestTimeoutMs);
    reply.raw.once('close', () => clearTimeout(timer));
    next();
  });
}

class RequestTimeoutError extends Error {
  readonly statusCode = 503;

  constructor(requestTimeoutMs: number) {
    super(`The request took longer than ${requestTimeoutMs} ms.`);
  }
}

/** What Node finds wrong with a connection, by its code. */
const CLIENT_ERRORS: Readonly<Record<string, readonly [number, string, string]>> = {
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'REQUEST_TIMEOUT', 'The request took too long to arrive.'],
  HPE_HEADER_OVERFLOW: [431, HEADERS_TOO_LARGE, 'The headers are too large.'],
};

const NO_HTTP = [400, 'BAD_REQUEST', 'This is not HTTP.'] as const;

function answerClientError(error: { readonly code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return;
  const [status, code, message] = CLIENT_ERRORS[error.code ?? ''] ?? NO_HTTP;
  const body = JSON.stringify({ errors: [{ message, extensions: { code } }] });
  if (socket.writable) {
    socket.write(
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\n` +
        `Content-Type: application/json; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    );
  }
  socket.destroy();
}
