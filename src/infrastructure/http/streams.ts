/**
 * Subscriptions: WebSocket (graphql-transport-ws) on /graphql, and server-sent events
 * (graphql-sse, distinct connections) on /graphql/stream for those behind proxies that break WebSocket.
 * A client that reads slowly is not sent more until it has read: its stream waits, and holds nothing but
 * its place. One that does not read at all is closed, and resumes from its last cursor.
 */
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import {
  type ExecutionResult,
  type FormattedExecutionResult,
  GraphQLError,
  type GraphQLSchema,
  parse,
} from 'graphql';
import { createHandler } from 'graphql-sse/lib/use/fastify';
import { CloseCode, handleProtocols, makeServer, type Server } from 'graphql-ws';
import { v4 as newRequestId } from 'uuid';
import { type WebSocket, WebSocketServer } from 'ws';
import type { RequestContext } from '../../resolvers/context.js';
import type { Logger } from '../observability/logger.js';
import { presentErrors, presentResult } from './graphql-errors.js';

/** Of one message: bulks go over HTTP, which bounds them by itself. */
const WEBSOCKET_MESSAGE_BYTES_MAX = 128 * 1_024;

/** What a client may let pile up of answers to its own messages, pings among them. */
const BACKLOG_BYTES_MAX = 1_024 * 1_024;

/** Operations under way on one connection. */
const OPERATIONS_MAX = 100;

/** Between pings; a client that has not answered by the next one is gone. */
const KEEP_ALIVE_MS = 12_000;

/** How long a client may leave all that it was sent unread. */
const STUCK_MS = 10_000;
const STUCK_LOOK_MS = 2_000;

/** For the close to be read, before the connection is cut. */
const CLOSE_GRACE_MS = 2_000;

/** RFC 6455: the server goes away. */
const CLOSE_GOING_AWAY = 1_001;

/** Closed for reading too slowly: connect again, and resume from the last cursor. */
const CLOSE_TOO_SLOW = 4_290;

export interface StreamPorts {
  readonly schema: GraphQLSchema;
  readonly logger: Logger;
  readonly contextOf: (requestId: string) => RequestContext;
}

export function serveStreams(app: FastifyInstance, ports: StreamPorts): void {
  serveWebSocket(app, ports);
  serveServerSentEvents(app, ports);
}

function serveWebSocket(app: FastifyInstance, { schema, logger, contextOf }: StreamPorts): void {
  const sockets = new WebSocketServer({
    // Without the HTTP server, whose own errors are not this one's.
    noServer: true,
    maxPayload: WEBSOCKET_MESSAGE_BYTES_MAX,
    handleProtocols,
  });
  app.server.on('upgrade', (request, socket, head) => {
    const isOurs = request.url?.split('?')[0] === '/graphql';
    if (!isOurs || isFromForeignPage(request)) return socket.destroy();
    sockets.handleUpgrade(request, socket, head, (upgraded) => {
      sockets.emit('connection', upgraded, request);
    });
  });
  const server = makeServer<Record<string, unknown>, ConnectionExtra>({
    schema,
    context: () => ({ ...contextOf(newRequestId()) }),
    onSubscribe: ({ subscriptions }, _id, { query }) =>
      Object.keys(subscriptions).length > OPERATIONS_MAX
        ? [tooManyOperations()]
        : syntaxErrors(query),
    onError: (_ctx, _id, _payload, errors) =>
      presentErrors(errors, newRequestId(), logger).map((error) => error.toJSON()),
    onNext: (_ctx, _id, _payload, { contextValue }, result) => {
      const { requestId } = contextValue as RequestContext;
      return asJson(presentResult(result as ExecutionResult, requestId, logger));
    },
  });
  sockets.on('connection', (socket, request) => {
    speakProtocol(socket, request, server, logger);
    closeWhenGone(socket);
    closeWhenStuck(socket, request);
  });
  app.addHook('preClose', async () => {
    for (const socket of sockets.clients) {
      socket.close(CLOSE_GOING_AWAY, 'The server stops: connect again, and resume');
    }
    // A client that reads nothing does not answer.
    const cut = setTimeout(() => {
      for (const socket of sockets.clients) socket.terminate();
    }, CLOSE_GRACE_MS);
    await new Promise((resolve) => sockets.close(resolve));
    clearTimeout(cut);
  });
}

/** What graphql-ws knows of a connection beside its protocol. */
interface ConnectionExtra extends Record<string, unknown> {
  readonly socket: WebSocket;
  readonly request: IncomingMessage;
}

/** graphql-ws over ws, like its own adapter, but that errors go to our log, and a client's own to none. */
function speakProtocol(
  socket: WebSocket,
  request: IncomingMessage,
  server: Server<ConnectionExtra>,
  logger: Logger,
): void {
  const fail = (error: unknown) => {
    logger.error({ err: error }, 'A WebSocket message could not be handled');
    socket.close(CloseCode.InternalServerError, 'Internal server error');
  };
  const closed = server.opened(
    {
      protocol: socket.protocol,
      send: (message) =>
        new Promise((resolve, reject) => {
          if (socket.readyState !== socket.OPEN) return resolve();
          socket.send(message, (error) => (error ? reject(error) : resolve()));
        }),
      close: (code, reason) => socket.close(code, reason),
      onMessage: (handle) => {
        socket.on('message', (message) => void handle(String(message)).catch(fail));
      },
    },
    { socket, request },
  );
  // A frame that is malformed or too large: ws has closed the connection with the code for it.
  socket.on('error', (error) => logger.debug({ reason: error.message }, 'WebSocket error'));
  socket.once('close', (code, reason) => void closed(code, String(reason)));
}

/** Pings; a client that has not answered by the next ping is gone, whatever its network says. */
function closeWhenGone(socket: WebSocket): void {
  let hasAnswered = true;
  const pinging = setInterval(() => {
    if (!hasAnswered) return socket.terminate();
    hasAnswered = false;
    socket.ping();
  }, KEEP_ALIVE_MS);
  pinging.unref();
  socket.on('pong', () => {
    hasAnswered = true;
  });
  socket.once('close', () => clearInterval(pinging));
}

/** Browsers say where a page is from, and let any page connect: those of others are refused. */
function isFromForeignPage({ headers: { origin, host } }: IncomingMessage): boolean {
  return origin !== undefined && (!URL.canParse(origin) || new URL(origin).host !== host);
}

/** graphql-ws would end the connection for a syntax error, and all that is on it. */
function syntaxErrors(query: string): GraphQLError[] | undefined {
  try {
    parse(query);
    return undefined;
  } catch (error) {
    if (!(error instanceof GraphQLError)) throw error;
    return [
      new GraphQLError(error.message, {
        extensions: { code: 'GRAPHQL_PARSE_FAILED' },
        ...(error.source && { source: error.source }),
        ...(error.positions && { positions: error.positions }),
      }),
    ];
  }
}

function asJson({ errors, ...rest }: ExecutionResult): FormattedExecutionResult {
  return errors ? { ...rest, errors: errors.map((error) => error.toJSON()) } : rest;
}

function tooManyOperations(): GraphQLError {
  const message = `There are ${OPERATIONS_MAX} operations on this connection already.`;
  return new GraphQLError(message, { extensions: { code: 'TOO_MANY_OPERATIONS' } });
}

/** A client that has read nothing for ten seconds is told so, if it hears that, and let go of. */
function closeWhenStuck(socket: WebSocket, { socket: tcp }: IncomingMessage): void {
  socket.on('message', () => {
    if (tcp.writableLength > BACKLOG_BYTES_MAX) socket.terminate();
  });
  whenStuck(tcp, () => {
    socket.close(CLOSE_TOO_SLOW, 'Too slow: resume from your last cursor');
    setTimeout(() => socket.terminate(), CLOSE_GRACE_MS).unref();
  });
}

/** Watches what the operating system takes of a connection: pings and the like are no sign of reading. */
function whenStuck(tcp: Socket, letGo: () => void): void {
  let takenBytes = 0;
  let takenAt = Date.now();
  const look = setInterval(() => {
    const nowTakenBytes = tcp.bytesWritten - tcp.writableLength;
    if (tcp.writableLength === 0 || nowTakenBytes !== takenBytes) takenAt = Date.now();
    takenBytes = nowTakenBytes;
    if (Date.now() - takenAt < STUCK_MS) return;
    clearInterval(look);
    letGo();
  }, STUCK_LOOK_MS);
  look.unref();
  tcp.once('close', () => clearInterval(look));
}

function serveServerSentEvents(
  app: FastifyInstance,
  { schema, logger, contextOf }: StreamPorts,
): void {
  const open = new Set<{ destroy(): void }>();
  const handle = createHandler<RequestContext & Record<PropertyKey, unknown>>({
    schema,
    context: () => ({ ...contextOf(newRequestId()) }),
    onOperation: (_context, { context: { reply } }, _args, result) =>
      Symbol.asyncIterator in result ? atReadersPace(result, reply.raw) : result,
    onNext: ({ requestId }, _request, result) =>
      presentResult(result as ExecutionResult, requestId, logger),
  });
  app.route({
    method: ['GET', 'POST'],
    url: '/graphql/stream',
    handler: async (request, reply) => {
      reply.hijack();
      open.add(reply.raw);
      whenStuck(request.raw.socket, () => reply.raw.destroy());
      reply.raw.once('close', () => open.delete(reply.raw));
      try {
        await handle(request, reply);
      } catch (error) {
        logger.error({ err: error, requestId: request.id }, 'Unexpected error');
        reply.raw.destroy();
      }
    },
  });
  app.addHook('preClose', async () => {
    for (const response of open) response.destroy();
  });
}

/** graphql-sse takes all that there is to send at once: this gives it the next when the last is on its way. */
async function* atReadersPace<Item>(
  items: AsyncIterable<Item>,
  response: ServerResponse,
): AsyncGenerator<Item> {
  for await (const item of items) {
    yield item;
    while (response.writableNeedDrain && !response.destroyed) {
      await Promise.race([once(response, 'drain'), once(response, 'close')]);
    }
  }
}
