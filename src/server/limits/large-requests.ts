import type { FastifyInstance } from 'fastify';
import type { EventLoopTurns } from '../../infrastructure/fair-turns.js';
import { isEncoded } from '../content-encoding.js';

/**
 * A larger body takes the event loop for milliseconds: to parse it, and to coerce what is in it, some
 * 90 ms for a bulk of 9,500 transfers. A bulk of 300 is small.
 */
export const SMALL_BODY_BYTES_MAX = 65_536;

/** Notes each small operation until it is answered: work on large ones rests for it. A stream lasts, and is none. */
export function noteSmallRequests(app: FastifyInstance, turns: EventLoopTurns): void {
  app.addHook('onRequest', ({ headers, routeOptions }, reply, next) => {
    const isShort = Number(headers['content-length'] ?? 0) <= SMALL_BODY_BYTES_MAX;
    const isSmall = isShort && !isEncoded({ headers });
    if (routeOptions.url === '/graphql' && isSmall) {
      reply.raw.once('close', turns.beginSmallRequest());
    }
    next();
  });
}
