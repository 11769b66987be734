import { composeServer } from './composition-root.js';
import { loadConfig } from './config.js';
import { makeLogger } from './infrastructure/observability/logger.js';
import { runProgram } from './program.js';

await runProgram(async () => {
  const config = loadConfig();
  const logger = makeLogger(config.logLevel);
  const server = await composeServer(config, logger);
  const address = await server.http.listen({ host: config.host, port: config.port });
  logger.info(`GraphiQL: ${address}/graphiql/`);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      logger.info(`${signal}: stopping`);
      void runProgram(server.close);
    });
  }
});
