import { fileURLToPath } from 'node:url';
import { createConnection } from 'mysql2/promise';
import { defineConfig } from 'vitest/config';
import { MYSQL_URL } from './test/setup/mysql-url.js';

// One copy of graphql, whichever way a package asks for it.
const graphql = fileURLToPath(new URL('node_modules/graphql/index.js', import.meta.url));

const unit = { extends: true as const, test: { name: 'unit', include: ['src/**/*.test.ts'] } };

const endToEnd = (name: 'sqlite' | 'mysql') => ({
  extends: true as const,
  test: {
    name,
    include: ['test/**/*.test.ts'],
    env: { TEST_DATABASE: name },
    globalSetup: ['test/setup/build.ts'],
  },
});

/** Whether a MySQL or MariaDB answers; where none must be, says so loudly. */
async function hasMysql(): Promise<boolean> {
  try {
    const connection = await createConnection(MYSQL_URL.replace(/^mariadb:/, 'mysql:'));
    await connection.end();
    return true;
  } catch (error) {
    const lack = `No MySQL or MariaDB answers at ${MYSQL_URL} (${String(error)})`;
    if (process.env.CI === 'true') throw new Error(lack, { cause: error });
    console.warn(
      `\n*** SKIPPED: the mysql project. ${lack}. Set TEST_MYSQL_URL, or: apt-get install mariadb-server ***\n`,
    );
    return false;
  }
}

export default defineConfig(async () => ({
  resolve: { alias: [{ find: /^graphql$/, replacement: graphql }] },
  test: {
    testTimeout: 60_000,
    hookTimeout: 60_000,
    projects: [unit, endToEnd('sqlite'), ...((await hasMysql()) ? [endToEnd('mysql')] : [])],
  },
}));
