import { readdir, rm } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import type { MikroORM } from '@mikro-orm/sql';
import { createConnection } from 'mysql2/promise';
import { describe, expect, type MockInstance, onTestFinished, test, vi } from 'vitest';
import { MIGRATIONS as MYSQL_MIGRATIONS } from '../../migrations/mysql/index.js';
import { MIGRATIONS as SQLITE_MIGRATIONS } from '../../migrations/sqlite/index.js';
import type { Database } from '../../src/infrastructure/database/dialect.js';
import { openDatabase } from '../../src/infrastructure/database/open-database.js';
import { ACME, aBulk, aTransfer, transfersOf } from '../support/builders.js';
import { MYSQL_URL } from '../support/mysql-url.js';
import { runScript, startProcess } from '../support/process.js';
import { startServer } from '../support/server.js';
import { createDatabase, createMigratedDatabase, DIALECT } from '../support/test-database.js';

async function open(databaseUrl: string): Promise<Database> {
  const database = await openDatabase({ databaseUrl, databasePoolMax: 3, lockTimeoutMs: 1_000 });
  onTestFinished(() => database.close());
  return database;
}

/** Opens a database with every migration, which is dropped when the test ends. */
async function openMigrated(): Promise<Database> {
  const database = await createMigratedDatabase();
  onTestFinished(() => database.drop());
  return open(database.url);
}

/** Returns the SQL that would make the tables match the entities. The search tables have no entities. */
async function differencesOf(orm: MikroORM): Promise<string> {
  if (DIALECT === 'sqlite') await orm.em.execute('detach database search');
  return orm.schema.getUpdateSchemaSQL({ dropTables: false });
}

test('the tables of the migrations match the entities', async () => {
  const { orm } = await openMigrated();

  expect(await differencesOf(orm)).toBe('');
});

test('every migration can be reverted', async () => {
  const { orm } = await openMigrated();

  const migrations = await orm.migrator.getExecuted();
  for (const _ of migrations) await orm.migrator.down();

  expect(await orm.migrator.getExecuted()).toEqual([]);
  const tables = await orm.em.execute(
    DIALECT === 'mysql'
      ? 'select table_name as name from information_schema.tables where table_schema = database()'
      : "select name from sqlite_master where type = 'table' and name not like 'sqlite_%'",
  );
  expect(tables).toEqual([{ name: 'virement_migration' }]);
  await orm.migrator.up();
  expect(await differencesOf(orm)).toBe('');
});

test('both dialects have the same migrations', async () => {
  const [mysql, sqlite] = await Promise.all([
    readdir('migrations/mysql'),
    readdir('migrations/sqlite'),
  ]);

  expect(mysql).toEqual(sqlite);
});

test.each([
  ['mysql', MYSQL_MIGRATIONS],
  ['sqlite', SQLITE_MIGRATIONS],
])('the list of migrations of %s has every file of its folder, in order', async (folder, list) => {
  const files = (await readdir(`migrations/${folder}`)).filter((file) => file !== 'index.ts');

  expect(list.map(({ name }) => `${name}.ts`)).toEqual(files.toSorted());
});

/** Runs npm run migrate on a database. @returns its exit code and its output */
async function runMigrate(databaseUrl: string, ...args: string[]): Promise<[unknown, string]> {
  const env = { DATABASE_URL: databaseUrl };
  const { code, output } = await runScript('dist/commands/migrate.js', env, args);
  return [code, output.trim()];
}

test('npm run migrate applies, lists and reverts migrations', async () => {
  const database = await createDatabase();
  onTestFinished(() => database.drop());
  const migrate = (...args: string[]) => runMigrate(database.url, ...args);

  expect(await migrate('pending')).toEqual([0, expect.stringMatching(/^pending \d{14}_/)]);
  expect(await migrate()).toEqual([0, expect.stringMatching(/^applied \d{14}_/)]);
  expect(await migrate('up')).toEqual([0, 'up to date']);
  expect(await migrate('pending')).toEqual([0, 'up to date']);
  expect(await migrate('down')).toEqual([0, expect.stringMatching(/^reverted \d{14}_/)]);
});

test('npm run migrate does nothing if an argument is wrong, and names it', async () => {
  const database = await createDatabase();
  onTestFinished(() => database.drop());
  const migrate = (...args: string[]) => runMigrate(database.url, ...args);

  const help = 'For help: npm run migrate -- --help';
  expect(await migrate('sideways')).toEqual([1, `Unknown action 'sideways'. ${help}`]);
  expect(await migrate('up', 'down')).toEqual([1, `Unexpected argument 'down'. ${help}`]);
  expect(await migrate('--force')).toEqual([1, `Unknown option '--force'. ${help}`]);
  expect(await migrate('down', '--drop-data-of=')).toEqual([
    1,
    `Option '--drop-data-of' has no value. ${help}`,
  ]);
  expect(await migrate('up', '--drop-data-of', 'virement')).toEqual([
    1,
    '--drop-data-of is allowed with down only.',
  ]);
  expect(await migrate('pending')).toEqual([0, expect.stringMatching(/^pending /)]);
});

test('npm run migrate -- down deletes rows only of the database that its option names', async () => {
  const { url, drop } = await createMigratedDatabase();
  onTestFinished(drop);
  const settings = { databaseUrl: url, databasePoolMax: 5, lockTimeoutMs: 1_000 };
  const database = await openDatabase(settings);
  await database.orm.em.execute(ANY_ACCOUNT);
  const name = database.orm.config.get('dbName') ?? '';
  await database.close();
  const migrate = (...args: string[]) => runMigrate(url, ...args);

  for (const args of [['down'], ['down', '--drop-data-of', 'virement']]) {
    expect(await migrate(...args)).toEqual([
      1,
      `The database ${name} has rows in account. The revert of a migration may drop them. Back up the database, then add: --drop-data-of ${name}`,
    ]);
  }
  expect(await migrate()).toEqual([0, 'up to date']);
  expect(await migrate('down', '--drop-data-of', name)).toEqual([
    0,
    expect.stringMatching(/^reverted /),
  ]);
});

const ANY_ACCOUNT = `insert into account values (x'00000000000000000000000000000001', 1,
  x'00000000000000000000000000000002', 'A', 'B', 'C', 'EUR', 0, 0, '2026-01-01 00:00:00', '2026-01-01 00:00:00')`;

/** Returns the plan of a statement, without the indexes that the database considered and rejected. */
async function planOf({ orm }: Database, statement: string): Promise<string> {
  // MySQL 9 reads unique keys while it plans; its plan in JSON then names no index.
  const explain = DIALECT === 'mysql' ? 'explain format=traditional ' : 'explain query plan ';
  const steps = await orm.em.execute(explain + statement);
  return JSON.stringify(steps.map(({ possible_keys, ...step }) => step));
}

/** The primary key of transfers, as a plan names it. */
const TRANSFER_KEY = DIALECT === 'mysql' ? 'PRIMARY' : 'PRIMARY KEY (account_id=? AND position<?)';

test('the main queries use an index, and none sorts', async () => {
  const server = await startServer();
  for (let bulk = 0; bulk < 20; bulk += 1) await server.client.perform(aBulk(transfersOf(100)));
  await server.client.perform(aBulk([aTransfer()], { idempotencyKey: 'k' }));
  const { database } = server;
  const owner = `account_id = (select id from account where iban = '${ACME}')`;

  const queries = {
    [TRANSFER_KEY]: `select * from transfer where ${owner} and position < 5000000 order by position desc limit 21`,
    bulk_transfer_sequence_unique: `select * from bulk_transfer where ${owner} and sequence < 9 order by sequence desc limit 21`,
    bulk_transfer_idempotency_key_unique: `select * from bulk_transfer where ${owner} and idempotency_key = x'6b'`,
    ledger_entry_sequence_unique: `select * from ledger_entry where ${owner} and sequence < 9 order by sequence desc limit 21`,
    ledger_entry_created_at_index: `select * from ledger_entry where ${owner} and created_at < '2100-01-01' order by created_at desc, sequence desc limit 1`,
    account_iban_unique: `select * from account where iban = '${ACME}'`,
  };
  if (DIALECT === 'mysql')
    await database.orm.em.execute('analyze table transfer, bulk_transfer, ledger_entry');
  for (const [index, statement] of Object.entries(queries)) {
    const plan = await planOf(database, statement);
    expect([index, plan]).toEqual([index, expect.stringContaining(index)]);
    expect(plan).not.toMatch(/filesort|TEMP B-TREE/);
  }
});

test('the database refuses a negative balance', async () => {
  const { orm } = await openMigrated();
  const insert = (balance: number) =>
    orm.em.execute(
      `insert into account values (x'00000000000000000000000000000001', 1, x'00000000000000000000000000000002',
        'A', 'B', 'C', 'EUR', ${balance}, 0, '2026-01-01 00:00:00', '2026-01-01 00:00:00')`,
    );

  await expect(insert(-1)).rejects.toThrow(/constraint/i);
  await expect(insert(2 ** 53)).rejects.toThrow(/constraint/i);
  await insert(0);
});

test('an account whose lock is held is AccountBusy after the timeout, and free afterwards', async () => {
  const server = await startServer({ LOCK_TIMEOUT_MS: '1000' });
  const release = await lockFromOutside(server.databaseUrl);

  const busy = await server.client.perform(aBulk([aTransfer()]));
  await release();

  expect(busy).toMatchObject({ __typename: 'AccountBusy', code: 'ACCOUNT_BUSY', retryable: true });
  expect(await server.client.perform(aBulk([aTransfer()]))).toMatchObject({
    __typename: 'BulkTransferPerformed',
    account: { balance: { amount: '99999.00' } },
  });
});

test('an account whose lock is released in time is served', async () => {
  const server = await startServer({ LOCK_TIMEOUT_MS: '10000' });
  const isContention = vi.spyOn(server.database, 'isContention');
  const release = await lockFromOutside(server.databaseUrl);

  const waiting = server.client.perform(aBulk([aTransfer()]));
  // The database refreshes innodb_trx only if nobody has read it in the last tenth of a second.
  const interval = 300;
  await expect.poll(() => isWaiting(server.database, isContention), { interval }).toBe(true);
  await release();

  expect(await waiting).toMatchObject({ __typename: 'BulkTransferPerformed' });
});

/**
 * Tells whether a unit of work waits for another. SQLite refuses the second one, which is retried; MySQL makes it wait.
 */
async function isWaiting({ orm }: Database, isContention: MockInstance): Promise<boolean> {
  if (DIALECT === 'sqlite') return isContention.mock.calls.length > 0;
  const waiting = await orm.em
    .fork()
    .execute("select 1 from information_schema.innodb_trx where trx_state = 'LOCK WAIT'");
  return waiting.length > 0;
}

/** Takes the lock that a bulk of ACME needs, as another process would. */
async function lockFromOutside(databaseUrl: string): Promise<() => Promise<void>> {
  if (DIALECT === 'sqlite') {
    const sqlite = new DatabaseSync(databaseUrl.slice('sqlite:'.length));
    sqlite.exec('begin immediate');
    return async () => {
      sqlite.close();
    };
  }
  const connection = await createConnection(databaseUrl.replace(/^mariadb:/, 'mysql:'));
  await connection.query('start transaction');
  await connection.query(`select id from account where iban = '${ACME}' for update`);
  return () => connection.end();
}

describe.runIf(DIALECT === 'mysql')('a MySQL or MariaDB server', () => {
  test("without the ledger's tables makes Virement refuse to start, and the error has the command to run", async () => {
    const database = await createDatabase();
    onTestFinished(() => database.drop());

    expect(await runScript('dist/main.js', { DATABASE_URL: database.url, PORT: '0' })).toEqual({
      code: 1,
      output: expect.stringMatching(/no tables of Virement.*npm run migrate\n$/),
    });
  });

  test('runs two simultaneous migrations one after the other', async () => {
    const { url, drop } = await createDatabase();
    onTestFinished(drop);
    const { orm, whileMigrating } = await open(url);
    const begun = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<void>();
    const first = whileMigrating(() => {
      begun.resolve();
      return ended.promise;
    });
    await begun.promise;

    const second = runMigrate(url);
    const waiting = () =>
      orm.em.execute(`select 1 as waits from information_schema.processlist
        where db = database() and info like 'select get_lock(%'`);
    await expect.poll(waiting, { timeout: 60_000 }).toEqual([{ waits: 1 }]);
    expect(await orm.migrator.getExecuted()).toEqual([]);
    ended.resolve();
    await first;

    expect(await second).toEqual([0, expect.stringMatching(/^applied /)]);
  });

  test('has sessions that escape and refuse as the ledger requires, whatever its settings', async () => {
    const { orm } = await openMigrated();

    const [row] = await orm.em.execute('select @@session.sql_mode as mode');

    expect(String(row?.mode).split(',')).toContain('STRICT_ALL_TABLES');
    expect(String(row?.mode).split(',')).not.toContain('NO_BACKSLASH_ESCAPES');
  });

  test('gets no new database if the named one does not exist', async () => {
    const missing = `${MYSQL_URL}/virement_test_missing`;

    for (const script of ['dist/main.js', 'dist/commands/verify.js', 'dist/commands/migrate.js']) {
      expect(await runScript(script, { DATABASE_URL: missing, PORT: '0' })).toEqual({
        code: 1,
        output: expect.stringMatching(
          /^The database virement_test_missing at 127\.0\.0\.1.* cannot be used: .*\n$/,
        ),
      });
    }
  });

  test("without the ledger's tables makes verify fail with the reason", async () => {
    const database = await createDatabase();
    onTestFinished(() => database.drop());

    expect(await runScript('dist/commands/verify.js', { DATABASE_URL: database.url })).toEqual({
      code: 1,
      output: 'The database has no tables of Virement. Run: npm run migrate\n',
    });
  });

  test('is reached through the MySQL driver if the URL starts with mysql://', async () => {
    const database = await createMigratedDatabase();
    onTestFinished(() => database.drop());
    const server = await startProcess({
      DATABASE_URL: database.url.replace(/^mariadb:/, 'mysql:'),
    });

    expect(await server.client.perform(aBulk(transfersOf(10)))).toMatchObject({
      __typename: 'BulkTransferPerformed',
    });
    await server.stop();
  });
});

describe.runIf(DIALECT === 'sqlite')('the embedded database', () => {
  test('refuses a second process on the same file, and the first one continues', async () => {
    const database = await createDatabase();
    onTestFinished(() => database.drop());
    const env = { DATABASE_URL: database.url, PORT: '0' };
    const first = await startProcess(env);

    for (const script of ['dist/main.js', 'dist/commands/seed.js', 'dist/commands/migrate.js']) {
      const second = await runScript(script, env);
      expect([script, second]).toEqual([
        script,
        { code: 1, output: expect.stringMatching(/^Another process has .*virement\.db open\./) },
      ]);
    }
    expect(await first.client.balance(ACME)).toBe('100000.00');
    await first.kill();
    const next = await startProcess(env);
    expect(await next.client.balance(ACME)).toBe('100000.00');
    await next.stop();
  });

  test('has a file that is created with its folder and survives a power failure', async () => {
    const database = await createDatabase();
    onTestFinished(() => database.drop());
    const url = database.url.replace('virement.db', 'new/folder/virement.db');
    const server = await startProcess({ DATABASE_URL: url });
    await server.stop();

    const { orm } = await open(url);
    expect(await orm.em.execute('pragma journal_mode')).toEqual([{ journal_mode: 'wal' }]);
    expect(await orm.em.execute('pragma synchronous')).toEqual([{ synchronous: 2 }]);
    expect(await orm.em.execute('pragma foreign_keys')).toEqual([{ foreign_keys: 1 }]);
    await rm(url.slice('sqlite:'.length));
  });

  test('has every commit in its file while the server runs', async () => {
    const database = await createMigratedDatabase();
    onTestFinished(() => database.drop());
    const server = await startProcess({ DATABASE_URL: database.url });
    await server.client.perform(aBulk(transfersOf(100, '0.01')));

    const beside = new DatabaseSync(database.url.slice('sqlite:'.length));
    onTestFinished(() => beside.close());
    const log = beside.prepare('pragma wal_checkpoint(noop)');
    const pages = () => {
      const { log: all, checkpointed } = log.get() as { log: number; checkpointed: number };
      return { all, left: all - checkpointed };
    };
    await expect.poll(pages).toEqual({ all: expect.toSatisfy((all) => all > 0), left: 0 });
    expect(await server.stop()).toBe(0);
  });

  test('serves sqlite::memory: and leaves no file', async () => {
    const server = await startProcess({ DATABASE_URL: 'sqlite::memory:' });

    expect(await server.client.perform(aBulk(transfersOf(10)))).toMatchObject({
      __typename: 'BulkTransferPerformed',
    });
    await server.stop();
    expect((await readdir('.')).filter((name) => name.includes(':memory:'))).toEqual([]);
  });
});

test('a port in use ends the start', async () => {
  const database = await createMigratedDatabase();
  onTestFinished(() => database.drop());
  const other = await createMigratedDatabase();
  onTestFinished(() => other.drop());
  const first = await startProcess({ DATABASE_URL: database.url });

  const second = await runScript('dist/main.js', {
    DATABASE_URL: other.url,
    PORT: new URL(first.url).port,
    LOG_LEVEL: 'silent',
  });

  expect(second).toEqual({
    code: 1,
    output: expect.stringMatching(/^Cannot listen on .*EADDRINUSE/),
  });
  await first.stop();
});

test('wrong settings are all reported at once, and the server does not start', async () => {
  const { code, output } = await runScript('dist/main.js', {
    PORT: 'http',
    DATABASE_URL: 'postgres://x',
    IBAN_CHECK: 'maybe',
  });

  expect(code).toBe(1);
  for (const name of ['PORT', 'DATABASE_URL', 'IBAN_CHECK'])
    expect(output).toContain(`  ${name}: `);
  expect(output).not.toContain('at ');
});

test.runIf(DIALECT === 'mysql')(
  'a read that takes too long is ended by the database and reported as such',
  async () => {
    const server = await startServer({ REQUEST_TIMEOUT_MS: '1000', LOCK_TIMEOUT_MS: '500' });
    const accountOfAcme = `{ account(iban: "${ACME}") { id } }`;
    // The first run does the other slow work, so that only the statement is slow later.
    await server.client.data(accountOfAcme);
    const connection = await createConnection(server.databaseUrl.replace(/^mariadb:/, 'mysql:'));
    // A reader of the table waits for this lock longer than a statement may take.
    await connection.query('lock tables account write');

    const answer = await server.client.send(accountOfAcme);
    await connection.end();

    expect(answer.errors).toMatchObject([
      {
        message:
          'The database took too long and ended the statement: ask for less, or try again later.',
        extensions: { code: 'TIMEOUT' },
      },
    ]);
    expect(JSON.stringify(answer.errors)).not.toContain('select');
    expect(await server.client.balance(ACME)).toBe('100000.00');
  },
);
