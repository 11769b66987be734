import { onTestFinished, test } from 'vitest';
import { AMQP_URL } from '../../support/amqp-url.js';
import { COMMIT, type CutMoment, startDatabaseProxy } from '../../support/proxy.js';
import { CHAOS_TIMEOUT_MS } from '../../support/seeded-random.js';
import { createMigratedDatabase } from '../../support/test-database.js';
import { runWithFaults } from '../support/fault-run.js';

const MOMENTS: readonly (CutMoment | 'at once')[] = ['before', 'sent', 'answered', 'at once'];

test(
  'an unknown outcome is found by its key after connections are cut within transactions and commits',
  async () => {
    const database = await createMigratedDatabase();
    onTestFinished(() => database.drop());
    const { proxy, databaseUrl } = await startDatabaseProxy(database.url);
    await runWithFaults('cut connections', {
      databaseUrl,
      amqpUrl: AMQP_URL,
      roundsMin: 6,
      injectFault: async ({ load, random }) => {
        await load.untilMore(random.between(1, 20));
        const moment = random.pick(MOMENTS);
        if (moment === 'at once') proxy.cut();
        else await proxy.cutAt(COMMIT, moment);
        await load.untilMore(1);
      },
    });
  },
  CHAOS_TIMEOUT_MS,
);
