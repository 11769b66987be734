import { rm } from 'node:fs/promises';
import { installMariaDb, launchMariaDb, missingMariaDb } from './mariadb.js';
import { INSTALLED_DATA, OWN_MARIADB } from './mysql-url.js';

/** Exceeds the connection pools of all tests and their servers. */
const SETTINGS = ['--max-connections=1000', '--innodb-buffer-pool-size=256M'];

/**
 * Installs MariaDB once for all tests, and starts the server that tests share. If TEST_MYSQL_URL names a server, the
 * tests share that one.
 */
export async function setup(): Promise<(() => Promise<void>) | undefined> {
  if (process.env[INSTALLED_DATA] || (await missingMariaDb()) !== undefined) return undefined;
  const installed = await installMariaDb();
  process.env[INSTALLED_DATA] = installed;
  const shared = process.env.TEST_MYSQL_URL ? undefined : await launchMariaDb(SETTINGS);
  if (shared) process.env[OWN_MARIADB] = shared.url;
  return async () => {
    await shared?.close();
    await rm(installed, { recursive: true, force: true });
  };
}
