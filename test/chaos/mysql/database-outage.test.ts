import { expect, test } from 'vitest';
import { AMQP_URL } from '../../setup/amqp-url.js';
import { canRun } from '../../setup/lack.js';
import { mariaDbLack, startMariaDb } from '../../setup/mariadb.js';
import { endure, type Ordeal } from '../../setup/ordeal.js';
import { CHAOS_TIMEOUT_MS } from '../../setup/schedule.js';
import { createDatabaseOn, migrate } from '../../setup/test-database.js';

/** Until clients have met the trouble. */
async function untilRefused({ load }: Ordeal, count: number): Promise<void> {
  const before = load.indefinite.unavailable;
  await expect.poll(() => load.indefinite.unavailable - before).toBeGreaterThanOrEqual(count);
}

test.runIf(canRun('a database that dies', await mariaDbLack()))(
  'the database killed, stopped and started under load: servers go on without a restart, and nothing is lost',
  async () => {
    const mariaDb = await startMariaDb();
    const databaseUrl = await createDatabaseOn(mariaDb.url);
    await migrate(databaseUrl);
    await endure('database outage', {
      databaseUrl,
      amqpUrl: AMQP_URL,
      servers: 2,
      roundsMin: 2,
      strike: async (ordeal) => {
        const { load, random } = ordeal;
        await load.untilMore(random.between(1, 60));
        await (random.below(3) === 0 ? mariaDb.stop() : mariaDb.kill());
        await untilRefused(ordeal, random.between(1, 10));
        await mariaDb.start();
        await load.untilMore(10);
      },
    });
  },
  CHAOS_TIMEOUT_MS,
);
