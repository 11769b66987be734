import { composeServer } from './composition-root.js';
import { ConfigError, loadConfig } from './config.js';
import { NotMigratedError } from './infrastructure/database/migrations.js';
import { DatabaseInUseError } from './infrastructure/database/sqlite-dialect.js';
import { makeLogger } from './infrastructure/observability/logger.js';

/** Faults of the surroundings, which their message explains: a stack would say nothing more. */
const EXPLAINED = [ConfigError, NotMigratedError, DatabaseInUseError];

try {
  const config = loadConfig();
  const logger = makeLogger(config.logLevel);
  const server = await composeServer(config, logger);
  const address = await server.http.listen({ host: config.host, port: config.port });
  logger.info(`Virement: ${address} (GraphiQL: ${address}/graphiql/)`);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, async () => {
      logger.info(`${signal}: stopping`);
      await server.close();
    });
  }
} catch (error) {
  const isExplained = EXPLAINED.some((type) => error instanceof type);
  console.error(isExplained && error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
