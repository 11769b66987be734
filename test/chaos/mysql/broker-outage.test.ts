import { onTestFinished, test } from 'vitest';
import { AMQP_URL } from '../../setup/amqp-url.js';
import { endure } from '../../setup/ordeal.js';
import { startProxy } from '../../setup/proxy.js';
import { CHAOS_TIMEOUT_MS } from '../../setup/schedule.js';
import { createMigratedDatabase } from '../../setup/test-database.js';

test(
  'the broker away and back, and connections to it cut, with servers killed between: every event is heard',
  async () => {
    const database = await createMigratedDatabase();
    onTestFinished(() => database.drop());
    const { hostname, port, username, password } = new URL(AMQP_URL);
    const proxy = await startProxy({ host: hostname, port: Number(port || 5672) });
    await endure('broker outage', {
      databaseUrl: database.url,
      amqpUrl: `amqp://${username}:${password}@127.0.0.1:${proxy.port}`,
      servers: 2,
      roundsMin: 3,
      strike: async ({ fleet, load, random }) => {
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
