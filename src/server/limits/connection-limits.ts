/**
 * Limits on a connection: the time to send a request, and the size and number of its headers. A client that sends
 * single bytes to keep a connection open is disconnected.
 */
import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyHttpOptions, FastifyInstance } from 'fastify';
import type { ConnectionLimit } from '../operation-record.js';

export interface ReceiveSettings {
  /** The time for all headers of a request, from its first byte or from the start of the connection. */
  readonly headersTimeoutMs: number;
  /** The time for a whole request, including its body. */
  readonly receiveTimeoutMs: number;
}

/**
 * The keep-alive timeout. It is longer than that of proxies, which is usually a minute. The proxy must close first, or
 * it could send a request on a connection that the server is closing.
 */
const KEEP_ALIVE_TIMEOUT_MS = 72_000;

/** Node's own limit. Tokens and trace headers are long. */
const HEADERS_BYTES_MAX = 16_384;
const HEADERS_MAX = 100;

/** Limits the delay with which a timeout is detected. */
const CHECK_INTERVAL_MAX_MS = 5_000;

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The time for a request of the route, if it differs from that of other routes. */
    readonly requestTimeoutMs?: number;
  }
}

/** Returns Fastify's options for these limits. */
export function connectionOptions({ headersTimeoutMs, receiveTimeoutMs }: ReceiveSettings) {
  return {
    // Connections that are open when the server stops still get answers: see Connections.
    return503OnClosing: false,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    requestTimeout: receiveTimeoutMs,
    http: {
      maxHeaderSize: HEADERS_BYTES_MAX,
      headersTimeout: Math.min(headersTimeoutMs, receiveTimeoutMs),
      requestTimeout: receiveTimeoutMs,
      connectionsCheckingInterval: Math.min(CHECK_INTERVAL_MAX_MS, Math.ceil(headersTimeoutMs / 2)),
      shouldUpgradeCallback: isForWebSocket,
    },
    clientErrorHandler: answerClientError,
  } satisfies FastifyHttpOptions<never>;
}

/**
 * Tells whether a request is for a WebSocket of this server. Any other upgrade is ignored, such as the `h2c` of Java's
 * HttpClient and of `curl --http2`. A server may ignore an upgrade and answer over HTTP/1.1. Source: RFC 9110, 7.8.
 */
function isForWebSocket({ method, url, headers }: IncomingMessage): boolean {
  const isOurs = method === 'GET' && url?.split('?')[0] === '/graphql';
  return isOurs && headers.upgrade?.trim().toLowerCase() === 'websocket';
}

/** Refuses a request with too many headers. Node drops the excess headers, and an Idempotency-Key must not be lost. */
export function boundHeaders(app: FastifyInstance): void {
  app.server.maxHeadersCount = HEADERS_MAX + 1;
  app.addHook('onRequest', (request, reply, next) => {
    if (request.raw.rawHeaders.length / 2 <= HEADERS_MAX) return next();
    const message = `A request may have at most ${HEADERS_MAX} headers.`;
    reply.code(431).send({ errors: [{ message, extensions: { code: HEADERS_TOO_LARGE } }] });
  });
}

const HEADERS_TOO_LARGE = 'HEADERS_TOO_LARGE';

/**
 * Answers 503 to a request that takes too long, measured from its headers. Fastify's handlerTimeout makes an
 * AbortController for every request and aborts it at the end. That takes a tenth of the time of a small bulk.
 */
export function boundHandling(app: FastifyInstance, requestTimeoutMs: number): void {
  app.addHook('onRequest', (request, reply, next) => {
    const timeoutMs = request.routeOptions.config.requestTimeoutMs ?? requestTimeoutMs;
    const timer = setTimeout(() => {
      if (reply.sent) return;
      // An answer that has begun cannot be changed, so its connection is closed.
      if (reply.raw.headersSent) reply.raw.destroy();
      else reply.send(new RequestTimeoutError(timeoutMs));
    }, timeoutMs);
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

/** Answers to the errors that Node finds on a connection, by their code. */
const CLIENT_ERRORS: Readonly<Record<string, readonly [number, ConnectionLimit, string]>> = {
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'REQUEST_TIMEOUT', 'The request took too long to arrive.'],
  HPE_HEADER_OVERFLOW: [431, HEADERS_TOO_LARGE, 'The headers are too large.'],
};

const NO_HTTP = [400, 'BAD_REQUEST', 'The request is not valid HTTP/1.1.'] as const;

/** Returns the limit because of which Node gave up a connection; undefined for another error. */
export function limitOf(errorCode = ''): ConnectionLimit | undefined {
  return CLIENT_ERRORS[errorCode]?.[1];
}

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
