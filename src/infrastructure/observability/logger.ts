import { type DestinationStream, type Logger, type LoggerOptions, pino } from 'pino';

import { withoutPasswords } from './secrets.js';

export type { Logger };

/** A line of a stack: a place in the code, never a value. */
const STACK_FRAME = /^\s+at /;

/**
 * Structured logs on standard output. What a client sent is never logged: it names people and their
 * accounts. A database driver's errors quote it, in their message and beside it, so of these only kind,
 * codes and the places in the code are logged.
 */
export function makeLogger(level: string, destination?: DestinationStream): Logger {
  const options: LoggerOptions = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    serializers: { err: describeError, reason: withoutPasswordsIn },
  };
  return destination ? pino(options, destination) : pino(options);
}

/** json for programs that read logs, pretty for people; auto is pretty on a terminal. */
export type LogFormat = 'auto' | 'json' | 'pretty';

/** Makes what logs are written to; undefined: standard output as it is, in JSON. */
export async function logDestination(format: LogFormat): Promise<DestinationStream | undefined> {
  const { isTTY } = process.stdout;
  if (format === 'json' || (format === 'auto' && !isTTY)) return undefined;
  const { default: pretty } = await import('pino-pretty');
  return pretty({ colorize: isTTY, translateTime: 'SYS:HH:MM:ss', sync: true });
}

/** Reasons come from drivers and brokers, which may quote the URL that they connect to. */
function withoutPasswordsIn(reason: unknown): unknown {
  return typeof reason === 'string' ? withoutPasswords(reason) : reason;
}

function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return { type: typeof error };
  const { name, message, stack = '' } = error;
  const codes = pick(error, ['code', 'errno', 'errcode', 'sqlState']);
  if (!isFromDatabase(error)) {
    return {
      type: name,
      message: withoutPasswords(message),
      ...codes,
      stack: withoutPasswords(stack),
    };
  }
  const frames = stack.split('\n').filter((line) => STACK_FRAME.test(line));
  return { type: error.constructor.name, ...codes, stack: frames.join('\n') };
}

/** MikroORM's exceptions carry the driver's error as their previous one, and its fields. */
function isFromDatabase(error: Error): boolean {
  return 'sql' in error || 'sqlMessage' in error || 'errno' in error || 'errcode' in error;
}

function pick(error: Error, keys: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(error).filter(([key]) => keys.includes(key)));
}
