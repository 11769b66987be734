import { onTestFinished, test } from 'vitest';
import { AMQP_URL } from '../../setup/amqp-url.js';
import { endure } from '../../setup/ordeal.js';
import { COMMIT, type CutMoment, startDatabaseProxy } from '../../setup/proxy.js';
import { CHAOS_TIMEOUT_MS } from '../../setup/schedule.js';
import { createMigratedDatabase } from '../../setup/test-database.js';

const MOMENTS: readonly (CutMoment | 'at once')[] = ['before', 'sent', 'answered', 'at once'];

test(
  'connections cut within transactions, and while they commit: what nobody could know is found by its key',
  async () => {
    const database = await createMigratedDatabase();
    onTestFinished(() => database.drop());
    const { proxy, databaseUrl } = await startDatabaseProxy(database.url);
    await endure('cut connections', {
      databaseUrl,
      amqpUrl: AMQP_URL,
      roundsMin: 6,
      strike: async ({ load, random }) => {
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
