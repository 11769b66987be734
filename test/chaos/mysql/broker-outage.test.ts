import { onTestFinished, test } from 'vitest';
import { startBrokerProxy } from '../../support/proxy.js';
import { CHAOS_TIMEOUT_MS } from '../../support/seeded-random.js';
import { createMigratedDatabase } from '../../support/test-database.js';
import { runWithFaults } from '../support/fault-run.js';

test(
  'every event arrives although the broker and its connections are cut and servers are killed',
  async () => {
    const database = await createMigratedDatabase();
    onTestFinished(() => database.drop());
    const { proxy, amqpUrl } = await startBrokerProxy();
    await runWithFaults('broker outage', {
      databaseUrl: database.url,
      amqpUrl,
      servers: 2,
      roundsMin: 3,
      injectFault: async ({ fleet, load, random }) => {
        await load.untilMore(random.between(1, 40));
        if (random.below(3) === 0) proxy.cut();
        else {
          await proxy.goDown();
          await load.untilMore(random.between(1, 40));
          if (random.below(2) === 0) await fleet.kill(random.below(2));
          await proxy.goUp();
        }
        await fleet.untilUp();
      },
    });
  },
  CHAOS_TIMEOUT_MS,
);
