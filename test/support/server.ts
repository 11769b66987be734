import type { AddressInfo } from 'node:net';
import { expect, onTestFinished } from 'vitest';
import { composeServer, type Server } from '../../src/composition-root.js';
import { loadConfig } from '../../src/config.js';
import type { Database } from '../../src/infrastructure/database/dialect.js';
import { makeLogger } from '../../src/infrastructure/observability/logger.js';
import { Outbox } from '../../src/infrastructure/outbox/outbox.js';
import type { SearchUpdater } from '../../src/infrastructure/search/indexer.js';
import { joinWatermark } from '../../src/infrastructure/search/search-tables.js';
import { checkInvariants } from '../../src/infrastructure/verify/invariants.js';
import { Client } from './client.js';
import { createMigratedDatabase, type TestDatabase } from './test-database.js';

/** A server in this process, with its own port and database. */
export interface TestServer extends Server {
  readonly url: string;
  /** The address of the metrics on a separate port, if METRICS_PORT is set. */
  readonly metricsUrl: string | undefined;
  readonly databaseUrl: string;
  readonly client: Client;
  /** Log entries, parsed: of the start, and since then. */
  readonly startLog: readonly Record<string, unknown>[];
  readonly log: readonly Record<string, unknown>[];
}

/** Matches the statements that a quiet server sends at intervals: relay, dispatcher and order worker poll. */
export const BACKGROUND_STATEMENT = /outbox_message|webhook|bulk_transfer_order/;

/** Waits until a server has published and indexed all commits, and sends no statements by itself. */
export async function untilQuiet(server: Pick<TestServer, 'database'>): Promise<void> {
  await untilPublished(server);
  await expect.poll(() => accountsBehind(server.database), { timeout: 10_000 }).toEqual([]);
}

/** Returns the accounts that have ledger entries after their watermark. */
export function accountsBehind({ orm }: Pick<Database, 'orm'>): Promise<object[]> {
  return orm.em.fork().execute(`select account.iban from account ${joinWatermark('account')}
    where account.sequence > coalesce(watermark.sequence, 0)`);
}

/** The updater for readers of a few transfers. They never wait for the search tables. */
export const NO_CATCHING_UP: SearchUpdater = {
  catchUp: () => Promise.reject(new Error('The tail is too long')),
};

/** Starts a server. When the test ends, its ledger is verified, and the server and its database are removed. */
export async function startServer(env: NodeJS.ProcessEnv = {}): Promise<TestServer> {
  const database = await createMigratedDatabase();
  const server = await startServerOn(database, env);
  onTestFinished(async () => {
    const findings = await checkInvariants(server.database, new Date(0));
    await server.close();
    await database.drop();
    const violated = findings.filter(({ violations }) => violations.length > 0);
    if (violated.length > 0) throw new Error(`Violated: ${JSON.stringify(violated)}`);
  });
  return server;
}

/** Starts a server on an existing database; the caller closes it. */
export async function startServerOn(
  database: TestDatabase,
  env: NodeJS.ProcessEnv = {},
): Promise<TestServer> {
  const log: Record<string, unknown>[] = [];
  const config = loadConfig({
    DATABASE_URL: database.url,
    SEED_DEMO: 'true',
    LOG_LEVEL: 'warn',
    PORT: '0',
    STOP_LINGER_MS: '0',
    ...env,
  });
  const logger = makeLogger(config.logLevel, { write: (line) => log.push(JSON.parse(line)) });
  const server = await composeServer(config, logger);
  await server.http.listen({ host: config.host, port: config.port });
  const { port } = server.http.server.address() as AddressInfo;
  const { metricsHost: host, metricsPort = 0 } = config;
  const metricsUrl = await server.metricsHttp?.listen({ host, port: metricsPort });
  const url = `http://127.0.0.1:${port}`;
  const startLog = log.splice(0);
  const client = new Client(url);
  return { ...server, url, metricsUrl, databaseUrl: database.url, client, startLog, log };
}

/** Waits until the server has published all outbox messages. */
export async function untilPublished({ database }: Pick<TestServer, 'database'>): Promise<void> {
  const outbox = new Outbox(database.orm);
  await expect.poll(async () => (await outbox.counts()).due).toBe(0);
}
