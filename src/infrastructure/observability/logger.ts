import { type Logger, pino } from 'pino';

export type { Logger };

/** Structured logs on standard output. What a client sent is never logged: it names people and their accounts. */
export function makeLogger(level: string): Logger {
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime });
}
