import type { FastifyInstance } from 'fastify';
import type { EventLoopTurns } from '../../infrastructure/fair-turns.js';
import { isEncoded } from '../content-encoding.js';

/**
 * The largest size of a small body. A larger body occupies the event loop for milliseconds, to parse it: some 6 ms
 * for a bulk of 9,500 transfers, and 50 ms more if graphql-js coerces its values. A bulk of 300 is small.
 */
export const SMALL_BODY_BYTES_MAX = 65_536;

/**
 * Records each small operation until it is answered, so that work on large operations pauses for it. Streams last long,
 * so they do not count.
 */
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
