/**
 * Subscriptions as server-sent events on /graphql/stream, for clients behind proxies that break WebSocket. The server
 * implements the distinct connections mode of the GraphQL over SSE protocol, which graphql-sse's client uses. Source:
 * https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md
 *
 * graphql-sse's own server is not used, because it has no backpressure: it pulls all available events at once. This
 * server pulls an event when the client has room for it.
 *
 * The `id` of an event is its cursor. EventSource sends the last id as Last-Event-ID when it reconnects, with the
 * address of its first connection. The subscription resumes after the newer of Last-Event-ID and its own `after`.
 */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type DocumentNode, type ExecutionResult, type GraphQLError } from 'graphql';
import { z } from 'zod';
import { authenticatedBy, requestSourceOf } from '../access/access.js';
import { watchAccess } from '../access/authentication.js';
import { isErrorResponse, sendErrorResponse } from '../error-response.js';
import { presentResult } from '../graphql-errors.js';
import { OVERLOADED } from '../limits/body-budget.js';
import { callerKeyOf } from '../limits/caller-key.js';
import { unitsPaidBy } from '../limits/json-body.js';
import { resolveOperation, type StreamPlace } from '../limits/operation-gate.js';
import type { OperationContext } from '../operation-context.js';
import { recordOf } from '../operation-record.js';
import { FrameSpans } from './frame-spans.js';
import {
  bytesOf,
  KEEP_ALIVE_MS,
  prepareSubscription,
  type StreamPorts,
  whenStuck,
} from './streams.js';

/**
 * The parameters of a request. POST has them in its body. GET, the only method of EventSource, has them in its address.
 */
const streamRequest = z.object({
  query: z.string(),
  operationName: z.string().nullish(),
  variables: z.record(z.string(), z.unknown()).nullish(),
});

type StreamRequest = z.infer<typeof streamRequest>;

/** A document to execute, or the errors that prevent its execution. */
type Prepared = DocumentNode | readonly GraphQLError[];

interface PreparedRequest extends StreamRequest {
  readonly prepared: Prepared;
  /** Undefined if the request is refused. */
  readonly place: StreamPlace | undefined;
}

export function serveServerSentEvents(app: FastifyInstance, ports: StreamPorts): void {
  const open = new Set<ServerResponse>();
  let isStopping = false;
  app.route({
    method: ['GET', 'POST'],
    url: '/graphql/stream',
    handler: async (request, reply) => {
      // The client disconnected during authentication. The `close` event has passed, so no listener would receive it.
      if (request.raw.socket.destroyed) return reply.hijack();
      // The connection was open before the stop. A new stream would delay the stop.
      if (isStopping) return sendErrorResponse(reply, OVERLOADED);
      const parameters = readRequest(request);
      if (!parameters) {
        const message = 'Send a query, and an operationName and variables if needed, as JSON.';
        return reply.code(400).send({ errors: [{ message, extensions: { code: 'BAD_REQUEST' } }] });
      }
      const { operationName, variables } = parameters;
      const prepared = prepareSubscription(ports, parameters);
      const record = recordOf(request);
      if (isDocument(prepared)) record?.describeDocument(prepared, operationName);
      const operation =
        isDocument(prepared) && resolveOperation(prepared, operationName, variables);
      const size = { bytes: bytesOf(parameters), unitsPaid: unitsPaidBy(request) };
      const place = operation
        ? ports.gate.begin(operation, callerKeyOf(requestSourceOf(request)), size)
        : undefined;
      if (isErrorResponse(place)) return sendErrorResponse(reply, place);
      open.add(reply.raw);
      reply.raw.once('close', () => {
        open.delete(reply.raw);
        place?.release();
      });
      await stream({ ...parameters, prepared, place }, request, reply, ports);
    },
  });
  app.addHook('preClose', async () => {
    isStopping = true;
    // The server does not send the protocol's `complete`, because the client can resume on another instance.
    for (const response of open) response.destroy();
  });
}

function readRequest({ method, query, body }: FastifyRequest): StreamRequest | undefined {
  const given = method === 'POST' ? body : withParsedVariables(query);
  return streamRequest.safeParse(given).data;
}

function withParsedVariables(query: unknown): unknown {
  if (typeof query !== 'object' || query === null || !('variables' in query)) return query;
  try {
    return { ...query, variables: JSON.parse(String(query.variables)) };
  } catch {
    return undefined;
  }
}

async function stream(
  parameters: PreparedRequest,
  request: FastifyRequest,
  reply: FastifyReply,
  ports: StreamPorts,
): Promise<void> {
  reply.hijack();
  const response = reply.raw;
  response.writeHead(200, {
    ...(reply.getHeaders() as Record<string, string>),
    'content-type': 'text/event-stream; charset=utf-8',
    // A proxy that compresses would delay events.
    'cache-control': 'no-cache, no-transform',
    // nginx would buffer events.
    'x-accel-buffering': 'no',
  });
  // The headers are sent at once, so that the stream counts as open before its first event.
  response.flushHeaders();
  // The client reset its connection, so there is no recipient for the error.
  response.on('error', () => {});
  const endWatch = whenStuck(request.raw.socket, ports, () => response.destroy());
  const endAccess = watchAccess(
    ports.authenticator,
    request.headers.authorization,
    authenticatedBy(request),
    () => response.destroy(),
  );
  const keepingAlive = setInterval(() => response.write(':\n\n'), KEEP_ALIVE_MS);
  response.once('close', () => {
    endWatch();
    endAccess();
    clearInterval(keepingAlive);
  });
  try {
    const context = ports.contextOf(requestSourceOf(request), {
      ...lastEventIdOf(request),
      followAccounts: parameters.place?.followAccounts,
    });
    const record = recordOf(request);
    const results = await resultsOf(parameters, request, context, ports);
    if (record?.type) ports.operationLog.begin(record, context.source.caller);
    await sendResults(results, response, {
      context,
      spans: record && new FrameSpans(record),
      jsonOf: (result) => {
        record?.noteResult(result);
        return ports.results.jsonOf(result);
      },
    });
  } catch (error) {
    ports.logger.error({ err: error, requestId: request.id }, 'Unexpected error');
    response.destroy();
  }
}

async function* refused(errors: readonly GraphQLError[]): AsyncGenerator<ExecutionResult> {
  yield { errors };
}

/** Returns the cursor of the last event that the client received on its previous stream. */
function lastEventIdOf({ headers }: FastifyRequest): { readonly lastEventId?: string } {
  const { 'last-event-id': lastEventId } = headers;
  return typeof lastEventId === 'string' && lastEventId !== '' ? { lastEventId } : {};
}

/** Returns the results of a request. The protocol sends errors as results, too. */
async function resultsOf(
  { prepared, operationName, variables, place }: PreparedRequest,
  request: FastifyRequest,
  contextValue: OperationContext,
  { schema, logger, results: shared }: StreamPorts,
): Promise<AsyncIterator<ExecutionResult>> {
  const results = isDocument(prepared)
    ? await shared.subscribe({
        schema,
        document: prepared,
        operationName: operationName ?? null,
        variableValues: variables ?? null,
        contextValue,
      })
    : refused(prepared);
  const iterator = 'next' in results ? results : refused(results.errors ?? []);
  return {
    next: async () => {
      await place?.payForEvent();
      const { done, value } = await iterator.next();
      return done ? { done, value } : { value: presentResult(value, request.id, logger) };
    },
    return: async () => (await iterator.return?.()) ?? { done: true, value: undefined },
  };
}

function isDocument(prepared: Prepared): prepared is DocumentNode {
  return 'kind' in prepared;
}

interface ResultFormat {
  readonly context: Pick<OperationContext, 'eventOrigin'>;
  readonly spans: FrameSpans | undefined;
  readonly jsonOf: (result: ExecutionResult) => string;
}

/** Sends each result after the previous one is on its way. The results end at once when the client disconnects. */
async function sendResults(
  iterator: AsyncIterator<ExecutionResult>,
  response: ServerResponse,
  { context, spans, jsonOf }: ResultFormat,
): Promise<void> {
  const end = () => void iterator.return?.();
  response.once('close', end);
  if (response.destroyed) end();
  for (;;) {
    const { done, value } = await iterator.next();
    if (response.destroyed) return;
    if (done) break;
    const { cursor, traceparent } = context.eventOrigin;
    const id = cursor === undefined ? '' : `id: ${cursor}\n`;
    const event = `event: next\n${id}data: ${jsonOf(value)}\n\n`;
    const send = () => write(response, event);
    await (spans ? spans.trace(traceparent, send) : send());
  }
  response.end('event: complete\ndata:\n\n');
}

async function write(response: ServerResponse, text: string): Promise<void> {
  if (response.write(text) || response.destroyed) return;
  const waiting = new AbortController();
  const { signal } = waiting;
  await Promise.race([
    once(response, 'drain', { signal }),
    once(response, 'close', { signal }),
  ]).catch(() => {});
  waiting.abort();
}
