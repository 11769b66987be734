/** Makes a span of each HTTP request to the API. It continues the trace of the request's traceparent. */
import type { ApolloServerPlugin } from '@apollo/server';
import type { FastifyInstance } from 'fastify';
import {
  contextOf,
  contextWith,
  describeActiveSpan,
  inContext,
  SpanKind,
  startSpan,
} from '../infrastructure/observability/tracing.js';
import type { RequestContext } from '../resolvers/context.js';

const ROUTE = '/graphql';

/** Traces requests. The hook uses a callback, so that the span covers the rest of the request. */
export function traceRequests(app: FastifyInstance): void {
  app.addHook('onRequest', (request, reply, next) => {
    if (request.routeOptions.url !== ROUTE) return next();
    const { traceparent } = request.headers;
    const span = startSpan(`${request.method} ${ROUTE}`, {
      kind: SpanKind.SERVER,
      parent: contextOf(typeof traceparent === 'string' ? traceparent : null),
      attributes: {
        'http.request.method': request.method,
        'http.route': ROUTE,
        'url.scheme': request.protocol,
        'url.path': ROUTE,
        'virement.request.id': request.id,
      },
    });
    reply.raw.once('close', () => {
      span.setAttribute('http.response.status_code', reply.raw.statusCode);
      if (!reply.raw.writableFinished) span.setAttribute('error.type', 'client disconnected');
      span.end();
    });
    inContext(contextWith(span), next);
  });
}

/** Names the operation in the span of its request. */
export function operationSpanPlugin(): ApolloServerPlugin<RequestContext> {
  return {
    requestDidStart: async () => ({
      didResolveOperation: async ({ operation, operationName }) => {
        if (!operation) return;
        describeActiveSpan({
          'graphql.operation.type': operation.operation,
          ...(operationName !== null && { 'graphql.operation.name': operationName }),
        });
      },
    }),
  };
}
