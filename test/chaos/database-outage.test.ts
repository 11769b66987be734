import { expect, onTestFinished, test } from 'vitest';
import { AMQP_URL } from '../setup/amqp-url.js';
import { canRun } from '../setup/lack.js';
import { mariaDbLack, startMariaDb } from '../setup/mariadb.js';
import { MYSQL_URL } from '../setup/mysql-url.js';
import { endure, type Ordeal } from '../setup/ordeal.js';
import { type CutMoment, startProxy } from '../setup/proxy.js';
import { CHAOS_TIMEOUT_MS } from '../setup/schedule.js';
import {
  createDatabaseOn,
  createMigratedDatabase,
  DIALECT,
  migrate,
} from '../setup/test-database.js';

const isMysql = DIALECT === 'mysql';

/** Until clients have met the trouble. */
async function untilRefused({ load }: Ordeal, count: number): Promise<void> {
  const before = load.indefinite.masked;
  await expect
    .poll(() => load.indefinite.masked - before, { timeout: 30_000 })
    .toBeGreaterThanOrEqual(count);
}

test.runIf(isMysql && canRun('a database that dies', isMysql ? await mariaDbLack() : undefined))(
  'the database killed, stopped and started under load: servers go on without a restart, and nothing is lost',
  async () => {
    const mariaDb = await startMariaDb();
    const databaseUrl = await createDatabaseOn(mariaDb.url);
    await migrate(databaseUrl);
    await endure('database outage', {
      databaseUrl,
      amqpUrl: AMQP_URL,
      servers: 2,
      roundsMin: 3,
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

/** What MySQL's protocol has on its wire for a statement that is this word alone. */
const COMMIT = '\u0003commit';

const MOMENTS: readonly (CutMoment | 'at once')[] = ['before', 'sent', 'answered', 'at once'];

test.runIf(isMysql)(
  'connections cut within transactions, and while they commit: what nobody could know is found by its key',
  async () => {
    const database = await createMigratedDatabase();
    onTestFinished(() => database.drop());
    const { hostname, port } = new URL(MYSQL_URL);
    const proxy = await startProxy({ host: hostname, port: Number(port || 3306) });
    const url = new URL(database.url);
    url.hostname = '127.0.0.1';
    url.port = String(proxy.port);
    await endure('cut connections', {
      databaseUrl: url.href,
      amqpUrl: AMQP_URL,
      roundsMin: 16,
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
