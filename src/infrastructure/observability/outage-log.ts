import type { Logger } from './logger.js';

/** Interval between two error lines about one outage: clients decide how many requests come meanwhile. */
const OUTAGE_LOG_INTERVAL_MS = 10_000;

/** Notes one failure of an outage. */
export type OutageLog = (error: unknown, details: object) => void;

/** Logs the failures of an outage: one at level error now and then, the others at debug. */
export function makeOutageLog(logger: Logger, message: string): OutageLog {
  let nextAt = Number.NEGATIVE_INFINITY;
  return (error, details) => {
    const now = performance.now();
    const isNext = now >= nextAt;
    if (isNext) nextAt = now + OUTAGE_LOG_INTERVAL_MS;
    logger[isNext ? 'error' : 'debug']({ err: error, ...details }, message);
  };
}
