import { type DestinationStream, type Logger, pino } from 'pino';

export type { Logger };

/** Structured logs on standard output. What a client sent is never logged: it names people and their accounts. */
export function makeLogger(level: string, destination?: DestinationStream): Logger {
  const options = { level, base: null, timestamp: pino.stdTimeFunctions.isoTime };
  return destination ? pino(options, destination) : pino(options);
}
