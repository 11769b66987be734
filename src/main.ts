import { setFlagsFromString } from 'node:v8';
import type { FastifyInstance } from 'fastify';
import { readArguments } from './commands/arguments.js';
import type { Server } from './composition-root.js';
import { type Config, loadConfig } from './config.js';
import { ExplainedError } from './infrastructure/observability/explained-error.js';
import { type Logger, logDestination, makeLogger } from './infrastructure/observability/logger.js';
import { runProgram } from './program.js';
import { welcomeOf } from './welcome.js';

/**
 * How much the heap may grow before its garbage is collected. V8's own measure lets a few bulks of 10,000
 * make it several times as large, and is no faster for it. V8 asks for it after each collection, so that
 * it may be set by a program that runs.
 */
const HEAP_GROWING_PERCENT = 30;

setFlagsFromString(`--heap-growing-percent=${HEAP_GROWING_PERCENT}`);

const USAGE = {
  call: 'npm start --',
  summary: `Serves the API, by default on http://127.0.0.1:4000. Settings are environment variables, or lines of .env:
.env.example has all of them, with their defaults.`,
  options: {},
} as const;

await runProgram(async () => {
  readArguments(USAGE);
  const config = loadConfig();
  const logger = makeLogger(config.logLevel, await logDestination(config.logFormat));
  const { unknownNames } = config;
  if (unknownNames.length > 0) logger.warn({ names: unknownNames }, 'Unknown settings in .env');
  // Loaded late, so that a wrong setting and --help are answered in a quarter of the time.
  const { composeServer } = await import('./composition-root.js');
  const server = await composeServer(config, logger);
  const address = await listen(server, server.http, config);
  if (server.metricsHttp) {
    const { metricsHost: host, metricsPort: port = 0 } = config;
    const metricsAddress = await listen(server, server.metricsHttp, { host, port });
    logger.info(`Metrics: ${metricsAddress}/metrics`);
  }
  logger.info(config.graphiql ? `GraphiQL: ${address}/graphiql/` : `Listening: ${address}/graphql`);
  if (process.stdout.isTTY) console.log(welcomeOf(config, address));
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      logger.info(`${signal}: stopping`);
      stop(server);
    });
  }
  stopOnUncaughtErrors(server, logger);
});

/** Time for a server with an uncaught error to finish what is in progress. */
const CRASH_TIMEOUT_MS = 15_000;

/**
 * The last line of defence. After an error that nothing caught, nobody knows what state the process is in:
 * it takes no new work, finishes what is in progress and exits with 1, so that a supervisor starts another.
 * Whatever it could not finish was not committed, or is replayed by its idempotency key.
 */
function stopOnUncaughtErrors(server: Server, logger: Logger): void {
  let isStopping = false;
  process.on('uncaughtException', (error, origin) => {
    logger.fatal({ err: error, origin }, 'Uncaught error: stopping');
    process.exitCode = 1;
    if (isStopping) return;
    isStopping = true;
    setTimeout(() => process.exit(), CRASH_TIMEOUT_MS).unref();
    stop(server);
  });
}

/** Closes a server, then leaves the process. */
function stop({ close }: Server): void {
  void runProgram(close).finally(leave);
}

/** For what is on its way to be written. */
const LEAVE_MS = 1_000;

/** Everything has been let go of; a connection to somebody who says nothing must not keep the process. */
function leave(): void {
  setTimeout(() => process.exit(), LEAVE_MS).unref();
}

/** @throws ExplainedError where the address can't be had; the server is closed then */
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
    throw new ExplainedError(`Can't listen on ${host}, port ${port}: ${reason}`, { cause: error });
  }
}
