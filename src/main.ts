import { enableCompileCache, flushCompileCache } from 'node:module';
import { setFlagsFromString } from 'node:v8';
import type { FastifyInstance } from 'fastify';
import { readArguments } from './commands/arguments.js';
import type { Server } from './composition-root.js';
import { type Config, loadConfig } from './config.js';
import { COMPILE_CACHE } from './files.js';
import type { ErrorReports } from './infrastructure/observability/error-reports.js';
import { ExplainedError } from './infrastructure/observability/explained-error.js';
import { type Logger, logDestination, makeLogger } from './infrastructure/observability/logger.js';
import { runProgram } from './program.js';
import { welcomeOf } from './welcome.js';

/**
 * Limits how much the heap may grow before a garbage collection. With V8's default, a few bulks of 10,000 make the heap
 * several times as large without a gain in speed. V8 reads the flag after each collection, so a running program may set
 * it: once the server is composed, for a growing heap is collected often while it starts.
 */
const HEAP_GROWING_PERCENT = 30;

const USAGE = {
  call: 'npm start --',
  summary: `Serves the API, by default on http://127.0.0.1:4000. Settings are environment variables, or lines of .env:
.env.example has all of them, with their defaults.`,
  options: {},
} as const;

await runProgram(async () => {
  readArguments(USAGE);
  const config = loadConfig();
  // V8 compiles a server once, not at each start. Without the right to write the folder, it compiles again.
  enableCompileCache(COMPILE_CACHE);
  const reports = await startErrorReports(config);
  const destination = await logDestination(config.logFormat);
  const logger = makeLogger(config.logLevel, destination, reports?.takeLine);
  const { unknownNames } = config;
  if (unknownNames.length > 0) logger.warn({ names: unknownNames }, 'Unknown settings in .env');
  const stopTraces = await startTraces(config);
  // This module is loaded late, so that a wrong setting and --help are answered in a quarter of the time.
  const { composeServer } = await import('./composition-root.js');
  const server = closingWith(await composeServer(config, logger), async () => {
    await Promise.all([stopTraces(), reports?.stop()]);
  });
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWING_PERCENT}`);
  const address = await listen(server, server.http, config);
  if (server.metricsHttp) {
    const { metricsHost: host, metricsPort: port = 0 } = config;
    const metricsAddress = await listen(server, server.metricsHttp, { host, port });
    logger.info(`Metrics: ${metricsAddress}/metrics`);
  }
  logger.info(config.graphiql ? `GraphiQL: ${address}/graphiql/` : `Listening: ${address}/graphql`);
  flushCompileCache();
  if (process.stdout.isTTY) console.log(welcomeOf(config, address));
  const stop = makeStop(server);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      logger.info(`${signal}: stopping`);
      endAfter(config.shutdownTimeoutMs, logger);
      stop();
    });
  }
  stopOnUncaughtErrors(stop, config, logger);
});

/** Starts to export traces, if there is a collector. @returns the function that sends the last ones */
async function startTraces({ traceExport }: Config): Promise<() => Promise<void>> {
  if (!traceExport) return async () => {};
  const { exportTraces } = await import('./infrastructure/observability/trace-export.js');
  return exportTraces(traceExport);
}

/** Starts to report errors, if there is a receiver. */
async function startErrorReports({ errorReports }: Config): Promise<ErrorReports | undefined> {
  if (!errorReports) return undefined;
  const { reportErrors } = await import('./infrastructure/observability/error-reports.js');
  return reportErrors(errorReports);
}

/** Adds a step that follows the close of a server. */
function closingWith(server: Server, last: () => Promise<void>): Server {
  return { ...server, close: () => server.close().finally(last) };
}

/**
 * Stops the server after an uncaught error, because the state of the process is then unknown. The process accepts no
 * new work, finishes work in progress and exits with 1, so that a supervisor starts another process. Unfinished work
 * was not committed, or is replayed by its idempotency key.
 */
function stopOnUncaughtErrors(
  stop: () => void,
  { shutdownTimeoutMs }: Config,
  logger: Logger,
): void {
  process.on('uncaughtException', (error, origin) => {
    logger.fatal({ err: error, origin }, 'Uncaught error: stopping');
    process.exitCode = 1;
    endAfter(shutdownTimeoutMs, logger);
    stop();
  });
}

/** Ends the process after a time, whatever it still waits for. */
function endAfter(ms: number, logger: Logger): void {
  setTimeout(() => {
    logger.error(`Not stopped within SHUTDOWN_TIMEOUT_MS (${ms} ms): ending`);
    process.exit(1);
  }, ms).unref();
}

/** Returns the function that closes a server, and then ends the process. A second call changes nothing. */
function makeStop({ close }: Server): () => void {
  let isStopping = false;
  return () => {
    if (isStopping) return;
    isStopping = true;
    void runProgram(close).finally(leave);
  };
}

/** The time for pending output to be written. */
const LEAVE_MS = 1_000;

/**
 * Ends the process after everything is closed. A connection to a peer that does not respond must not keep the process
 * alive.
 */
function leave(): void {
  setTimeout(() => process.exit(), LEAVE_MS).unref();
}

/** @throws ExplainedError if the address is not available; the server is then closed */
async function listen(
  { close }: Server,
  http: FastifyInstance,
  { host, port }: Pick<Config, 'host' | 'port'>,
): Promise<string> {
  try {
    return await http.listen({ host, port });
  } catch (error) {
    await close();
    const reason = error instanceof Error ? error.message : String(error);
    throw new ExplainedError(`Cannot listen on ${host}, port ${port}: ${reason}`, { cause: error });
  }
}
