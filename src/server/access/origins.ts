/**
 * Which pages may talk to the server: its own, those of the origins that its operator lists, and, without
 * authentication, every page of this machine: a front end in development has an origin of its own. No page of another
 * site becomes one by a name that points here, for guardAccess takes this machine's names alone as Host.
 */
import type { IncomingMessage } from 'node:http';
import fastifyCors from '@fastify/cors';
import type { FastifyInstance } from 'fastify';
import { answerRefusal } from '../refusal.js';
import { isLoopbackName } from './loopback.js';

export interface OriginSettings {
  /** Such as https://app.example: scheme, host, and port where it is not the scheme's. */
  readonly corsOrigins: readonly string[];
}

/** What a page may send and read beside what any may. */
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
const HEADERS_EXPOSED = ['retry-after', 'x-request-id'];

/** How long a browser remembers that it may. */
const PREFLIGHT_MAX_AGE_S = 600;

/** Which origins beside a server's own are let in. */
export interface OriginRules {
  readonly settings: OriginSettings;
  /** Whether everyone who reaches the server may do everything. */
  readonly isOpen: boolean;
}

function isAllowed(origin: string, { settings: { corsOrigins }, isOpen }: OriginRules): boolean {
  return corsOrigins.includes(origin) || (isOpen && isLoopbackName(origin));
}

/** Browsers say where a page is from, and let any page connect a WebSocket: those of others are refused. */
export function isFromForeignPage(
  { headers: { origin, host } }: IncomingMessage,
  rules: OriginRules,
): boolean {
  if (origin === undefined || isAllowed(origin, rules)) return false;
  return !URL.canParse(origin) || new URL(origin).host !== host;
}

/** A page of another origin that opens a stream by its address alone says no more than this. */
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
  // Apollo guards its own path; EventSource can send no header that shows a preflight.
  app.addHook('onRequest', (request, reply, next) => {
    if (request.routeOptions.url !== '/graphql/stream') return next();
    if (!isFromForeignPage(request.raw, rules) && !isFetchedByForeignPage(request.raw)) {
      return next();
    }
    const message = 'Pages of this origin may not connect: see CORS_ORIGINS.';
    answerRefusal(reply, { code: 'FOREIGN_ORIGIN', message });
  });
}
