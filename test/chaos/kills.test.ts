import { onTestFinished, test } from 'vitest';
import { AMQP_URL } from '../setup/amqp-url.js';
import { endure } from '../setup/ordeal.js';
import { CHAOS_TIMEOUT_MS } from '../setup/schedule.js';
import { createMigratedDatabase, DIALECT } from '../setup/test-database.js';

const amqpUrl = DIALECT === 'mysql' ? AMQP_URL : '';

test(
  'kill -9 at any moment: what was acknowledged is there once, and what was refused is not',
  async () => {
    const database = await createMigratedDatabase();
    onTestFinished(() => database.drop());
    await endure('kills', {
      databaseUrl: database.url,
      amqpUrl,
      roundsMin: 4,
      strike: async ({ fleet, load, random }) => {
        await load.untilMore(random.between(1, 60));
        await fleet.kill(0);
        await fleet.untilUp();
      },
    });
  },
  CHAOS_TIMEOUT_MS,
);

test.runIf(DIALECT === 'mysql')(
  'three servers on one database, killed at random: together they are as one',
  async () => {
    const database = await createMigratedDatabase();
    onTestFinished(() => database.drop());
    await endure('fleet', {
      databaseUrl: database.url,
      amqpUrl,
      servers: 3,
      roundsMin: 5,
      strike: async ({ fleet, load, random }) => {
        await load.untilMore(random.between(1, 60));
        await fleet.kill(random.below(3));
      },
    });
  },
  CHAOS_TIMEOUT_MS,
);
