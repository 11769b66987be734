import { expect, test } from 'vitest';
import { canRun } from '../../support/can-run.js';
import { Client } from '../../support/client.js';
import { CHAOS_TIMEOUT_MS } from '../../support/seeded-random.js';
import { migrate } from '../../support/test-database.js';
import { runWithFaults } from '../support/fault-run.js';
import { missingSmallDisk, startSmallDisk } from '../support/small-disk.js';

// A container may forbid its root user to mount anything.
const hasDisk = canRun('a full disk', await missingSmallDisk(), false);

test.runIf(hasDisk)(
  'a full disk refuses writes and serves reads, and all works again once there is room',
  async () => {
    const disk = await startSmallDisk();
    const databaseUrl = `sqlite:${disk.path}/virement.db`;
    await migrate(databaseUrl);
    await runWithFaults('disk full', {
      databaseUrl,
      roundsMin: 3,
      injectFault: async ({ fleet, load, random, ibans }) => {
        await load.untilMore(random.between(1, 60));
        const { unavailable } = load.indefinite;
        await disk.fill();
        await expect
          .poll(() => load.indefinite.unavailable - unavailable)
          .toBeGreaterThan(random.between(5, 40));
        const client = new Client(fleet.urls[0] ?? '');
        await expect(client.balance(random.pick(ibans))).resolves.toMatch(/^[0-9]+\.[0-9]{2}$/);
        await disk.free();
        await load.untilMore(10);
      },
    });
  },
  CHAOS_TIMEOUT_MS,
);
