/** Subscriptions over WebSocket on /graphql, with graphql-transport-ws, the protocol of graphql-ws. */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { ExecutionResult, FormattedExecutionResult, GraphQLError } from 'graphql';
import {
  CloseCode,
  type Context,
  handleProtocols,
  MessageType,
  makeServer,
  type Server,
  type SubscribePayload,
} from 'graphql-ws';
import { v4 as newRequestId } from 'uuid';
import { type RawData, type WebSocket, WebSocketServer } from 'ws';
import type { RequestSource } from '../../domain/caller.js';
import { makeOutageLog } from '../../infrastructure/observability/outage-log.js';
import { CREDENTIALS_UNCHECKED, isFromThisMachine } from '../access/access.js';
import { type Authenticated, watchAccess } from '../access/authentication.js';
import { isFromForeignPage } from '../access/origins.js';
import { graphQLErrorOf, isErrorResponse } from '../error-response.js';
import { presentErrors, presentResult } from '../graphql-errors.js';
import { addressKeyOf, callerKeyOf } from '../limits/caller-key.js';
import { JsonScan } from '../limits/json-scan.js';
import { resolveOperation, type StreamPlace } from '../limits/operation-gate.js';
import type { OperationContext } from '../operation-context.js';
import { OperationRecord } from '../operation-record.js';
import { FrameSpans } from './frame-spans.js';
import type { SubscriptionArgs } from './shared-results.js';
import {
  bytesOf,
  graphQLError,
  KEEP_ALIVE_MS,
  prepareSubscription,
  type StreamPorts,
  whenStuck,
} from './streams.js';

/** Limits the bytes of one message, which a subscription keeps. Bulks use HTTP, which has its own limits. */
const MESSAGE_BYTES_MAX = 32 * 1_024;

/** Limits on the JSON of one message. */
const MESSAGE_LIMITS = { depthMax: 32, valuesMax: 10_000 };

/** The bytes on their way to a client, beyond which its next event waits until they are written. */
const UNSENT_BYTES_MAX = 16 * 1_024;

/** Limits the backlog of answers to a client's own messages, such as pings. */
const BACKLOG_BYTES_MAX = 1_024 * 1_024;

/** Limits the operations in progress on one connection, as its client counts them. */
const OPERATIONS_MAX = 100;

/** The same limit as the server counts. An operation that was completed during its start counts for a moment longer. */
const UNSETTLED_MAX = 2 * OPERATIONS_MAX;

/** The time for a client to read the close frame, before the connection is cut. */
const CLOSE_GRACE_MS = 2_000;

/** The close code of RFC 6455 for a server that goes away. */
const CLOSE_GOING_AWAY = 1_001;

/** The close code of IANA's registry for a service that is not available now. Its clients try again. */
const CLOSE_TRY_AGAIN_LATER = 1_013;

/**
 * The close code for a credential that is missing, wrong, expired or withdrawn. graphql-ws's client reconnects after
 * 4403, with growing pauses and a limited number of retries, and reads its connectionParams again. It gives up after
 * 4401.
 */
const CLOSE_NO_ACCESS = CloseCode.Forbidden;

/** The close code for a client that reads too slowly. The client reconnects, and resumes from its last cursor. */
const CLOSE_TOO_SLOW = 4_290;

/** The close code for a client that sends requests faster than the server can answer. */
const CLOSE_TOO_MANY = 4_291;

/** Data of a connection beside its protocol, which graphql-ws carries. */
interface ConnectionExtra extends Record<string, unknown> {
  readonly socket: WebSocket;
  readonly request: IncomingMessage;
  readonly remoteAddress: string;
  /** Set after the connection has authenticated. */
  authenticated?: Authenticated;
  /**
   * The places of the operations, by payload. The key is not the id, because an id may be reused before its operation has
   * ended.
   */
  readonly places: Map<object, StreamPlace>;
  /** The records of the operations for the log, by payload. */
  readonly records: Map<object, OperationRecord>;
}

export function serveWebSocket(app: FastifyInstance, ports: StreamPorts): void {
  const { schema, logger, gate, results, operationLog } = ports;
  const authenticate = makeAuthenticate(ports);
  const sockets = new WebSocketServer({
    // The WebSocket server is separate from the HTTP server, because it must not handle the HTTP server's errors.
    noServer: true,
    maxPayload: MESSAGE_BYTES_MAX,
    handleProtocols,
  });
  app.server.on('upgrade', (request, socket: Socket, head) => {
    const isForeign =
      isFromForeignPage(request, ports) || (ports.isOpen && !isFromThisMachine(request));
    const remoteAddress = ports.addressOf(request);
    if (isForeign) {
      operationLog.refuseConnection({ reason: 'FOREIGN_ORIGIN', remoteAddress });
      return refuseUpgrade(socket, '403 Forbidden');
    }
    // The connection authenticates later. Until then its address is its key.
    const place = gate.connect(addressKeyOf(remoteAddress));
    if (isErrorResponse(place)) {
      operationLog.refuseConnection({ reason: 'TOO_MANY_CONNECTIONS', remoteAddress });
      return refuseUpgrade(socket, '429 Too Many Requests');
    }
    socket.once('close', place);
    sockets.handleUpgrade(request, socket, head, (upgraded) => {
      sockets.emit('connection', upgraded, request);
    });
  });
  const server = makeServer<Record<string, unknown>, ConnectionExtra>({
    schema,
    subscribe: (args) => results.subscribe(args as SubscriptionArgs),
    // The result false closes the connection with CLOSE_NO_ACCESS.
    onConnect: ({ connectionParams, extra }) => authenticate(connectionParams, extra),
    onSubscribe: makeOnSubscribe(ports),
    onOperation: (...[{ extra }, id, payload, { contextValue }, result]) => {
      const place = extra.places.get(payload);
      const record = extra.records.get(payload);
      if (!place || !record || !isAsyncIterator(result)) return undefined;
      operationLog.begin(record, requestSourceOf(extra).caller);
      const context = contextValue as OperationContext;
      const spans = new FrameSpans(record);
      const head = `{"id":${JSON.stringify(id)},"type":"${MessageType.Next}","payload":`;
      return sendingEvents(result, {
        pay: place.payForEvent,
        send: (event) => {
          record.noteResult(event);
          const message = `${head}${results.jsonOf(event)}}`;
          return spans.trace(context.eventOrigin.traceparent, () =>
            send(extra.socket, extra.request.socket, message),
          );
        },
      });
    },
    onComplete: ({ extra }, _id, payload) => {
      extra.places.get(payload)?.release();
      extra.places.delete(payload);
      const record = extra.records.get(payload);
      if (record) operationLog.end(record, extra.authenticated?.caller);
      extra.records.delete(payload);
    },
    onError: (_context, _id, _payload, errors) =>
      presentErrors(errors, newRequestId(), logger).map((error) => error.toJSON()),
    onNext: (...[, , , { contextValue }, result]) => {
      const { source, record } = contextValue as OperationContext;
      const presented = presentResult(result as ExecutionResult, source.requestId, logger);
      record?.noteResult(presented);
      return asJson(presented);
    },
  });
  sockets.on('connection', (socket, request) => {
    const remoteAddress = ports.addressOf(request);
    speakProtocol({ socket, request, remoteAddress }, server, ports);
    closeWhenDisconnected(socket);
    closeWhenStuck(socket, request, ports);
  });
  app.addHook('preClose', async () => {
    for (const socket of sockets.clients) {
      socket.close(CLOSE_GOING_AWAY, 'The server is stopping: connect again, and resume');
    }
    // A client that reads nothing does not answer the close.
    const cut = setTimeout(() => {
      for (const socket of sockets.clients) socket.terminate();
    }, CLOSE_GRACE_MS);
    await new Promise((resolve) => sockets.close(resolve));
    clearTimeout(cut);
  });
}

/** Returns the function that admits a subscription, or answers the errors for which it is refused. */
function makeOnSubscribe(ports: StreamPorts) {
  const { schema, contextOf, gate, operationLog } = ports;
  return (
    {
      subscriptions,
      extra,
    }: Pick<Context<Record<string, unknown>, ConnectionExtra>, 'subscriptions' | 'extra'>,
    _id: string,
    payload: SubscribePayload,
  ) => {
    const { operationName, variables } = payload;
    const source = requestSourceOf(extra);
    const record = new OperationRecord('websocket', source.requestId);
    const refuse = (errors: readonly GraphQLError[]) => {
      record.noteResult({ errors });
      operationLog.end(record, source.caller);
      return errors;
    };
    if (Object.keys(subscriptions).length > OPERATIONS_MAX) return refuse([tooManyOperations()]);
    const caller = callerKeyOf(source);
    const query = gate.open(payload, caller);
    if (isErrorResponse(query)) return refuse([graphQLErrorOf(query)]);
    const prepared = prepareSubscription(ports, { query: query ?? '', operationName });
    if (isErrors(prepared)) return refuse(prepared);
    record.describeDocument(prepared, operationName);
    const operation = resolveOperation(prepared, operationName, variables);
    const size = { bytes: bytesOf({ query: query ?? '', variables }) };
    const place = operation && gate.begin(operation, caller, size);
    if (isErrorResponse(place)) return refuse([graphQLErrorOf(place)]);
    if (place) extra.places.set(payload, place);
    extra.records.set(payload, record);
    const contextValue = contextOf(source, { followAccounts: place?.followAccounts, record });
    return { schema, document: prepared, operationName, variableValues: variables, contextValue };
  };
}

/** Returns a function that authenticates a connection by its first message. The function returns false on failure. */
function makeAuthenticate({ authenticator, logger, operationLog }: StreamPorts) {
  const logOutage = makeOutageLog(logger, CREDENTIALS_UNCHECKED);
  return async (
    parameters: Record<string, unknown> | undefined,
    extra: ConnectionExtra,
  ): Promise<boolean> => {
    const authorization = authorizationOf(parameters, extra.request);
    const { socket } = extra;
    let found: Authenticated | undefined;
    try {
      found = await authenticator.authenticate(authorization);
    } catch (error) {
      logOutage(error, { requestId: newRequestId() });
      socket.close(CLOSE_TRY_AGAIN_LATER, 'Credentials cannot be checked now: try again');
      return false;
    }
    if (!found) {
      const reason = await authenticator.faultOf(authorization);
      operationLog.refuseConnection({ reason, remoteAddress: extra.remoteAddress });
      return false;
    }
    // A socket that closed meanwhile never emits 'close' again, so its watch would never end.
    if (socket.readyState !== socket.OPEN) return false;
    extra.authenticated = found;
    const endWatch = watchAccess(authenticator, authorization, found, (hasExpired) => {
      const reason = hasExpired ? 'The credential has expired' : 'Access was withdrawn';
      socket.close(CLOSE_NO_ACCESS, reason);
    });
    socket.once('close', endWatch);
    return true;
  };
}

/**
 * Returns the credential of a connection. A browser cannot set headers of a WebSocket, so the first message may contain
 * it.
 */
function authorizationOf(
  parameters: Record<string, unknown> | undefined,
  { headers }: IncomingMessage,
): string | undefined {
  const inParameters = parameters?.authorization ?? parameters?.Authorization;
  return typeof inParameters === 'string' ? inParameters : headers.authorization;
}

function requestSourceOf({ authenticated, remoteAddress, socket }: ConnectionExtra): RequestSource {
  if (!authenticated) throw new Error('The connection is not authenticated');
  return {
    caller: authenticated.caller,
    requestId: newRequestId(),
    remoteAddress,
    isAbandoned: () => socket.readyState !== socket.OPEN,
  };
}

/** Answers instead of upgrading. The socket is destroyed, because a half-open peer would keep it. */
function refuseUpgrade(socket: Socket, status: string): void {
  socket.write(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
  socket.destroySoon();
}

function isErrors<Errors extends readonly unknown[]>(
  prepared: object | Errors,
): prepared is Errors {
  return Array.isArray(prepared);
}

function isAsyncIterator(result: unknown): result is AsyncIterableIterator<ExecutionResult> {
  return typeof result === 'object' && result !== null && 'next' in result;
}

function asJson({ errors, ...rest }: ExecutionResult): FormattedExecutionResult {
  return errors ? { ...rest, errors: errors.map((error) => error.toJSON()) } : rest;
}

function tooManyOperations() {
  const message = `This connection has ${OPERATIONS_MAX} operations, the limit: end one, or open another connection.`;
  return graphQLError(message, 'TOO_MANY_OPERATIONS');
}

/**
 * Connects graphql-ws to ws, like its own adapter. Unlike that adapter, it logs errors to the server's log, and does
 * not log errors of the client.
 */
function speakProtocol(
  { socket, request, remoteAddress }: Pick<ConnectionExtra, 'socket' | 'request' | 'remoteAddress'>,
  server: Server<ConnectionExtra>,
  { logger, operationLog }: Pick<StreamPorts, 'logger' | 'operationLog'>,
): void {
  let unsettled = 0;
  const places = new Map<object, StreamPlace>();
  const records = new Map<object, OperationRecord>();
  const closed = server.opened(
    {
      protocol: socket.protocol,
      send: (message) => send(socket, request.socket, message),
      close: (code, reason) => socket.close(code, closeReason(reason)),
      onMessage: (handle) => {
        socket.on('message', async (message) => {
          if (unsettled >= UNSETTLED_MAX) {
            operationLog.countLimit('TOO_MANY_OPERATIONS');
            return socket.close(CLOSE_TOO_MANY, 'Too many operations');
          }
          const text = textOf(message);
          if (text === undefined) return socket.close(CloseCode.BadRequest, 'Invalid message');
          unsettled += 1;
          try {
            await handle(text);
          } catch (error) {
            // An error in a message to a disconnected client is expected.
            if (socket.readyState !== socket.OPEN) return;
            if (!isFromClient(text)) {
              return socket.close(
                CloseCode.BadRequest,
                'Only a server may send this type of message',
              );
            }
            logger.error({ err: error }, 'WebSocket message failed');
            socket.close(CloseCode.InternalServerError, 'Internal server error');
          } finally {
            unsettled -= 1;
          }
        });
      },
    },
    { socket, request, remoteAddress, places, records },
  );
  // The frame is malformed or too large. ws has closed the connection with the matching code.
  socket.on('error', (error) => logger.debug({ reason: error.message }, 'WebSocket error'));
  socket.once('close', (code, reason) => {
    for (const { release } of places.values()) release();
    void closed(code, String(reason));
  });
}

interface EventTransport {
  readonly pay: () => Promise<void>;
  readonly send: (event: ExecutionResult) => Promise<void> | undefined;
}

/**
 * Sends the events of a subscription, each after it is paid for. Events without errors are sent here, because graphql-ws
 * would serialise each event again for each subscriber. It gets the others, which are different for each subscriber.
 */
function sendingEvents(
  events: AsyncIterableIterator<ExecutionResult>,
  { pay, send }: EventTransport,
): AsyncIterableIterator<ExecutionResult> {
  let isOver = false;
  return {
    next: async () => {
      for (;;) {
        await pay();
        const next = await events.next();
        if (next.done || next.value.errors) return next;
        if (isOver) return { done: true, value: undefined };
        try {
          await send(next.value);
        } catch (error) {
          // graphql-ws ends only what yields an event.
          await events.return?.();
          throw error;
        }
      }
    },
    return: async () => {
      isOver = true;
      return (await events.return?.()) ?? { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

/**
 * Sends a message. The messages of one tick go out in one write.
 * @returns a promise that waits until the client has taken messages, if many are on their way
 */
function send(socket: WebSocket, tcp: Socket, message: string): Promise<void> | undefined {
  if (socket.readyState !== socket.OPEN) return undefined;
  if (tcp.writableCorked === 0) {
    tcp.cork();
    process.nextTick(() => tcp.uncork());
  }
  if (tcp.writableLength < UNSENT_BYTES_MAX) {
    socket.send(message);
    return undefined;
  }
  return new Promise((resolve, reject) => {
    socket.send(message, (error) => {
      // The close of a connection ends its subscriptions.
      if (error && socket.readyState === socket.OPEN) reject(error);
      else resolve();
    });
  });
}

/** Message types that a client may send. graphql-ws throws on the other types of the protocol. */
const CLIENT_MESSAGE_TYPES: readonly unknown[] = [
  MessageType.ConnectionInit,
  MessageType.Ping,
  MessageType.Pong,
  MessageType.Subscribe,
  MessageType.Complete,
];

/** Tells whether a well-formed message has a type that a client may send. */
function isFromClient(text: string): boolean {
  return CLIENT_MESSAGE_TYPES.includes(JSON.parse(text).type);
}

/**
 * Returns the text of a message; undefined for a message over a limit. The protocol needs no such nesting, and few
 * programs can handle it.
 */
function textOf(message: RawData): string | undefined {
  const bytes = Buffer.isBuffer(message) ? message : Buffer.concat([message].flat().map(toBuffer));
  return new JsonScan(MESSAGE_LIMITS).feed(bytes) === undefined ? bytes.toString() : undefined;
}

function toBuffer(part: ArrayBuffer | Buffer): Buffer {
  return Buffer.isBuffer(part) ? part : Buffer.from(part);
}

/** The bytes of a close frame's reason, beside its code: RFC 6455, 5.5. */
const CLOSE_REASON_BYTES_MAX = 123;

/**
 * Returns a reason that fits. A reason may quote client input, such as the id of an operation, and ws throws if it is
 * too long.
 */
function closeReason(reason = ''): string {
  return Buffer.byteLength(reason) <= CLOSE_REASON_BYTES_MAX ? reason : 'See the close code';
}

/**
 * Sends pings. A client that has not answered by the next ping counts as disconnected, whatever the network reports.
 */
function closeWhenDisconnected(socket: WebSocket): void {
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

/**
 * Disconnects a client that has read nothing for ten seconds. The client gets a close code, if it can still receive it.
 */
function closeWhenStuck(
  socket: WebSocket,
  { socket: tcp }: IncomingMessage,
  ports: Pick<StreamPorts, 'operationLog'>,
): void {
  socket.on('message', () => {
    if (tcp.writableLength > BACKLOG_BYTES_MAX) socket.terminate();
  });
  const endWatch = whenStuck(tcp, ports, () => {
    socket.close(CLOSE_TOO_SLOW, 'The client reads too slowly: resume from your last cursor');
    setTimeout(() => socket.terminate(), CLOSE_GRACE_MS).unref();
  });
  socket.once('close', endWatch);
}
