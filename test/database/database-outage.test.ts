import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise';
import { describe, expect, onTestFinished, test } from 'vitest';
import { DUE_AT_ONCE, OutboxMessage } from '../../src/entities/outbox-message.entity.js';
import { SEARCH_COLUMNS } from '../../src/infrastructure/search/search-tables.js';
import { ACME, aBulk, aTransfer, GLOBEX, ibanOf, transfersOf } from '../support/builders.js';
import { canRun } from '../support/can-run.js';
import { type Client, type GraphQLAnswer, PERFORM } from '../support/client.js';
import { createUserOf, type MariaDb, missingMariaDb, startMariaDb } from '../support/mariadb.js';
import { startProcess } from '../support/process.js';
import { COMMIT, startDatabaseProxy } from '../support/proxy.js';
import { readinessOf } from '../support/readiness.js';
import { startServer, startServerOn, type TestServer, untilPublished } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';
import {
  createDatabaseOn,
  createMigratedDatabase,
  DIALECT,
  migrate,
} from '../support/test-database.js';

/** Maximum time for which bulks are retried. */
const LOCK_TIMEOUT_MS = '1000';

type Environment = Readonly<Record<string, string>>;

const UNAVAILABLE = {
  status: 503,
  errors: [{ extensions: { code: 'UNAVAILABLE', retryAfterSeconds: 5 } }],
};

const BALANCE = `{ account(iban: "${ACME}") { balance { amount } } }`;

/** Starts a server on a database that no other test has. The server is closed when the test ends. */
async function startOn(databaseUrl: string, env: Environment = {}): Promise<TestServer> {
  const database = { url: databaseUrl, drop: async () => {} };
  const server = await startServerOn(database, { LOCK_TIMEOUT_MS, ...env });
  onTestFinished(() => server.close());
  return server;
}

/** Starts a server whose database is behind a network that a test can cut. */
async function startBehindProxy(env: Environment = {}): Promise<{
  server: TestServer;
  directUrl: string;
  proxy: Awaited<ReturnType<typeof startDatabaseProxy>>['proxy'];
}> {
  const database = await createMigratedDatabase();
  onTestFinished(() => database.drop());
  const { proxy, databaseUrl } = await startDatabaseProxy(database.url);
  return { server: await startOn(databaseUrl, env), directUrl: database.url, proxy };
}

/** Starts a server as an ordinary user of the test's own MariaDB. */
async function startAsUser(): Promise<{ server: TestServer; mariaDb: MariaDb }> {
  const mariaDb = await startMariaDb();
  const databaseUrl = await createDatabaseOn(mariaDb.url);
  await migrate(databaseUrl);
  return { mariaDb, server: await startOn(await createUserOf(mariaDb, databaseUrl)) };
}

async function sendBulk(client: Client, idempotencyKey?: string): Promise<GraphQLAnswer> {
  return client.send(PERFORM, { input: aBulk([aTransfer()], { idempotencyKey }) });
}

/** Returns the status of /readyz and the state of the database in its body. */
async function databaseReadiness({ url }: TestServer) {
  const { code, parts } = await readinessOf(url);
  return { code, ...parts.database };
}

const PERFORMED = {
  status: 200,
  data: { performBulkTransfer: { __typename: 'BulkTransferPerformed' } },
};

const OUTCOME_UNKNOWN = {
  status: 503,
  errors: [{ extensions: { code: 'OUTCOME_UNKNOWN' } }],
};

const whenToRetry = ({ headers, errors }: GraphQLAnswer) => [
  headers.get('retry-after'),
  errors?.[0]?.extensions.retryAfterSeconds,
];

/** ER_QUERY_INTERRUPTED; ER_LOCK_DEADLOCK, with which Galera refuses a commit. */
const QUERY_INTERRUPTED = 1_317;
const DEADLOCK = 1_213;

const mutationOf = (name: string, input: string) =>
  `mutation ($input: ${input}!) { ${name}(input: $input) { __typename } }`;

/** Mutations that write their own rows: their variables, different for each number, and the rows that they write. */
const MUTATIONS: readonly [
  name: string,
  document: string,
  variables: (count: number) => Readonly<Record<string, unknown>>,
  insert: string,
][] = [
  [
    'performBulkTransfer',
    PERFORM,
    (count) => ({ input: aBulk([aTransfer()], { idempotencyKey: String(count) }) }),
    'insert into `transfer`',
  ],
  [
    'openAccount',
    mutationOf('openAccount', 'OpenAccountInput'),
    (count) => ({ input: { organizationName: 'New', iban: ibanOf(count), bic: 'BNPAFRPP' } }),
    'insert into `account`',
  ],
  [
    'creditAccount',
    mutationOf('creditAccount', 'CreditAccountInput'),
    (count) => ({
      input: { iban: ACME, amount: '1', description: 'In', idempotencyKey: String(count) },
    }),
    'insert into `ledger_entry`',
  ],
  [
    'createApiKey',
    mutationOf('createApiKey', 'CreateApiKeyInput'),
    () => ({ input: { name: 'Key', organizationIds: [], roles: ['VIEWER'] } }),
    'insert into `api_key`',
  ],
];

describe.runIf(DIALECT === 'mysql')('a database that cannot be reached', () => {
  test('refuses queries and bulks with UNAVAILABLE and a retry delay', async () => {
    const { server, proxy } = await startBehindProxy();
    const { client } = server;
    await proxy.goDown();

    const answers = [await client.send(BALANCE), await sendBulk(client), await sendBulk(client)];

    for (const answer of answers) {
      expect(answer).toMatchObject(UNAVAILABLE);
      expect(answer.headers.get('retry-after')).toBe('5');
      expect(JSON.stringify(answer)).not.toContain('ECONN');
    }
    expect(await databaseReadiness(server)).toMatchObject({ code: 503, status: 'unavailable' });
  });

  test('refuses subscriptions with UNAVAILABLE over either transport', async () => {
    const { server, proxy } = await startBehindProxy();
    const query = `subscription { balanceUpdated(accountIban: "${ACME}") { sequence } }`;
    await proxy.goDown();

    const subscriber = subscribe(server.url, query);
    const stream = await fetch(`${server.url}/graphql/stream`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query }),
    });

    const { errors } = UNAVAILABLE;
    const [, data = ''] = /^event: next\ndata: (.*)$/m.exec(await stream.text()) ?? [];
    expect(JSON.parse(data)).toMatchObject({ errors });
    await expect.poll(() => subscriber.errors).toMatchObject(errors);
    // The client itself closes connections that it no longer needs.
    expect(subscriber.closeCodes.filter((code) => code !== 1_000)).toEqual([]);
  });

  test('is logged at intervals, not with each request', async () => {
    const { server, proxy } = await startBehindProxy();
    // A message that the outage interrupts would be in the log as well.
    await untilPublished(server);
    await proxy.goDown();

    const requests = Array.from({ length: 100 }, () => server.client.send(BALANCE));
    await Promise.all(requests);

    const messages = server.log.map(({ msg }) => msg);
    expect([...new Set(messages)]).toEqual(['Database unavailable']);
    expect(messages.length).toBeLessThan(requests.length);
  });

  test('is used again when it is back, without a restart of the server', async () => {
    const { server, proxy } = await startBehindProxy();
    await proxy.goDown();
    expect(await sendBulk(server.client)).toMatchObject(UNAVAILABLE);

    await proxy.goUp();

    expect(await sendBulk(server.client)).toMatchObject(PERFORMED);
    expect(await databaseReadiness(server)).toMatchObject({ code: 200, status: 'ok' });
  });

  test('does not fail a bulk whose connection is lost before its commit: another connection performs it', async () => {
    const { server, proxy } = await startBehindProxy();
    const cut = proxy.cutAt('insert into `transfer`', 'sent');

    const answer = await sendBulk(server.client);
    await cut;

    expect(answer).toMatchObject(PERFORMED);
    expect(await server.client.balance(ACME)).toBe('99999.00');
  });

  test.each(['before', 'answered'] as const)(
    'leaves the outcome of a bulk unknown if the connection is lost in its commit (%s), and its key finds it',
    async (moment) => {
      const { server, proxy } = await startBehindProxy();
      // The relay commits on its own connections.
      const cut = proxy.cutAt(COMMIT, moment, 'insert into `transfer`');

      const lost = await sendBulk(server.client, 'key');
      await cut;
      const replayed = moment === 'answered';

      expect(lost).toMatchObject({
        status: 503,
        errors: [{ extensions: { code: 'OUTCOME_UNKNOWN' } }],
      });
      expect(await sendBulk(server.client, 'key')).toMatchObject({
        data: { performBulkTransfer: { __typename: 'BulkTransferPerformed', replayed } },
      });
      expect(await server.client.balance(ACME)).toBe('99999.00');
    },
  );

  test.each(MUTATIONS)(
    'leaves the outcome of %s unknown if the commit fails, whatever its error',
    async (name, document, variables, insert) => {
      const { server, proxy } = await startBehindProxy();
      for (const errno of [QUERY_INTERRUPTED, 1_180]) {
        const failed = proxy.failAt(COMMIT, errno, insert);

        const answer = await server.client.send(document, variables(errno));
        await failed;

        expect([name, errno, answer]).toMatchObject([name, errno, OUTCOME_UNKNOWN]);
        const expected = name === 'createApiKey' ? [null, undefined] : ['5', 5];
        expect([name, ...whenToRetry(answer)]).toEqual([name, ...expected]);
      }
      // The outage log has the errors that concern the database. No entry reports an unknown error.
      await expect
        .poll(() => server.log.filter(({ msg }) => msg === 'Commit failed'))
        .toMatchObject([{ err: { errno: 1_180 } }]);
    },
  );

  test.each([
    ['without an idempotency key', undefined, {}, [null, undefined]],
    ['with a key in its input', 'key', {}, ['5', 5]],
    ['with a key in its header', undefined, { 'idempotency-key': '"key"' }, ['5', 5]],
  ] as const)(
    'gives a retry delay for the unknown outcome of a bulk %s only if a retry cannot pay twice',
    async (_, idempotencyKey, headers, expected) => {
      const { server, proxy } = await startBehindProxy();
      const failed = proxy.failAt(COMMIT, QUERY_INTERRUPTED, 'insert into `transfer`');

      const input = aBulk([aTransfer()], { idempotencyKey });
      const answer = await server.client.send(PERFORM, { input }, headers);
      await failed;

      expect(answer).toMatchObject(OUTCOME_UNKNOWN);
      expect(whenToRetry(answer)).toEqual(expected);
    },
  );

  test.each(MUTATIONS)(
    'leaves %s undone if its commit, or a statement before it, fails because of a deadlock',
    async (name, document, variables, insert) => {
      const { server, proxy } = await startBehindProxy();
      const isRunAgain = name !== 'createApiKey';
      // A message may have several statements, each with an answer. It is not passed on, so no answer follows the
      // error.
      const interrupted = proxy.refuseAt(insert, QUERY_INTERRUPTED);
      const first = await server.client.send(document, variables(1));
      await interrupted;
      expect([name, first]).toMatchObject([name, isRunAgain ? { status: 200 } : UNAVAILABLE]);
      expect(first.errors === undefined).toBe(isRunAgain);
      if (!isRunAgain) return;

      const deadlock = proxy.failAt(COMMIT, DEADLOCK, insert);
      const second = await server.client.send(document, variables(2));
      await deadlock;

      // The proxy has passed the commit on, so the account exists.
      expect(second).toMatchObject({ status: 200 });
      expect(second.errors).toBeUndefined();
    },
  );

  test('does not claim that nothing was done if an earlier mutation of the operation was performed', async () => {
    const { server, proxy, directUrl } = await startBehindProxy({ LOCK_TIMEOUT_MS: '60000' });
    const direct = await createConnection(directUrl.replace(/^mariadb:/, 'mysql:'));
    onTestFinished(() => direct.end());
    await direct.query('set session transaction isolation level read committed');
    await direct.query('start transaction');
    await direct.query(`select id from account where iban = '${GLOBEX}' for update`);
    const perform = '{ __typename }';
    const both = `mutation ($one: PerformBulkTransferInput!, $two: PerformBulkTransferInput!) {
      one: performBulkTransfer(input: $one) ${perform}
      two: performBulkTransfer(input: $two) ${perform} }`;
    const two = { ...aBulk([aTransfer()]), organizationIban: GLOBEX };
    const answering = server.client.send(both, { one: aBulk([aTransfer()]), two });
    const bulkCount = async () => {
      const [rows] = await direct.query('select count(*) as count from bulk_transfer');
      return (rows as { count: number }[])[0]?.count;
    };
    await expect.poll(bulkCount).toBe(1);

    await proxy.goDown();

    expect(await answering).toMatchObject({
      status: 503,
      errors: [{ path: ['two'], extensions: { code: 'OUTCOME_UNKNOWN' } }],
    });
    await direct.query('rollback');
  });

  test('delays no messages of a claim whose connection is lost in its commit', async () => {
    const { server, proxy } = await startBehindProxy();
    await untilPublished(server);
    const cut = proxy.cutAt(COMMIT, 'answered', 'update `outbox_message` set `due_at`');
    const em = server.database.orm.em.fork();
    await em.nativeUpdate(OutboxMessage, {}, { publishedAt: null, dueAt: DUE_AT_ONCE });
    await cut;

    // The time is much shorter than the lease of the claim.
    await untilPublished(server);

    expect(server.log).toMatchObject([{ msg: 'Database unavailable', reason: 'DATABASE_AWAY' }]);
  });

  test('does not fail a performed bulk whose warnings cannot be read', async () => {
    const { server, proxy } = await startBehindProxy();
    const cut = proxy.cutAt('order by `b0`.`sequence` desc', 'sent');

    const answer = await server.client.send(
      `mutation ($input: PerformBulkTransferInput!) { performBulkTransfer(input: $input) {
        ... on BulkTransferPerformed { bulkTransfer { transferCount } warnings { code } } } }`,
      { input: aBulk([aTransfer(), aTransfer()]) },
    );
    await cut;

    expect(answer).toMatchObject({
      status: 200,
      data: { performBulkTransfer: { bulkTransfer: { transferCount: 2 }, warnings: [] } },
    });
  });
});

test.runIf(DIALECT === 'sqlite')(
  'a full SQLite file refuses bulks with a retryable code, serves reads, and is writable again later',
  async () => {
    const server = await startServer();
    const setPagesMax = (pages: number) =>
      server.database.orm.em.fork().execute(`pragma max_page_count = ${pages}`);
    // The limit cannot be smaller than the file.
    await setPagesMax(1);
    const large = aBulk(transfersOf(1_000));

    const refused = await server.client.send(PERFORM, { input: large });

    expect(refused).toMatchObject(UNAVAILABLE);
    expect(refused.errors?.[0]?.message).toMatch(/no space left/);
    expect(server.log).toMatchObject([{ msg: 'Database unavailable', reason: 'DATABASE_FULL' }]);
    expect(await server.client.balance(ACME)).toBe('100000.00');
    await setPagesMax(1_000_000);
    expect(await server.client.send(PERFORM, { input: large })).toMatchObject(PERFORMED);
  },
);

test.runIf(DIALECT === 'sqlite')(
  'a commit that SQLite cannot write has an unknown outcome, and the server continues',
  async () => {
    const database = await createMigratedDatabase();
    onTestFinished(() => database.drop());
    const server = await startProcess({ DATABASE_URL: database.url });
    const setFileBytesMax = (max: string) =>
      promisify(execFile)('prlimit', ['--pid', String(server.process.pid), `--fsize=${max}:`]);
    // The rows are in memory until the commit, which is the first write that fails.
    await setFileBytesMax('0');

    for (const [name, document, variables] of MUTATIONS) {
      const answer = await server.client.send(document, variables(1));
      expect([name, answer]).toMatchObject([name, OUTCOME_UNKNOWN]);
    }

    await setFileBytesMax('unlimited');
    for (const [name, document, variables] of MUTATIONS) {
      const answer = await server.client.send(document, variables(1));
      expect([name, answer.errors]).toEqual([name, undefined]);
    }
  },
);

test.each([
  ['table', 'alter table audit_entry rename to lost', 'alter table lost rename to audit_entry'],
  [
    'column',
    'alter table audit_entry rename column action to lost',
    'alter table audit_entry rename column lost to action',
  ],
])(
  'a server whose database lacks a %s refuses bulks with a retryable code, is not ready, and continues without a restart',
  async (_, lose, restore) => {
    const server = await startServer();
    await untilPublished(server);
    const run = (sql: string) => server.database.orm.em.fork().execute(sql);
    await run(lose);

    expect(await databaseReadiness(server)).toMatchObject({
      code: 503,
      status: 'unavailable',
      reasons: ['NOT_MIGRATED'],
    });
    const refused = await sendBulk(server.client);

    expect(refused).toMatchObject(UNAVAILABLE);
    expect(refused.errors?.[0]?.message).toMatch(/lacks a table or a column/);
    expect(server.log).toMatchObject([
      {
        msg: 'Database unavailable',
        reason: 'DATABASE_INCOMPLETE',
        missing: expect.stringMatching(/audit_entry|action/),
      },
    ]);
    expect(await server.client.balance(ACME)).toBe('100000.00');
    await run(restore);
    expect(await databaseReadiness(server)).toMatchObject({ code: 200, status: 'ok' });
    expect(await sendBulk(server.client)).toMatchObject(PERFORMED);
  },
);

/** Opens a connection past the server, which ends with the test. */
async function connectTo({ databaseUrl }: TestServer) {
  const connection = await createConnection(databaseUrl.replace(/^mariadb:/, 'mysql:'));
  onTestFinished(() => connection.end());
  return connection;
}

describe.runIf(DIALECT === 'mysql')('a table that another session locks', () => {
  const OK = { code: 200, status: 'ok' };

  const waitersOf = async (connection: Connection) => {
    const [rows] = await connection.query<RowDataPacket[]>(
      `select info from information_schema.processlist
        where db = database() and state = 'Waiting for table metadata lock'`,
    );
    return rows.map(({ info }) => info);
  };

  test('against writes, as a dump does, leaves every server ready and takes no connection', async () => {
    const server = await startServer();
    await untilPublished(server);
    const other = await connectTo(server);
    await other.query('lock tables audit_entry read');

    expect(await databaseReadiness(server)).toEqual(OK);
    const monitor = await connectTo(server);
    expect(await waitersOf(monitor)).toEqual([]);
    await other.query('unlock tables');
    expect(server.log).toEqual([]);
  });

  test('completely, as DDL does, leaves every server ready and takes at most one connection', async () => {
    const server = await startServer();
    await untilPublished(server);
    const reader = await connectTo(server);
    await reader.query('start transaction');
    await reader.query('select 1 from audit_entry limit 1');
    const altering = (await connectTo(server)).query('alter table audit_entry comment = "Altered"');
    const monitor = await connectTo(server);
    await expect.poll(() => waitersOf(monitor)).toHaveLength(1);

    const answers = Promise.all(Array.from({ length: 5 }, () => databaseReadiness(server)));
    await expect.poll(() => waitersOf(monitor), { interval: 20 }).toHaveLength(2);

    expect(await answers).toEqual([OK, OK, OK, OK, OK]);
    await reader.query('rollback');
    await altering;
    expect(server.log).toEqual([]);
    const em = () => server.database.orm.em.fork();
    const waits = 'select @@session.lock_wait_timeout = @@global.lock_wait_timeout as isUsual';
    const sessions = await Promise.all(Array.from({ length: 10 }, () => em().execute(waits)));
    expect(sessions.flat().map(({ isUsual }) => Number(isUsual))).toEqual(Array(10).fill(1));
  });
});

test.runIf(DIALECT === 'mysql')('a bulk whose statement is interrupted is run again', async () => {
  const server = await startServer();
  const { client, databaseUrl } = server;
  const uri = databaseUrl.replace(/^mariadb:/, 'mysql:');
  const other = await createConnection({ uri });
  onTestFinished(() => other.end());
  await other.query('begin');
  await other.query('select id from account for update');

  const answer = sendBulk(client);
  const waiting = async () => {
    const [rows] = await other.query<RowDataPacket[]>(
      `select id from information_schema.processlist
        where db = database() and id <> connection_id() and info like '%for update'`,
    );
    return rows[0]?.id;
  };
  await expect.poll(waiting, { interval: 20 }).toBeDefined();
  await other.query(`kill query ${await waiting()}`);
  await expect
    .poll(() => server.log.map(({ reason }) => reason), { interval: 20 })
    .toContain('STATEMENT_FAILED');
  await other.query('rollback');

  expect(await answer).toMatchObject(PERFORMED);
});

describe.runIf(DIALECT === 'mysql' && canRun('a database of its own', await missingMariaDb()))(
  'a MariaDB server',
  () => {
    test('that is read-only refuses bulks with a retryable code, serves reads, and makes the server unready', async () => {
      const { server, mariaDb } = await startAsUser();
      await mariaDb.run('set global read_only = 1');

      const refused = [await sendBulk(server.client), await sendBulk(server.client)];

      for (const answer of refused) {
        expect(answer).toMatchObject(UNAVAILABLE);
        expect(answer.errors?.[0]?.message).toMatch(/accepts no writes/);
      }
      expect(await server.client.balance(ACME)).toBe('100000.00');
      expect((await fetch(`${server.url}/livez`)).status).toBe(200);
      expect(await databaseReadiness(server)).toEqual({
        code: 503,
        status: 'unavailable',
        reasons: ['READ_ONLY'],
      });
    });

    test('that was read-only is written to again without a restart', async () => {
      const { server, mariaDb } = await startAsUser();
      await mariaDb.run('set global read_only = 1');
      expect(await sendBulk(server.client)).toMatchObject(UNAVAILABLE);

      await mariaDb.run('set global read_only = 0');

      expect(await sendBulk(server.client)).toMatchObject(PERFORMED);
      expect(await databaseReadiness(server)).toMatchObject({ code: 200, status: 'ok' });
    });

    test('that is read-only loses every connection, because after a fail-over they lead to the wrong node', async () => {
      const { server, mariaDb } = await startAsUser();
      await Promise.all(Array.from({ length: 10 }, () => server.client.send(BALANCE)));
      const before = await connectionsOf(mariaDb);
      await mariaDb.run('set global read_only = 1');

      await sendBulk(server.client);
      await server.client.send(BALANCE);

      const survivors = async () =>
        (await connectionsOf(mariaDb)).filter((id) => before.includes(id));
      await expect.poll(survivors).toEqual([]);
    });

    test.each(['insert', 'update', 'delete', 'select'])(
      'that revokes the privilege %s is noticed before a bulk is performed, and so is the new grant',
      async (privilege) => {
        const { server, mariaDb } = await startAsUser();
        const on = `on ${new URL(server.databaseUrl).pathname.slice(1)}.*`;
        await mariaDb.run(`revoke ${privilege} ${on} from bank@'%'`);
        // Open connections keep their old privileges.
        await mariaDb.run('kill user bank');

        await expect
          .poll(() => databaseReadiness(server))
          .toEqual({ code: 503, status: 'unavailable', reasons: ['ACCESS_DENIED'] });
        const answer = await sendBulk(server.client);

        expect(answer).toMatchObject(privilege === 'delete' ? PERFORMED : UNAVAILABLE);
        const denied = expect.stringMatching(
          new RegExp(`^${privilege} command denied to user .* for table`, 'i'),
        );
        await expect.poll(() => server.log.map(({ missing }) => missing)).toContainEqual(denied);
        await mariaDb.run(`grant ${privilege} ${on} to bank@'%'`);
        await expect
          .poll(() => databaseReadiness(server))
          .toMatchObject({ code: 200, status: 'ok' });
        await expect.poll(() => sendBulk(server.client)).toMatchObject(PERFORMED);
      },
    );

    test('whose user may update only the columns of the server takes bulks, and safe updates change nothing', async () => {
      const { server, mariaDb } = await startAsUser();
      const database = new URL(server.databaseUrl).pathname.slice(1);
      const grants = [
        `select, insert on ${database}.*`,
        ...[
          'outbox_message',
          'dead_letter',
          'webhook',
          'webhook_cursor',
          'webhook_delivery',
          'webhook_attempt',
          'bulk_transfer_order',
          'order_row',
          ...SEARCH_COLUMNS.map(({ name }) => name),
        ].map((table) => `delete on ${database}.${table}`),
        `update (sequence, entry_id) on ${database}.search_watermark`,
        `update (balance_minor, sequence, updated_at) on ${database}.account`,
        `update (revoked_at, last_used_at) on ${database}.api_key`,
        `update (due_at, leased_by, attempts, published_at, parked_at, last_error)
          on ${database}.outbox_message`,
        `update (type, reason, attempts, last_error, first_failed_at, last_failed_at, received_at,
          arrivals, payload) on ${database}.dead_letter`,
        `update (slot, url, events, account_ibans, description, status, disabled_reason, secret,
          previous_secret, previous_secret_ends_at, last_delivered_at, failing_since, deleted_at)
          on ${database}.webhook`,
        `update (position) on ${database}.webhook_cursor`,
        `update (status, attempts, failures, due_at, leased_by, leased_at, ended_at)
          on ${database}.webhook_delivery`,
        `update (status, import_key, row_count, problem_count, unreadable_rows, total_amount_minor,
          kept_rows, idempotency_key,
          bulk_rows_max, transition_count, performed_bulks, failure, submitted_by, submitted_by_kind, request_id,
          remote_address, created_at, changed_at, submitted_at, performed_at, expires_at, phase, rows_done,
          leased_by, leased_until) on ${database}.bulk_transfer_order`,
        `update (is_duplicate, has_problems) on ${database}.order_row`,
      ];
      await mariaDb.run(`revoke all on ${database}.* from bank@'%'`);
      for (const grant of grants) await mariaDb.run(`grant ${grant} to bank@'%'`);
      await mariaDb.run('set global sql_safe_updates = 1');
      await mariaDb.run('kill user bank');

      await expect.poll(() => databaseReadiness(server)).toEqual({ code: 200, status: 'ok' });
      expect(await sendBulk(server.client)).toMatchObject(PERFORMED);
      await untilPublished(server);
      await mariaDb.run(`revoke update (sequence) on ${database}.account from bank@'%'`);
      await expect
        .poll(() => databaseReadiness(server))
        .toEqual({ code: 503, status: 'unavailable', reasons: ['ACCESS_DENIED'] });
    });

    test('whose user may not use the search tables takes bulks, and says that it cannot search', async () => {
      const { server, mariaDb } = await startAsUser();
      const database = new URL(server.databaseUrl).pathname.slice(1);
      const on = `on ${database}.*`;
      await mariaDb.run(`revoke all ${on} from bank@'%'`);
      await mariaDb.run(`grant select ${on} to bank@'%'`);
      const tables = await mariaDb.run(
        `select table_name as name from information_schema.tables where table_schema = '${database}'`,
      );
      const ofLedger = tables.map(({ name }) => name).filter((name) => !name.startsWith('search_'));
      for (const name of ofLedger)
        await mariaDb.run(`grant insert, update, delete on ${database}.${name} to bank@'%'`);
      await mariaDb.run('kill user bank');

      await expect
        .poll(() => readinessOf(server.url))
        .toMatchObject({
          code: 200,
          status: 'degraded',
          parts: {
            database: { status: 'ok' },
            search: { status: 'degraded', reasons: ['NOT_UPDATED'] },
          },
        });
      expect(await sendBulk(server.client)).toMatchObject(PERFORMED);
      await mariaDb.run(`grant all ${on} to bank@'%'`);
      await expect.poll(() => readinessOf(server.url)).toMatchObject({ code: 200, status: 'ok' });
    });

    test('without a free connection makes requests retryable, and is used again later', async () => {
      const { server, mariaDb } = await startAsUser();
      const { client, databaseUrl } = server;
      await mariaDb.run(`grant usage on *.* to bank@'%' with max_user_connections 1`);
      const uri = databaseUrl.replace(/^mariadb:/, 'mysql:');
      const takeAll = async () => {
        await mariaDb.run('kill user bank');
        return createConnection({ uri }).catch(() => undefined);
      };
      // The server's own poll of its outbox may come first.
      let taken = await takeAll();
      await expect.poll(async () => (taken ??= await takeAll())).toBeDefined();

      const answers = [await client.send(BALANCE), await sendBulk(client)];
      await taken?.end();

      expect(answers).toMatchObject([UNAVAILABLE, UNAVAILABLE]);
      await mariaDb.run(`grant usage on *.* to bank@'%' with max_user_connections 0`);
      expect(await sendBulk(client)).toMatchObject(PERFORMED);
    });

    test('that is restarted makes requests retryable, and is used again later', async () => {
      const { server, mariaDb } = await startAsUser();
      await mariaDb.stop();
      expect(await sendBulk(server.client)).toMatchObject(UNAVAILABLE);

      await mariaDb.start();

      expect(await sendBulk(server.client)).toMatchObject(PERFORMED);
    });

    test('that a test starts leaves the temporary tables of another server alone', async () => {
      const { url, drop } = await createMigratedDatabase();
      onTestFinished(drop);
      const other = await createConnection(url.replace(/^mariadb:/, 'mysql:'));
      onTestFinished(() => other.end());
      await other.query('create temporary table in_tmpdir (id int) engine = MyISAM');

      await startMariaDb();

      await other.query('drop temporary table in_tmpdir');
    });
  },
);

async function connectionsOf(mariaDb: MariaDb): Promise<number[]> {
  const rows = await mariaDb.run(
    `select id from information_schema.processlist where user = 'bank'`,
  );
  return rows.map(({ id }) => id);
}
