import { onTestFinished, test } from 'vitest';
import { AMQP_URL } from '../support/amqp-url.js';
import { CHAOS_TIMEOUT_MS } from '../support/seeded-random.js';
import { createMigratedDatabase, DIALECT } from '../support/test-database.js';
import { runWithFaults } from './support/fault-run.js';

/** An embedded database serves one process; a database server serves several. */
const [servers, amqpUrl] = DIALECT === 'mysql' ? [3, AMQP_URL] : [1, ''];

test(
  'kill -9 at any moment, of one server or of three, loses no acknowledged request and performs no refused one',
  async () => {
    const database = await createMigratedDatabase();
    onTestFinished(() => database.drop());
    await runWithFaults('kills', {
      databaseUrl: database.url,
      amqpUrl,
      servers,
      roundsMin: 3,
      injectFault: async ({ fleet, load, random }) => {
        await load.untilMore(random.between(1, 60));
        await fleet.kill(random.below(servers));
        if (servers === 1) await fleet.untilUp();
      },
    });
  },
  CHAOS_TIMEOUT_MS,
);
