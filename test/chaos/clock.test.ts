import { onTestFinished, test } from 'vitest';
import { AMQP_URL } from '../support/amqp-url.js';
import { CHAOS_TIMEOUT_MS } from '../support/seeded-random.js';
import { createMigratedDatabase, DIALECT } from '../support/test-database.js';
import { startClock } from './support/clock.js';
import { runWithFaults } from './support/fault-run.js';

const HOUR_MS = 3_600_000;

/** Shifts within the retention of published messages. A clock that is a week ahead has them deleted. */
const SHIFTS_MS = [-26 * HOUR_MS, -HOUR_MS, -2_000, 0, 2_000, HOUR_MS, 26 * HOUR_MS];

test(
  'a clock that jumps, while servers are killed, loses nothing and never turns back the time in an account',
  async () => {
    const database = await createMigratedDatabase();
    onTestFinished(() => database.drop());
    const clock = await startClock();
    await runWithFaults('clock', {
      databaseUrl: database.url,
      amqpUrl: DIALECT === 'mysql' ? AMQP_URL : '',
      // Another test covers that a wrong clock refuses writes; here writes are allowed.
      env: { ...clock.env, CLOCK_SKEW_MS_MAX: '31622400000' },
      roundsMin: 4,
      injectFault: async ({ fleet, load, random }) => {
        await load.untilMore(random.between(1, 40));
        await clock.jumpTo(random.pick(SHIFTS_MS));
        if (random.below(4) === 0) await fleet.kill(0);
        await fleet.untilUp();
      },
    });
  },
  CHAOS_TIMEOUT_MS,
);
