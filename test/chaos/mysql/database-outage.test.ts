import { expect, test } from 'vitest';
import { AMQP_URL } from '../../support/amqp-url.js';
import { canRun } from '../../support/can-run.js';
import { missingMariaDb, startMariaDb } from '../../support/mariadb.js';
import { CHAOS_TIMEOUT_MS } from '../../support/seeded-random.js';
import { createDatabaseOn, migrate } from '../../support/test-database.js';
import { type FaultRun, runWithFaults } from '../support/fault-run.js';

/** Waits until the outage has refused this number of requests. */
async function untilRefused({ load }: FaultRun, count: number): Promise<void> {
  const before = load.indefinite.unavailable;
  await expect.poll(() => load.indefinite.unavailable - before).toBeGreaterThanOrEqual(count);
}

test.runIf(canRun('a database that dies', await missingMariaDb()))(
  'servers continue without a restart and lose nothing while the database is killed, stopped and started',
  async () => {
    const mariaDb = await startMariaDb();
    const databaseUrl = await createDatabaseOn(mariaDb.url);
    await migrate(databaseUrl);
    await runWithFaults('database outage', {
      databaseUrl,
      amqpUrl: AMQP_URL,
      servers: 2,
      roundsMin: 2,
      injectFault: async (run) => {
        const { load, random } = run;
        await load.untilMore(random.between(1, 60));
        await (random.below(3) === 0 ? mariaDb.stop() : mariaDb.kill());
        await untilRefused(run, random.between(1, 10));
        await mariaDb.start();
        await load.untilMore(10);
      },
    });
  },
  CHAOS_TIMEOUT_MS,
);
