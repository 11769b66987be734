import { join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ApolloServer } from '@apollo/server';
import {
  ApolloServerPluginCacheControlDisabled,
  ApolloServerPluginLandingPageDisabled,
} from '@apollo/server/plugin/disabled';
import fastifyApollo from '@as-integrations/fastify';
import fastifyStatic from '@fastify/static';
import {
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  fastify,
  LogController,
} from 'fastify';
import { type GraphQLSchema, lexicographicSortSchema, printSchema } from 'graphql';
import { v4 as newRequestId } from 'uuid';
import type { AccountFeeds } from '../application/ports/account-feeds.js';
import type { AuditLog } from '../application/ports/audit-log.js';
import type { ExportLinks, OpenExport } from '../application/ports/exports.js';
import type { ImportOrders } from '../application/ports/import-orders.js';
import type { OrderFeeds } from '../application/ports/order-feeds.js';
import type { ScopeLedger } from '../application/ports/scoped-ledger-reader.js';
import { visibleOrganizations } from '../domain/caller.js';
import { ForbiddenError, UnavailableError } from '../domain/errors.js';
import { WEB } from '../files.js';
import { unavailabilityOf } from '../infrastructure/database/unavailability.js';
import type { EventLoopTurns } from '../infrastructure/fair-turns.js';
import type { Logger } from '../infrastructure/observability/logger.js';
import { inRequestScope } from '../infrastructure/observability/request-scope.js';
import { guardAccess, requestSourceOf } from './access/access.js';
import type { Authenticator } from './access/authentication.js';
import { guardOrigins, type OriginSettings } from './access/origins.js';
import type { AddressOf } from './access/remote-address.js';
import { addSecurityHeaders, headersOnce } from './access/security-headers.js';
import type { TrustedDocuments } from './access/trusted-documents.js';
import { bulkRowsPlugin } from './bulk-rows.js';
import { outageResponse, RequestError, sendErrorResponse } from './error-response.js';
import { serveExports } from './exports.js';
import { errorPlugin, makeFormatError, maskedError } from './graphql-errors.js';
import { type ImportSettings, serveImports } from './imports.js';
import {
  FAVICON,
  LANDING_SCRIPT,
  landingPage,
  type PageSettings,
  type ServerDescription,
} from './landing-page.js';
import { callerKeyOf } from './limits/caller-key.js';
import {
  boundHandling,
  boundHeaders,
  connectionOptions,
  type ReceiveSettings,
} from './limits/connection-limits.js';
import { type ConnectionSettings, Connections } from './limits/connections.js';
import { type BodySettings, parseJsonBodies, unitsPaidBy } from './limits/json-body.js';
import { noteSmallRequests } from './limits/large-requests.js';
import { admitOperations, costPlugin } from './limits/operation-admission.js';
import { type GateSettings, OperationGate } from './limits/operation-gate.js';
import { type MetricsSettings, type ReadMetrics, serveMetrics } from './metrics.js';
import { type ContextFactory, OperationContext, RowCharger } from './operation-context.js';
import { logOperations, type OperationLog, operationLogPlugin } from './operation-log.js';
import { recordOf } from './operation-record.js';
import { answerProbes, type ProbePorts } from './probes.js';
import { operationSpanPlugin, traceRequests } from './request-spans.js';
import { serveServerSentEvents } from './streams/server-sent-events.js';
import { SharedResults } from './streams/shared-results.js';
import { serveWebSocket } from './streams/websocket.js';

/** Settings with the names of the configuration. */
export interface HttpSettings
  extends GateSettings,
    BodySettings,
    ReceiveSettings,
    ConnectionSettings,
    OriginSettings,
    MetricsSettings,
    PageSettings,
    ImportSettings {
  /** The time after which a request is answered with 503. The database's own timeout ends its statements. */
  readonly requestTimeoutMs: number;
}

export interface HttpServerPorts extends ProbePorts {
  readonly addressOf: AddressOf;
  readonly schema: GraphQLSchema;
  readonly scopeLedger: ScopeLedger;
  readonly feeds: AccountFeeds;
  readonly orderFeeds: OrderFeeds;
  readonly importOrders: ImportOrders;
  readonly openExport: OpenExport;
  readonly exportLinks: ExportLinks;
  readonly audit: AuditLog;
  readonly authenticator: Authenticator;
  /** Tells whether authentication is off, so that every client may do everything. */
  readonly isOpen: boolean;
  readonly logger: Logger;
  readonly settings: HttpSettings;
  /** The server's description on the first page. */
  readonly description: ServerDescription;
  readonly trustedDocuments: TrustedDocuments;
  readonly turns: EventLoopTurns;
  readonly readMetrics: ReadMetrics;
  readonly operationLog: OperationLog;
}

const WEB_FOLDER = fileURLToPath(WEB);

/** The folder of files whose names contain a hash of their content. Changed content has another name. */
const ASSETS = join(WEB_FOLDER, 'assets', sep);
const CACHED_FOR_GOOD = 'public, max-age=31536000, immutable';

/** Returns the SDL of a schema, as it is served and committed. The SDL is sorted, so that a change is a small diff. */
export function sdlOf(schema: GraphQLSchema): string {
  return `${printSchema(lexicographicSortSchema(schema))}\n`;
}

/** Makes the HTTP server with everything that it serves. The caller listens and closes. */
export async function makeHttpServer(ports: HttpServerPorts): Promise<FastifyInstance> {
  const { schema, scopeLedger, feeds, logger, settings } = ports;
  const gate = new OperationGate(schema, settings, ports.trustedDocuments);
  const contextOf: ContextFactory = (source, ofRequest = {}) =>
    new OperationContext({
      source,
      reader: scopeLedger(visibleOrganizations(source.caller), {
        key: callerKeyOf(source),
        isAbandoned: source.isAbandoned,
      }),
      feeds,
      orderFeeds: ports.orderFeeds,
      audit: ports.audit,
      rowCharger: new RowCharger(gate, callerKeyOf(source)),
      ...ofRequest,
    });
  const loggerInstance: FastifyBaseLogger = logger;
  const app = fastify({
    loggerInstance,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: settings.bodyLimitBytes,
    ...connectionOptions(settings),
    frameworkErrors: answerFrameworkError,
    genReqId: () => newRequestId(),
    requestIdHeader: false,
  });
  answerErrorsAsGraphQL(app, logger);
  parseJsonBodies(app, { gate, turns: ports.turns, settings });
  noteSmallRequests(app, ports.turns);
  const connections = new Connections(app, settings, logger, ports.operationLog);
  boundHandling(app, settings.requestTimeoutMs);
  boundHeaders(app);
  addSecurityHeaders(app);
  beginRequests(app, settings);
  logOperations(app, ports.operationLog);
  traceRequests(app);

  // Origins are checked before access, because a browser sends its preflight without a token.
  await guardOrigins(app, ports);
  guardAccess(app, ports);
  admitOperations(app, gate, connections);

  const apollo = makeApollo(ports, gate);
  await apollo.start();
  app.addHook('onClose', () => apollo.stop());
  await app.register(fastifyApollo(apollo), {
    path: '/graphql',
    context: async (request: FastifyRequest) =>
      contextOf(requestSourceOf(request), {
        idempotencyKeyHeaders: request.raw.headersDistinct['idempotency-key'] ?? [],
        unitsPaid: unitsPaidBy(request),
        record: recordOf(request),
      }),
  });
  const streamPorts = { ...ports, contextOf, gate, results: new SharedResults() };
  serveWebSocket(app, streamPorts);
  serveServerSentEvents(app, streamPorts);
  await serveImports(app, { ...ports, gate, connections });
  serveExports(app, { ...ports, gate, connections });
  answerProbes(app, ports);
  app.addHook('preClose', () => connections.linger());

  await servePages(app, ports);
  if (settings.metricsPort === undefined) serveMetrics(app, ports.readMetrics);
  return app;
}

/** Gives each request its id and scope, and redirects a browser that opens the API's address to GraphiQL. */
function beginRequests(app: FastifyInstance, { graphiql }: Pick<HttpSettings, 'graphiql'>): void {
  // The hook uses a callback, so that the scope covers the rest of the request.
  app.addHook('onRequest', (request, _, next) => {
    inRequestScope({ requestId: request.id, traceparent: request.headers.traceparent }, next);
  });
  app.addHook('onRequest', (request, reply, next) => {
    reply.header('x-request-id', request.id);
    const isBrowser =
      graphiql && request.method === 'GET' && request.headers.accept?.includes('text/html');
    if (isBrowser && request.url === '/graphql') reply.redirect('/graphiql/');
    else next();
  });
}

function makeApollo(
  { schema, settings, logger }: HttpServerPorts,
  gate: OperationGate,
): ApolloServer<OperationContext> {
  return new ApolloServer<OperationContext>({
    schema,
    formatError: makeFormatError({ hasSuggestions: settings.introspection, logger }),
    introspection: settings.introspection,
    parseOptions: { maxTokens: settings.operationTokensMax },
    allowBatchedHttpRequests: false,
    csrfPrevention: true,
    includeStacktraceInErrorResponses: false,
    persistedQueries: false,
    stopOnTerminationSignals: false,
    plugins: [
      ApolloServerPluginLandingPageDisabled(),
      // This plugin would wrap the resolver of every field, and no answer may be cached.
      ApolloServerPluginCacheControlDisabled(),
      errorPlugin(logger),
      costPlugin(gate),
      operationSpanPlugin(),
      // It notes what the plugins before it have answered.
      operationLogPlugin(),
      // The cost depends on the number of rows.
      bulkRowsPlugin(schema),
    ],
    logger,
  });
}

/** Serves the pages for humans that the settings allow. */
async function servePages(
  app: FastifyInstance,
  { schema, settings, description }: HttpServerPorts,
): Promise<void> {
  app.get('/', ({ headers }, reply) =>
    reply.type('text/html; charset=utf-8').send(landingPage(settings, description, headers.host)),
  );
  app.get('/landing-page.js', (_, reply) =>
    reply.type('text/javascript; charset=utf-8').send(LANDING_SCRIPT),
  );
  app.get('/favicon.svg', (_, reply) => reply.type('image/svg+xml').send(FAVICON));
  if (settings.introspection) {
    const sdl = sdlOf(schema);
    app.get('/schema.graphql', (_, reply) => reply.type('text/plain; charset=utf-8').send(sdl));
  }
  if (!settings.graphiql) return;
  await app.register(fastifyStatic, {
    root: WEB_FOLDER,
    prefix: '/graphiql',
    // An array is required: with a string, @fastify/static finds no compressed file and answers 404.
    index: ['graphiql.html'],
    redirect: true,
    cacheControl: false,
    // The build also wrote each file compressed.
    preCompressed: true,
    setHeaders: (reply, path) => {
      reply.header('cache-control', path.startsWith(ASSETS) ? CACHED_FOR_GOOD : 'no-cache');
    },
  });
}

/** Answers an address that Fastify cannot parse. This happens before any route, so no hook has seen the request. */
function answerFrameworkError(
  { statusCode = 500 }: FastifyError,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  const message = 'The path of the URL is not percent-encoded UTF-8.';
  const extensions = { code: CODES[statusCode] ?? 'BAD_REQUEST' };
  reply
    .code(statusCode)
    .headers({ ...headersOnce(), 'x-request-id': request.id })
    .send({ errors: [{ message, extensions }] });
}

/** Codes of errors before GraphQL execution, by HTTP status. */
const CODES: Readonly<Record<number, string>> = {
  400: 'BAD_REQUEST',
  403: 'FORBIDDEN',
  404: 'NOT_FOUND',
  405: 'METHOD_NOT_ALLOWED',
  413: 'PAYLOAD_TOO_LARGE',
  414: 'URI_TOO_LONG',
  415: 'UNSUPPORTED_MEDIA_TYPE',
  503: 'TIMEOUT',
};

function statusOf(error: FastifyError): number {
  return error instanceof ForbiddenError ? 403 : (error.statusCode ?? 500);
}

/** Answers every error in GraphQL's form, so that a client has one form to parse. */
function answerErrorsAsGraphQL(app: FastifyInstance, logger: Logger): void {
  app.setNotFoundHandler((request, reply) => {
    const message = `This server has no ${request.method} ${request.url.slice(0, 100)}.`;
    return reply.code(404).send({ errors: [{ message, extensions: { code: CODES[404] } }] });
  });
  app.setErrorHandler((error: FastifyError, request, reply) => {
    if (error instanceof RequestError) return sendErrorResponse(reply, error.response);
    const outage = error instanceof UnavailableError ? error.reason : unavailabilityOf(error);
    if (outage) return sendErrorResponse(reply, outageResponse(outage));
    // The Host header does not form a valid URL.
    const status = error.code === 'ERR_INVALID_URL' ? 400 : statusOf(error);
    const code = CODES[status];
    if ((status < 500 || status === 503) && code !== undefined) {
      return reply
        .code(status)
        .send({ errors: [{ message: error.message, extensions: { code } }] });
    }
    logger.error({ err: error, requestId: request.id }, 'Unexpected error');
    return reply.code(500).send({ errors: [maskedError(request.id)] });
  });
}
