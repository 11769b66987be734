/**
 * Access control. With authentication, every caller that uses the ledger must authenticate. Without authentication, the
 * server belongs to this machine. It then accepts only this machine's own names in Host and Origin. No page of another
 * site can therefore reach the server through a name that points to this machine (DNS rebinding).
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Caller, RequestSource } from '../../domain/caller.js';
import { SIGNATURE_PARAMETER } from '../../infrastructure/files-out/export-links.js';
import type { Logger } from '../../infrastructure/observability/logger.js';
import { makeOutageLog } from '../../infrastructure/observability/outage-log.js';
import { recordOf } from '../operation-record.js';
import type { Authenticated, Authenticator } from './authentication.js';
import { isLoopbackName } from './loopback.js';
import type { AddressOf } from './remote-address.js';

/** Paths that require an authenticated caller. A WebSocket authenticates in its first message. */
const GUARDED = ['/graphql', '/graphql/stream', '/imports', '/metrics'];

/** The start of the paths of exported files. A request to them has a token or a signed link. */
const EXPORTS = '/exports/';

/** The request decorator for the authenticated caller, set on guarded paths before any handler runs. */
const AUTHENTICATED = 'authenticated';

/** The request decorator for the response, which shows whether the client still waits. Also set on guarded paths. */
const RESPONSE = 'response';

/** The request decorator for the address of the client. Also set on guarded paths. */
const REMOTE_ADDRESS = 'remoteAddress';

export interface AccessPorts {
  readonly authenticator: Authenticator;
  /** Tells whether authentication is off, so that every client may do everything. */
  readonly isOpen: boolean;
  readonly addressOf: AddressOf;
  readonly logger: Logger;
}

/** The delay before a client asks again while the identity provider or the database is unreachable, in seconds. */
const RETRY_AFTER_S = '5';

/** The log message for a caller whose credentials cannot be checked. */
export const CREDENTIALS_UNCHECKED = 'Credentials could not be checked';

export function guardAccess(app: FastifyInstance, ports: AccessPorts): void {
  const { authenticator, isOpen, addressOf } = ports;
  const logOutage = makeOutageLog(ports.logger, CREDENTIALS_UNCHECKED);
  app.decorateRequest(AUTHENTICATED);
  app.decorateRequest(RESPONSE);
  app.decorateRequest(REMOTE_ADDRESS, '');
  app.addHook('onRequest', async (request, reply) => {
    if (isOpen && !isFromThisMachine(request.raw)) {
      const message =
        'Authentication is off, so this server accepts only requests to localhost or a loopback address.';
      return refuse(reply, 403, 'FORBIDDEN', message);
    }
    if (!isGuarded(request)) return;
    let found: Authenticated | undefined;
    try {
      found = await authenticator.authenticate(request.headers.authorization);
    } catch (error) {
      logOutage(error, { requestId: request.id });
      reply.header('retry-after', RETRY_AFTER_S);
      return refuse(reply, 503, 'UNAVAILABLE', 'The credentials cannot be checked now: try again.');
    }
    if (found) {
      request.setDecorator(AUTHENTICATED, found);
      request.setDecorator(RESPONSE, reply.raw);
      request.setDecorator(REMOTE_ADDRESS, addressOf(request.raw));
      return;
    }
    const record = recordOf(request);
    if (record) {
      const reason = await authenticator.faultOf(request.headers.authorization);
      record.refused = { reason, remoteAddress: addressOf(request.raw) };
    }
    reply.header('www-authenticate', 'Bearer');
    const message =
      'Authentication is required: send the header Authorization: Bearer with a valid token or API key.';
    return refuse(reply, 401, 'UNAUTHENTICATED', message);
  });
}

function refuse(reply: FastifyReply, status: number, code: string, message: string): FastifyReply {
  return reply.code(status).send({ errors: [{ message, extensions: { code } }] });
}

/**
 * Tells whether a request is to a guarded path. The check uses the route, because one path can be written in several
 * ways.
 */
export function isGuarded(request: FastifyRequest): boolean {
  const { routeOptions } = request;
  return GUARDED.includes(routeOptions.url ?? '') || isGuardedExport(request);
}

function isGuardedExport(request: FastifyRequest): boolean {
  return isExport(request) && !isByLink(request);
}

function isExport({ routeOptions }: FastifyRequest): boolean {
  return routeOptions.url?.startsWith(EXPORTS) === true;
}

/** Tells whether a request for a file has a link instead of a token. The link is not checked yet. */
export function isByLink(request: FastifyRequest): boolean {
  const query = request.query as Readonly<Record<string, unknown>>;
  return isExport(request) && query[SIGNATURE_PARAMETER] !== undefined;
}

/** Returns the caller of a request to a guarded path. */
export function authenticatedBy(request: FastifyRequest): Authenticated {
  const found = request.getDecorator<Authenticated | null>(AUTHENTICATED);
  if (!found) throw new Error('The path of the request is not guarded');
  return found;
}

/** Returns the caller of a request; undefined if the request is not authenticated. */
export function callerOf(request: FastifyRequest): Caller | undefined {
  return request.getDecorator<Authenticated | null>(AUTHENTICATED)?.caller;
}

export function requestSourceOf(request: FastifyRequest): RequestSource {
  const { caller } = authenticatedBy(request);
  const { socket } = request.raw;
  const response = request.getDecorator<ServerResponse>(RESPONSE);
  return {
    caller,
    requestId: request.id,
    remoteAddress: request.getDecorator<string>(REMOTE_ADDRESS),
    isAbandoned: () => socket.destroyed || response.destroyed || response.writableEnded,
  };
}

/** Tells whether a request names this machine in its Host header and, if present, in its Origin header. */
export function isFromThisMachine({ headers: { host, origin } }: IncomingMessage): boolean {
  if (!isLoopbackName(`http://${host}`)) return false;
  return origin === undefined || isLoopbackName(origin);
}
