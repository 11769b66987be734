/** Subscriptions over WebSocket on /graphql: graphql-transport-ws, the protocol of graphql-ws. */
import type { IncomingMessage } from 'node:http';
import type { FastifyInstance } from 'fastify';
import type { ExecutionResult, FormattedExecutionResult } from 'graphql';
import { CloseCode, handleProtocols, makeServer, type Server } from 'graphql-ws';
import { v4 as newRequestId } from 'uuid';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Origin } from '../../domain/caller.js';
import type { RequestContext } from '../../resolvers/context.js';
import type { Logger } from '../observability/logger.js';
import { isFromThisMachine } from './access.js';
import { type Authenticated, watchAccess } from './authentication.js';
import { presentErrors, presentResult } from './graphql-errors.js';
import {
  KEEP_ALIVE_MS,
  prepareSubscription,
  refusal,
  type StreamPorts,
  whenStuck,
} from './streams.js';

/** Of one message: bulks go over HTTP, which bounds them by itself. */
const MESSAGE_BYTES_MAX = 128 * 1_024;

/** What a client may let pile up of answers to its own messages, pings among them. */
const BACKLOG_BYTES_MAX = 1_024 * 1_024;

/** Operations under way on one connection, as its client sees it. */
const OPERATIONS_MAX = 100;

/** As the server sees it: those that were completed while they began are under way for a moment more. */
const UNSETTLED_MAX = 2 * OPERATIONS_MAX;

/** For the close to be read, before the connection is cut. */
const CLOSE_GRACE_MS = 2_000;

/** RFC 6455: the server goes away. */
const CLOSE_GOING_AWAY = 1_001;

/** Closed for reading too slowly: connect again, and resume from the last cursor. */
const CLOSE_TOO_SLOW = 4_290;

/** Closed for asking faster than can be answered. */
const CLOSE_TOO_MANY = 4_291;

/** What graphql-ws knows of a connection beside its protocol. */
interface ConnectionExtra extends Record<string, unknown> {
  readonly socket: WebSocket;
  readonly request: IncomingMessage;
  /** Set once it has said who it is. */
  authenticated?: Authenticated;
}

export function serveWebSocket(app: FastifyInstance, ports: StreamPorts): void {
  const { schema, logger, authenticator, contextOf } = ports;
  const sockets = new WebSocketServer({
    // Without the HTTP server, whose own errors are not this one's.
    noServer: true,
    maxPayload: MESSAGE_BYTES_MAX,
    handleProtocols,
  });
  app.server.on('upgrade', (request, socket, head) => {
    const isOurs = request.url?.split('?')[0] === '/graphql';
    if (!isOurs) return socket.end(plainAnswer('404 Not Found'));
    const isForeign = isFromForeignPage(request) || (ports.isOpen && !isFromThisMachine(request));
    if (isForeign) return socket.end(plainAnswer('403 Forbidden'));
    sockets.handleUpgrade(request, socket, head, (upgraded) => {
      sockets.emit('connection', upgraded, request);
    });
  });
  const server = makeServer<Record<string, unknown>, ConnectionExtra>({
    schema,
    // false closes with 4403, the protocol's code for it.
    onConnect: async ({ connectionParams, extra }) => {
      const authorization = authorizationOf(connectionParams, extra.request);
      const found = await authenticator.authenticate(authorization);
      if (!found) return false;
      extra.authenticated = found;
      const { socket } = extra;
      const endWatch = watchAccess(authenticator, authorization, found, (hasExpired) =>
        hasExpired
          ? socket.close(CloseCode.Unauthorized, 'The token has expired')
          : socket.close(CloseCode.Forbidden, 'Access was withdrawn'),
      );
      socket.once('close', endWatch);
      return true;
    },
    onSubscribe: ({ subscriptions, extra }, _id, { query, operationName, variables }) => {
      if (Object.keys(subscriptions).length > OPERATIONS_MAX) return [tooManyOperations()];
      const prepared = prepareSubscription(schema, { query, operationName });
      if (isErrors(prepared)) return prepared;
      const contextValue = contextOf(originOf(extra));
      return { schema, document: prepared, operationName, variableValues: variables, contextValue };
    },
    onError: (_context, _id, _payload, errors) =>
      presentErrors(errors, newRequestId(), logger).map((error) => error.toJSON()),
    onNext: (_context, _id, _payload, { contextValue }, result) => {
      const { requestId } = (contextValue as RequestContext).origin;
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

/** A browser can set no header of a WebSocket, so its first message says who it is. */
function authorizationOf(
  parameters: Record<string, unknown> | undefined,
  { headers }: IncomingMessage,
): string | undefined {
  const inParameters = parameters?.authorization ?? parameters?.Authorization;
  return typeof inParameters === 'string' ? inParameters : headers.authorization;
}

function originOf({ authenticated, request }: ConnectionExtra): Origin {
  if (!authenticated) throw new Error('The connection has not said who it is');
  return {
    caller: authenticated.caller,
    requestId: newRequestId(),
    remoteAddress: request.socket.remoteAddress ?? '',
  };
}

function plainAnswer(status: string): string {
  return `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`;
}

/** Browsers say where a page is from, and let any page connect: those of others are refused. */
function isFromForeignPage({ headers: { origin, host } }: IncomingMessage): boolean {
  return origin !== undefined && (!URL.canParse(origin) || new URL(origin).host !== host);
}

function isErrors<Errors extends readonly unknown[]>(
  prepared: object | Errors,
): prepared is Errors {
  return Array.isArray(prepared);
}

function asJson({ errors, ...rest }: ExecutionResult): FormattedExecutionResult {
  return errors ? { ...rest, errors: errors.map((error) => error.toJSON()) } : rest;
}

function tooManyOperations() {
  const message = `There are ${OPERATIONS_MAX} operations on this connection already.`;
  return refusal(message, 'TOO_MANY_OPERATIONS');
}

/** graphql-ws over ws, like its own adapter, but that errors go to our log, and a client's own to none. */
function speakProtocol(
  socket: WebSocket,
  request: IncomingMessage,
  server: Server<ConnectionExtra>,
  logger: Logger,
): void {
  let unsettled = 0;
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
        socket.on('message', async (message) => {
          if (unsettled >= UNSETTLED_MAX)
            return socket.close(CLOSE_TOO_MANY, 'Too many operations');
          unsettled += 1;
          try {
            await handle(String(message));
          } catch (error) {
            // What was on its way to a client that went away is nobody's mistake.
            if (socket.readyState !== socket.OPEN) return;
            logger.error({ err: error }, 'A WebSocket message could not be handled');
            socket.close(CloseCode.InternalServerError, 'Internal server error');
          } finally {
            unsettled -= 1;
          }
        });
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

/** A client that has read nothing for ten seconds is told so, if it hears that, and let go of. */
function closeWhenStuck(socket: WebSocket, { socket: tcp }: IncomingMessage): void {
  socket.on('message', () => {
    if (tcp.writableLength > BACKLOG_BYTES_MAX) socket.terminate();
  });
  const endWatch = whenStuck(tcp, () => {
    socket.close(CLOSE_TOO_SLOW, 'Too slow: resume from your last cursor');
    setTimeout(() => socket.terminate(), CLOSE_GRACE_MS).unref();
  });
  socket.once('close', endWatch);
}
