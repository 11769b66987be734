/**
 * The origins whose pages may use the server: its own and those that the operator lists. Without authentication, every
 * page of this machine may use it, because a front end in development has an origin of its own. A page of another site
 * cannot use a name that points to this machine, because guardAccess accepts only this machine's names as Host.
 */
import type { IncomingMessage } from 'node:http';
import fastifyCors from '@fastify/cors';
import type { FastifyInstance } from 'fastify';
import { sendErrorResponse } from '../error-response.js';
import { isLoopbackName } from './loopback.js';

export interface OriginSettings {
  /** Origins such as https://app.example: the scheme, the host, and the port unless it is the scheme's default. */
  readonly corsOrigins: readonly string[];
}

/** Headers that a page of another origin may send or read, beyond those that CORS always allows. */
const HEADERS_ALLOWED = [
  'accept',
  'apollo-require-preflight',
  'authorization',
  'content-encoding',
  'content-type',
  'idempotency-key',
  'last-event-id',
  'traceparent',
  'x-apollo-operation-name',
];
const HEADERS_EXPOSED = ['content-disposition', 'retry-after', 'x-request-id'];

/** The time for which a browser caches a preflight answer, in seconds. */
const PREFLIGHT_MAX_AGE_S = 600;

/** Rules for origins other than the server's own. */
export interface OriginRules {
  readonly settings: OriginSettings;
  /** Tells whether authentication is off, so that every client may do everything. */
  readonly isOpen: boolean;
}

function isAllowed(origin: string, { settings: { corsOrigins }, isOpen }: OriginRules): boolean {
  return corsOrigins.includes(origin) || (isOpen && isLoopbackName(origin));
}

/**
 * Tells whether a request comes from a page of a foreign origin. Browsers send the origin, but let any page open a
 * WebSocket, so the server refuses foreign pages itself.
 */
export function isFromForeignPage(
  { headers: { origin, host } }: IncomingMessage,
  rules: OriginRules,
): boolean {
  if (origin === undefined || isAllowed(origin, rules)) return false;
  return !URL.canParse(origin) || new URL(origin).host !== host;
}

/**
 * Tells whether a page of another origin opened a stream with a plain GET. The browser then sends only Sec-Fetch-Site.
 */
function isFetchedByForeignPage({ headers }: IncomingMessage): boolean {
  const site = headers['sec-fetch-site'];
  return headers.origin === undefined && (site === 'cross-site' || site === 'same-site');
}

export async function guardOrigins(app: FastifyInstance, rules: OriginRules): Promise<void> {
  if (rules.isOpen || rules.settings.corsOrigins.length > 0) {
    await app.register(fastifyCors, {
      origin: (origin, decide) => decide(null, origin !== undefined && isAllowed(origin, rules)),
      methods: ['GET', 'POST'],
      allowedHeaders: HEADERS_ALLOWED,
      exposedHeaders: HEADERS_EXPOSED,
      maxAge: PREFLIGHT_MAX_AGE_S,
    });
  }
  // Apollo guards its own path. This hook guards the path of EventSource, which cannot send a header that forces a
  // preflight.
  app.addHook('onRequest', (request, reply, next) => {
    if (request.routeOptions.url !== '/graphql/stream') return next();
    if (!isFromForeignPage(request.raw, rules) && !isFetchedByForeignPage(request.raw)) {
      return next();
    }
    const message =
      'Pages of this origin may not call this server: its operator can add the origin to CORS_ORIGINS.';
    sendErrorResponse(reply, { code: 'FOREIGN_ORIGIN', message });
  });
}
