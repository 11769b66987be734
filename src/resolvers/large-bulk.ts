import { setImmediate as turnOfTheLoop } from 'node:timers/promises';
import type { MiddlewareFn } from 'type-graphql';

/** The number of transfers that are converted within a millisecond. */
const TRANSFERS_AT_ONCE_MAX = 500;

/**
 * Gives the event loop a turn between GraphQL's coercion of a large bulk and type-graphql's conversion of its rows.
 * Each step takes about 40 ms for 10,000 rows, and neither step can be interrupted.
 */
export const yieldForLargeBulk: MiddlewareFn = async ({ args }, next) => {
  const { length = 0 } = args.input?.creditTransfers ?? [];
  if (length > TRANSFERS_AT_ONCE_MAX) await turnOfTheLoop();
  return next();
};
