import { type DestinationStream, destination, type Logger, type LoggerOptions, pino } from 'pino';

import { withoutPasswords } from './secrets.js';
import { activeTraceId } from './tracing.js';

export type { Logger };

/** The lines of a stack that name a place in the code. They never contain a value. */
const STACK_FRAME = /^\s+at /;

/**
 * Makes the structured log on standard output. Values that a client sent are never logged, because they name people and
 * their accounts. A database driver's error quotes such values, in its message and in its properties. The log therefore
 * has only the kind, the codes and the stack frames of such an error.
 * @param takeLine is called with each line before it is written
 */
export function makeLogger(
  level: string,
  stream?: DestinationStream,
  takeLine?: (line: string) => void,
): Logger {
  const options: LoggerOptions = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    serializers: { err: describeError, reason: withoutPasswordsIn },
    mixin: () => {
      const traceId = activeTraceId();
      return traceId === undefined ? {} : { traceId };
    },
    ...(takeLine && {
      hooks: {
        streamWrite: (line: string) => {
          takeLine(line);
          return line;
        },
      },
    }),
  };
  return stream ? pino(options, stream) : pino(options);
}

/** The format of the log: json for programs, pretty for people; auto is pretty on a terminal. */
export type LogFormat = 'auto' | 'json' | 'pretty';

/** The bytes of the log that wait for a reader. Lines beyond them are dropped. */
const WAITING_BYTES_MAX = 16_777_216;

/** The time for a reader of the log to take the last lines, when the process exits or after an uncaught error. */
const FLUSH_MS = 1_000;

/**
 * Makes the destination of the log. JSON is written in the background, because a reader of the log that stands still must
 * stop no payment. What waits is written when the process exits, if the reader takes it within FLUSH_MS.
 */
export async function logDestination(format: LogFormat): Promise<DestinationStream> {
  // Reading process.stdout also makes a pipe non-blocking. A write to a full pipe would otherwise never return.
  const { isTTY } = process.stdout;
  if (format === 'json' || (format === 'auto' && !isTTY)) return backgroundDestination();
  const { default: pretty } = await import('pino-pretty');
  return pretty({ colorize: isTTY, translateTime: 'SYS:HH:MM:ss', sync: true });
}

/** Makes a destination whose flush ends after FLUSH_MS. Nothing else runs during a flush. */
function backgroundDestination(): DestinationStream {
  let flushUntil = Number.POSITIVE_INFINITY;
  const stream = destination({
    dest: 1,
    sync: false,
    maxLength: WAITING_BYTES_MAX,
    retryEAGAIN: () => performance.now() < flushUntil,
  });
  const flush = stream.flushSync.bind(stream);
  stream.flushSync = () => {
    flushUntil = performance.now() + FLUSH_MS;
    try {
      flush();
    } catch {
      // There is no other place to tell that the reader did not take the lines.
    } finally {
      flushUntil = Number.POSITIVE_INFINITY;
    }
  };
  return stream;
}

/** Removes passwords from a reason. Reasons come from drivers and brokers, which may quote their connection URL. */
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

/**
 * Tells whether an error comes from a database driver. MikroORM's exceptions have the fields of the driver's error,
 * which is their previous error.
 */
function isFromDatabase(error: Error): boolean {
  return 'sql' in error || 'sqlMessage' in error || 'errno' in error || 'errcode' in error;
}

function pick(error: Error, keys: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(error).filter(([key]) => keys.includes(key)));
}
