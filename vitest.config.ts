import { randomInt } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { connect } from 'amqplib';
import { createConnection } from 'mysql2/promise';
import { defineConfig } from 'vitest/config';
import { missingMariaDb } from './test/support/mariadb.js';
import { MYSQL_URL } from './test/support/mysql-url.js';
import { missingRabbitMq } from './test/support/rabbitmq.js';
import { SlowestTests } from './test/support/slowest-tests.js';
import { temporaryFolder } from './test/support/temporary-folder.js';

/** The seed of all files in a run. The same seed gives the same requests and the same faults again. */
process.env.CHAOS_SEED ||= String(randomInt(2 ** 31));

process.env.TMPDIR = temporaryFolder();

const WORKERS = 4;

// Every package must use the same copy of graphql.
const graphql = fileURLToPath(new URL('node_modules/graphql/index.js', import.meta.url));

// The built packages, as their users get them.
const client = fileURLToPath(new URL('clients/typescript/dist/index.js', import.meta.url));
const consumer = fileURLToPath(new URL('clients/consumer/dist/index.js', import.meta.url));

const unit = {
  extends: true as const,
  test: {
    name: 'unit',
    include: ['src/**/*.test.ts', 'clients/*/src/**/*.test.ts', 'test/repository/*.test.ts'],
  },
};

/**
 * Files that use the server through HTTP, a client package, a browser or a command, where no assertion depends
 * on SQL: the database only has to answer. They run on the embedded database alone.
 */
const ON_SQLITE_ALONE = [
  'test/api/graphiql.test.ts',
  'test/api/http.test.ts',
  'test/api/landing-page.test.ts',
  'test/api/trusted-documents.test.ts',
  'test/limits/heavy-clients.test.ts',
  'test/limits/limits.test.ts',
  'test/operation/{alerts,bulk-metrics,deployment,error-reports,import,operation-log}.test.ts',
  'test/operation/{start,stop-under-load,traces}.test.ts',
  'test/streams/connections.test.ts',
  'test/streams/server-sent-events.test.ts',
  'test/streams/stream-refusals.test.ts',
  'test/clients/*.test.ts',
  'test/webhooks/{sender,receivers}.test.ts',
];

/** The folders of the tests that run on each database. */
const SUBJECTS = [
  'access',
  'api',
  'clients',
  'database',
  'exports',
  'files',
  'ledger',
  'limits',
  'operation',
  'orders',
  'outbox',
  'streams',
  'webhooks',
];

/** The tests of the folders above that need a broker. */
const WITH_BROKER = 'test/clients/consumer-*.test.ts';

const endToEnd = (name: 'sqlite' | 'mysql') => ({
  extends: true as const,
  test: {
    name,
    include: [`test/{${SUBJECTS.join(',')}}/*.test.ts`],
    exclude: [WITH_BROKER, ...(name === 'mysql' ? ON_SQLITE_ALONE : [])],
    env: { TEST_DATABASE: name },
    globalSetup: [
      'test/support/build.ts',
      ...(name === 'mysql' ? ['test/support/database.ts'] : []),
    ],
  },
});

/** A running broker that the tests share and do not start. */
const SHARED_BROKER = process.env.TEST_AMQP_URL;

/**
 * Each worker has a virtual host on the tests' own broker. A shared broker has one exchange, so its tests take
 * turns: file by file, and database by database.
 */
const withBroker = (
  name: string,
  database: 'sqlite' | 'mysql',
  files: readonly string[],
  turn: number,
) => ({
  extends: true as const,
  test: {
    name,
    include: [...files],
    env: { TEST_DATABASE: database },
    globalSetup: [
      'test/support/build.ts',
      'test/support/broker.ts',
      ...(database === 'mysql' ? ['test/support/database.ts'] : []),
    ],
    ...(SHARED_BROKER ? { fileParallelism: false, sequence: { groupOrder: turn } } : {}),
  },
});

/**
 * Faults, histories and attacks; npm run test:chaos runs them for longer. They run after the other tests because they
 * load the machine.
 */
const chaos = (database: 'sqlite' | 'mysql') => ({
  extends: true as const,
  test: {
    name: `chaos-${database}`,
    include: ['test/chaos/*.test.ts', `test/chaos/${database}/*.test.ts`],
    env: { TEST_DATABASE: database },
    globalSetup: [
      'test/support/build.ts',
      ...(database === 'mysql' ? ['test/support/broker.ts', 'test/support/database.ts'] : []),
    ],
    sequence: { groupOrder: 2 },
  },
});

/** Tells whether a service answers. If it does not, it fails in CI, and otherwise prints which project is skipped. */
async function isAvailable(
  project: string,
  missing: string,
  connectToService: () => Promise<unknown>,
) {
  try {
    await connectToService();
    return true;
  } catch (error) {
    const reason = `${missing} (${error instanceof Error ? error.message : error})`;
    if (process.env.CI === 'true') throw new Error(reason, { cause: error });
    console.warn(`\n*** SKIPPED: the ${project} project. ${reason} ***\n`);
    return false;
  }
}

const hasMysql = () =>
  isAvailable(
    'mysql',
    `No MySQL or MariaDB at ${MYSQL_URL}. Set TEST_MYSQL_URL, or: apt-get install mariadb-server`,
    async () => {
      if (!process.env.TEST_MYSQL_URL && (await missingMariaDb()) === undefined) return;
      const connection = await createConnection(MYSQL_URL.replace(/^mariadb:/, 'mysql:'));
      await connection.end();
    },
  );

const hasRabbitMq = () =>
  isAvailable('rabbitmq', 'No RabbitMQ. Set TEST_AMQP_URL, or install one', async () => {
    if (SHARED_BROKER) return (await connect(SHARED_BROKER)).close();
    const missing = await missingRabbitMq();
    if (missing !== undefined) throw new Error(missing);
  });

/** Returns the projects whose services are available. */
async function projects() {
  const mysql = await hasMysql();
  const rabbitmq = mysql && (await hasRabbitMq());
  return [
    unit,
    endToEnd('sqlite'),
    ...(mysql ? [endToEnd('mysql')] : []),
    chaos('sqlite'),
    ...(rabbitmq
      ? [
          withBroker('rabbitmq', 'mysql', ['test/broker/*.test.ts', WITH_BROKER], 0),
          withBroker('rabbitmq-sqlite', 'sqlite', ['test/broker/{events,dead-letters}.test.ts'], 1),
          chaos('mysql'),
        ]
      : []),
  ];
}

export default defineConfig(async () => ({
  resolve: {
    alias: [
      { find: /^graphql$/, replacement: graphql },
      { find: /^@virement\/client$/, replacement: client },
      { find: /^@virement\/consumer$/, replacement: consumer },
    ],
  },
  test: {
    // Tests spend most of their time waiting for a process, a database or a browser.
    maxWorkers: WORKERS,
    // A worker keeps the modules that it has loaded: importing the server takes 3 s of a processor.
    isolate: false,
    reporters: ['default', new SlowestTests()],
    // Some machines are slow, and no test depends on a duration.
    testTimeout: 300_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 120_000 } },
    projects: await projects(),
  },
}));
