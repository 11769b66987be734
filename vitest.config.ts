import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

// One copy of graphql, whichever way a package asks for it.
const graphql = fileURLToPath(new URL('node_modules/graphql/index.js', import.meta.url));

const endToEnd = (name: 'sqlite' | 'mysql') => ({
  extends: true as const,
  test: {
    name,
    include: ['test/**/*.test.ts'],
    env: { TEST_DATABASE: name },
    globalSetup: ['test/setup/database-server.ts'],
  },
});

export default defineConfig({
  resolve: { alias: [{ find: /^graphql$/, replacement: graphql }] },
  test: {
    testTimeout: 60_000,
    hookTimeout: 60_000,
    projects: [
      { extends: true, test: { name: 'unit', include: ['src/**/*.test.ts'] } },
      endToEnd('sqlite'),
      endToEnd('mysql'),
    ],
  },
});
