/**
 * Reports unexpected errors to a receiver that speaks Sentry's protocol. A report is made of a line of the log, so it has
 * nothing that the log does not have: see logger.ts. This module is loaded only if a receiver is set.
 */
import {
  createStackParser,
  createTransport,
  dedupeIntegration,
  type Event,
  type StackFrame,
} from '@sentry/core';
import { nodeStackLineParser, ServerRuntimeClient } from '@sentry/core/server';
import { VERSION } from '../../files.js';

/** The levels of pino from which a line is reported. */
const ERROR_LEVEL = 50;
const FATAL_LEVEL = 60;

/** The time for the last reports to be sent when the server stops. */
const STOP_MAX_MS = 2_000;

/** The time for one report to be sent. */
const SEND_MAX_MS = 10_000;

export interface ErrorReportSettings {
  /** The address of the project at the receiver. */
  readonly dsn: string;
  /** The name of the installation; undefined for the receiver's default. */
  readonly environment: string | undefined;
}

export interface ErrorReports {
  /** Reports a line of the log, if it is about an unexpected error. */
  takeLine(line: string): void;
  /** Sends the last reports. */
  stop(): Promise<void>;
}

/** A line of the log. */
interface LogLine {
  readonly level: number;
  readonly msg?: string;
  readonly requestId?: string;
  readonly traceId?: string;
  readonly err?: {
    readonly type?: string;
    readonly message?: string;
    readonly code?: string;
    readonly stack?: string;
  };
}

const stackParser = createStackParser(nodeStackLineParser());

/** Starts to report errors. */
export function reportErrors({ dsn, environment }: ErrorReportSettings): ErrorReports {
  const client = new ServerRuntimeClient({
    dsn,
    environment,
    release: `virement@${VERSION}`,
    platform: 'node',
    runtime: { name: 'node', version: process.versions.node },
    // Equal errors in a row are reported once.
    integrations: [dedupeIntegration()],
    stackParser,
    transport: (options) =>
      createTransport(options, async ({ body }) => {
        const response = await fetch(options.url, {
          method: 'POST',
          body: typeof body === 'string' ? body : Uint8Array.from(body),
          headers: { 'content-type': 'application/x-sentry-envelope' },
          signal: AbortSignal.timeout(SEND_MAX_MS),
        });
        await response.arrayBuffer();
        return {
          statusCode: response.status,
          headers: {
            'x-sentry-rate-limits': response.headers.get('x-sentry-rate-limits'),
            'retry-after': response.headers.get('retry-after'),
          },
        };
      }),
  });
  client.init();
  return {
    takeLine: (line) => {
      if (!isError(line)) return;
      client.captureEvent(eventOf(JSON.parse(line)));
    },
    stop: async () => {
      await client.close(STOP_MAX_MS);
    },
  };
}

/** Tells by the beginning of a line whether it is an error, so that the others are not parsed. */
function isError(line: string): boolean {
  return line.startsWith(`{"level":${ERROR_LEVEL},`) || line.startsWith(`{"level":${FATAL_LEVEL},`);
}

function eventOf({ level, msg, requestId, traceId, err }: LogLine): Event {
  return {
    level: level === FATAL_LEVEL ? 'fatal' : 'error',
    ...(msg !== undefined && { message: msg }),
    ...(err && {
      exception: {
        values: [
          {
            type: err.type ?? 'Error',
            value: err.message ?? msg ?? '',
            stacktrace: { frames: framesOf(err.stack ?? '') },
          },
        ],
      },
    }),
    tags: { requestId, traceId, code: err?.code },
  };
}

function framesOf(stack: string): StackFrame[] {
  return stackParser(stack);
}
