import type { Logger } from './logger.js';

/**
 * Interval between two error lines about one outage. Without it, clients' requests would decide the number of lines.
 */
const OUTAGE_LOG_INTERVAL_MS = 10_000;

/** Records one failure of an outage. */
export type OutageLog = (error: unknown, details: object) => void;

/** Logs the failures of an outage: at most one at level error in each interval, the others at debug. */
export function makeOutageLog(logger: Logger, message: string): OutageLog {
  let nextAt = Number.NEGATIVE_INFINITY;
  return (error, details) => {
    const now = performance.now();
    const isNext = now >= nextAt;
    if (isNext) nextAt = now + OUTAGE_LOG_INTERVAL_MS;
    logger[isNext ? 'error' : 'debug']({ err: error, ...details }, message);
  };
}
