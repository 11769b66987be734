/**
 * Who gets in. With authentication, whoever asks for something of the ledger says who it is. Without,
 * the server is this machine's own: only its own names are taken for Host and Origin, so that no page of
 * another site reaches it through a name that it made to point here (DNS rebinding).
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Origin } from '../../domain/caller.js';
import type { Logger } from '../../infrastructure/observability/logger.js';
import { makeOutageLog } from '../../infrastructure/observability/outage-log.js';
import type { Authenticated, Authenticator } from './authentication.js';
import { isLoopbackName } from './loopback.js';
import type { AddressOf } from './remote-address.js';

/** What is for callers alone; a WebSocket says who it is in its first message. */
const GUARDED = ['/graphql', '/graphql/stream', '/metrics'];

/** What a request is decorated with, on guarded paths before any handler runs. */
const AUTHENTICATED = 'authenticated';

/** Likewise: the response, which tells whether anybody waits for it. */
const RESPONSE = 'response';

/** Likewise: the address of the client. */
const REMOTE_ADDRESS = 'remoteAddress';

export interface AccessPorts {
  readonly authenticator: Authenticator;
  /** Whether everyone who reaches the server may do everything. */
  readonly isOpen: boolean;
  readonly addressOf: AddressOf;
  readonly logger: Logger;
}

/** Until a provider or a database that is away is asked again. */
const RETRY_AFTER_S = '5';

/** What is logged where it can't be told who a caller is. */
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
        'Without authentication this server answers to the names of its own machine alone.';
      return refuse(reply, 403, 'FORBIDDEN', message);
    }
    if (!isGuarded(request)) return;
    let found: Authenticated | undefined;
    try {
      found = await authenticator.authenticate(request.headers.authorization);
    } catch (error) {
      logOutage(error, { requestId: request.id });
      reply.header('retry-after', RETRY_AFTER_S);
      return refuse(reply, 503, 'UNAVAILABLE', 'Who you are can not be checked now: try again.');
    }
    if (found) {
      request.setDecorator(AUTHENTICATED, found);
      request.setDecorator(RESPONSE, reply.raw);
      request.setDecorator(REMOTE_ADDRESS, addressOf(request.raw));
      return;
    }
    reply.header('www-authenticate', 'Bearer');
    const message =
      'Say who you are: Authorization: Bearer, with a token or an API key that is valid.';
    return refuse(reply, 401, 'UNAUTHENTICATED', message);
  });
}

function refuse(reply: FastifyReply, status: number, code: string, message: string): FastifyReply {
  return reply.code(status).send({ errors: [{ message, extensions: { code } }] });
}

/** Tells whether a request is to a path for callers alone. The route counts: one path can be written in several ways. */
export function isGuarded({ routeOptions }: FastifyRequest): boolean {
  return GUARDED.includes(routeOptions.url ?? '');
}

/** Who makes a request to a guarded path. */
export function authenticatedBy(request: FastifyRequest): Authenticated {
  const found = request.getDecorator<Authenticated | null>(AUTHENTICATED);
  if (!found) throw new Error('The request is to no guarded path');
  return found;
}

export function originOf(request: FastifyRequest): Origin {
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

/** Whether a request names this machine, by its host and by the page that makes it. */
export function isFromThisMachine({ headers: { host, origin } }: IncomingMessage): boolean {
  if (!isLoopbackName(`http://${host}`)) return false;
  return origin === undefined || isLoopbackName(origin);
}
