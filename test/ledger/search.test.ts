import { mkdir, open, rm, writeFile } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep, setImmediate as turnOfTheLoop } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import { createConnection } from 'mysql2/promise';
import { describe, expect, onTestFinished, test } from 'vitest';
import { shortIdOf } from '../../src/domain/id.js';
import type { Database, KeyedTable } from '../../src/infrastructure/database/dialect.js';
import { FairSlots } from '../../src/infrastructure/database/fair-slots.js';
import { openDatabase } from '../../src/infrastructure/database/open-database.js';
import { MikroOrmScopedLedgerReader } from '../../src/infrastructure/ledger/scoped-ledger-reader.js';
import { makeLogger } from '../../src/infrastructure/observability/logger.js';
import { Indexer } from '../../src/infrastructure/search/indexer.js';
import { ACME, aBulk, aTransfer, GLOBEX, ibanOf, transfersOf } from '../support/builders.js';
import type { Client } from '../support/client.js';
import { runScript, startProcess } from '../support/process.js';
import { Random } from '../support/seeded-random.js';
import { accountsBehind, startServer, startServerOn, untilQuiet } from '../support/server.js';
import { createMigratedDatabase, DIALECT, type TestDatabase } from '../support/test-database.js';

const SEARCH_TABLES = ['iban', 'name', 'amount', 'end_to_end_id', 'watermark'].map(
  (name) => `search_${name}`,
);

/** The outcome of verify for a ledger without a fault. A failed test shows the output. */
const WHOLE = { code: 0, output: expect.stringContaining('0 violated') };

const searchFileOf = (databaseUrl: string) => `${databaseUrl.slice('sqlite:'.length)}-search`;

/** Sends statements to the search tables from outside of the server. @returns a function that ends the connection */
async function onSearchTables(
  databaseUrl: string,
  { sqlite, mysql }: { readonly sqlite: string; readonly mysql: string },
): Promise<() => Promise<void>> {
  if (DIALECT === 'sqlite') {
    const connection = new DatabaseSync(searchFileOf(databaseUrl), { timeout: 5_000 });
    connection.exec(sqlite);
    return async () => connection.close();
  }
  const uri = databaseUrl.replace(/^mariadb:/, 'mysql:');
  const connection = await createConnection({ uri, multipleStatements: true });
  await connection.query(mysql);
  return () => connection.end();
}

/** Keeps the server from writing the search tables. @returns a function that releases them */
function holdSearchTables(databaseUrl: string): Promise<() => Promise<void>> {
  return onSearchTables(databaseUrl, {
    sqlite: 'begin immediate',
    mysql: `lock tables ${SEARCH_TABLES.map((name) => `${name} read`).join(', ')}`,
  });
}

const OTHER_ID = "x'019000000000700080000000000000ff'";

const FILTERED = `query ($iban: String!, $filter: TransferFilter, $first: Int, $after: Cursor) {
  account(iban: $iban) { transfers(filter: $filter, first: $first, after: $after) {
    nodes { description } pageInfo { hasNextPage endCursor } totalCount } } }`;

/** Returns the descriptions of all matches of a filter, newest first. */
async function matchesOf(client: Client, filter: object, first = 7): Promise<string[]> {
  const found: string[] = [];
  for (let after: string | null = null; ; ) {
    const { account } = await client.data(FILTERED, { iban: ACME, filter, first, after });
    const { nodes, pageInfo } = account.transfers;
    found.push(...nodes.map(({ description }: { description: string }) => description));
    if (!pageInfo.hasNextPage) return found;
    after = pageInfo.endCursor;
  }
}

const NAMES = ['Zoë Müller', 'Zoe Muller', 'Bip Bip', 'bip', 'Αθηνά', 'Åse'];

/** A transfer with few distinct values, so filters have many matches. */
function aRandomTransfer(random: Random, description: string) {
  return aTransfer({
    amount: `0.0${random.between(1, 5)}`,
    counterpartyName: random.pick(NAMES),
    counterpartyIban: random.below(4) === 0 ? GLOBEX : ibanOf(random.below(5)),
    description,
    // An end-to-end id occurs once in a bulk.
    ...(random.below(3) === 0 && { endToEndId: `E-${description.split('/')[1]}` }),
  });
}

const FILTERS = [
  { counterpartyIban: ibanOf(1) },
  { counterpartyIban: ibanOf(99) },
  { endToEndId: 'E-3' },
  { counterpartyName: 'zo' },
  { counterpartyName: 'bip bip' },
  { minAmount: '0.05' },
  { maxAmount: '0.02', counterpartyName: 'å' },
  { counterpartyIban: ibanOf(2), minAmount: '0.03' },
  { counterpartyIban: ibanOf(2), endToEndId: 'E-1', counterpartyName: '' },
];

type Row = ReturnType<typeof aTransfer>;

/** The conditions of a filter, as a client understands them. */
function isMatch(row: Row, filter: (typeof FILTERS)[number]): boolean {
  const { counterpartyIban, endToEndId, counterpartyName, minAmount, maxAmount } = {
    counterpartyIban: undefined,
    endToEndId: undefined,
    counterpartyName: '',
    minAmount: '0',
    maxAmount: '9',
    ...filter,
  };
  return (
    (counterpartyIban === undefined || row.counterpartyIban === counterpartyIban) &&
    (endToEndId === undefined || row.endToEndId === endToEndId) &&
    String(row.counterpartyName).toLowerCase().startsWith(counterpartyName) &&
    Number(row.amount) >= Number(minAmount) &&
    Number(row.amount) <= Number(maxAmount)
  );
}

async function expectRightMatches(client: Client, rows: readonly Row[]): Promise<void> {
  for (const filter of FILTERS) {
    const expected = rows.filter((row) => isMatch(row, filter)).map((row) => row.description);
    expect([filter, await matchesOf(client, filter)]).toEqual([filter, expected.toReversed()]);
    const { account } = await client.data(FILTERED, { iban: ACME, filter, first: 1 });
    expect([filter, account.transfers.totalCount]).toEqual([filter, expected.length]);
  }
}

test('a filter finds each transfer, whether it is indexed or not', async () => {
  const server = await startServer();
  const random = new Random('search');
  const rows: Row[] = [];
  const perform = async (bulk: number) => {
    const sent = Array.from({ length: 8 }, (_, row) => aRandomTransfer(random, `${bulk}/${row}`));
    rows.push(...sent);
    await server.client.perform(aBulk(sent));
  };

  for (let bulk = 0; bulk < 10; bulk += 1) await perform(bulk);
  await untilQuiet(server);
  await expectRightMatches(server.client, rows);

  const release = await holdSearchTables(server.databaseUrl);
  for (let bulk = 10; bulk < 15; bulk += 1) await perform(bulk);
  expect(await accountsBehind(server.database)).not.toEqual([]);
  await expectRightMatches(server.client, rows);

  await release();
  await untilQuiet(server);
  await expectRightMatches(server.client, rows);
});

test('a filter finds a transfer as soon as its bulk is answered', async () => {
  const { client } = await startServer();

  for (let bulk = 0; bulk < 30; bulk += 1) {
    const counterpartyIban = ibanOf(bulk);
    await client.perform(aBulk([aTransfer({ counterpartyIban, description: `${bulk}` })]));
    expect(await matchesOf(client, { counterpartyIban })).toEqual([`${bulk}`]);
  }
});

test('a filter waits for the search tables if many transfers are not indexed', async () => {
  const server = await startServer({ BULK_TRANSFERS_MAX: '12000' });
  const release = await holdSearchTables(server.databaseUrl);
  const rows = Array.from({ length: 12_000 }, (_, row) =>
    aTransfer({ amount: '0.01', counterpartyIban: ibanOf(row % 3_000), description: `${row}` }),
  );
  await server.client.perform(aBulk(rows));

  const waiting = matchesOf(server.client, { counterpartyIban: ibanOf(17) });
  await release();

  expect(await waiting).toEqual(['9017', '6017', '3017', '17']);
});

test('a filter is refused, and may be repeated, while the search tables cannot be written', async () => {
  const server = await startServer({ BULK_TRANSFERS_MAX: '12000' });
  const release = await holdSearchTables(server.databaseUrl);
  await server.client.perform(
    aBulk(Array.from({ length: 12_000 }, () => aTransfer({ amount: '0.01' }))),
  );

  const filter = { counterpartyIban: ibanOf(1) };
  const { status, errors } = await server.client.send(FILTERED, { iban: ACME, filter });

  expect([status, errors?.[0]?.extensions]).toMatchObject([503, { code: 'UNAVAILABLE' }]);
  await release();
  await expect.poll(() => matchesOf(server.client, filter), { timeout: 10_000 }).toEqual([]);
}, 30_000);

test('warnings need no search entries of their own bulk', async () => {
  const server = await startServer({ BULK_TRANSFERS_MAX: '12000' });
  const counterpartyIban = ibanOf(1);
  await server.client.perform(aBulk([aTransfer({ counterpartyIban, counterpartyName: 'One' })]));
  const release = await holdSearchTables(server.databaseUrl);
  const rows = Array.from({ length: 12_000 }, (_, row) =>
    aTransfer({ amount: '0.01', counterpartyIban: ibanOf(row), counterpartyName: 'Other' }),
  );

  const { performBulkTransfer } = await server.client.data(
    `mutation ($input: PerformBulkTransferInput!) { performBulkTransfer(input: $input) {
      ... on BulkTransferPerformed { warnings { index code } } } }`,
    { input: aBulk(rows) },
  );

  expect(performBulkTransfer.warnings).toEqual([{ index: 1, code: 'NAME_DIFFERS' }]);
  await release();
});

test('the search entries of another history of an account are replaced', async () => {
  const server = await startServer();
  const counterpartyIban = ibanOf(1);
  await server.client.perform(aBulk([aTransfer({ counterpartyIban, description: 'one' })]));
  await untilQuiet(server);
  const { account } = await server.client.data(`{ account(iban: "${ACME}") { id } }`);
  const other = `update search_watermark set entry_id = ${OTHER_ID}
    where account_short_id = ${shortIdOf(account.id)}`;
  const close = await onSearchTables(server.databaseUrl, { sqlite: other, mysql: other });
  await close();

  expect(await matchesOf(server.client, { counterpartyIban })).toEqual(['one']);
  await expect
    .poll(() => server.log.map(({ msg }) => msg))
    .toContain('Search entries of another ledger removed');
});

/** Performs two bulks of 12,000 transfers on a server of their own, which indexes them. */
async function indexTwoLargeBulks(database: TestDatabase): Promise<string> {
  const server = await startServerOn(database, { BULK_TRANSFERS_MAX: '12000' });
  for (const bulk of [0, 1]) {
    const rows = Array.from({ length: 12_000 }, (_, row) =>
      aTransfer({ amount: '0.01', counterpartyIban: ibanOf(row), description: `${bulk}/${row}` }),
    );
    await server.client.perform(aBulk(rows));
  }
  await untilQuiet(server);
  const { account } = await server.client.data(`{ account(iban: "${ACME}") { id } }`);
  await server.close();
  return account.id;
}

async function rowCount({ orm }: Pick<Database, 'orm'>, table: string): Promise<number> {
  const [row] = await orm.em
    .fork()
    .execute<{ count: number | string }[]>(`select count(*) as count from ${table}`);
  return Number(row?.count);
}

test('a large account is removed in short transactions, and the next server continues', async () => {
  const migrated = await createMigratedDatabase();
  onTestFinished(() => migrated.drop());
  const id = await indexTwoLargeBulks(migrated);
  const settings = { databaseUrl: migrated.url, databasePoolMax: 5, lockTimeoutMs: 5_000 };
  const database = await openDatabase(settings);
  const counts: number[] = [];
  const indexer: Indexer = new Indexer(
    {
      ...database,
      writeSearch: async (statements) => {
        await database.writeSearch(statements);
        counts.push(await rowCount(database, 'search_iban'));
        // The server stops in the middle of the removal.
        if (counts.length === 3) void indexer.stop();
      },
    },
    makeLogger('silent'),
  );

  await indexer.rebuild([{ id, shortId: shortIdOf(id) }]);

  expect(counts).toEqual([24_000, 14_000, 4_000]);
  await database.close();
  const server = await startServerOn(migrated);
  expect(await matchesOf(server.client, { counterpartyIban: ibanOf(11_999) })).toEqual([
    '1/11999',
    '0/11999',
  ]);
  await untilQuiet(server);
  await server.close();
  const env = { DATABASE_URL: migrated.url };
  expect(await runScript('dist/commands/verify.js', env)).toMatchObject(WHOLE);
});

test('a filter that runs while its account is removed from the search tables misses nothing', async () => {
  const server = await startServer();
  const counterpartyIban = ibanOf(1);
  await server.client.perform(aBulk([aTransfer({ counterpartyIban }), aTransfer()]));
  await untilQuiet(server);
  const { account } = await server.client.data(`{ account(iban: "${ACME}") { id } }`);
  const indexer = new Indexer(server.database, makeLogger('silent'));
  onTestFinished(() => indexer.stop());
  // Reads take turns, so the removal takes place after the watermark was read.
  const readSlots = new FairSlots(1);
  const reader = new MikroOrmScopedLedgerReader(
    { orm: server.database.orm, readSlots },
    indexer,
    'all',
    { key: 'reader' },
  );
  const removeAll = async () => {
    const tables = SEARCH_TABLES.map((name) => `delete from ${name}`).join(';');
    await (await onSearchTables(server.databaseUrl, { sqlite: tables, mysql: tables }))();
  };
  const page = () =>
    reader.transfers(account.id, { counterpartyIban }, { size: 5, fromEnd: false });

  const reading = page();
  const removed = readSlots.run('rebuild', removeAll);
  const { nodes, count } = await reading;
  await removed;

  expect(nodes).toHaveLength(1);
  expect(await count()).toBe(1);
  await indexer.catchUp(account.id);
  const again = await page();
  await removeAll();
  expect(await again.count()).toBe(1);
});

/** Overwrites the page of a table that has its last rows. The server does not read it at start. */
async function damageLastLeaf(file: string, table: string): Promise<void> {
  const connection = new DatabaseSync(file);
  const leaf = connection
    .prepare(
      `select pgoffset, pgsize from dbstat where name = ? and pagetype = 'leaf'
        order by path desc limit 1`,
    )
    .get(table);
  connection.close();
  const opened = await open(file, 'r+');
  await opened.write(Buffer.alloc(Number(leaf?.pgsize), 0xff), {
    position: Number(leaf?.pgoffset),
  });
  await opened.close();
}

test('transfers of a server that was killed are found, and are indexed by the next server', async () => {
  const database = await createMigratedDatabase();
  onTestFinished(() => database.drop());
  const env = { DATABASE_URL: database.url };
  const counterpartyIban = ibanOf(1);
  for (let round = 0; round < 3; round += 1) {
    const server = await startProcess(env);
    for (let bulk = 0; bulk < 5; bulk += 1) {
      await server.client.perform(
        aBulk([aTransfer({ counterpartyIban, description: `${round}` })]),
      );
    }
    await server.kill();
  }

  const server = await startServerOn(database);
  expect(await matchesOf(server.client, { counterpartyIban })).toHaveLength(15);
  await untilQuiet(server);
  await server.close();
  expect(await runScript('dist/commands/verify.js', env)).toMatchObject(WHOLE);
});

test('npm run search:rebuild makes the search tables anew', async () => {
  const database = await createMigratedDatabase();
  onTestFinished(() => database.drop());
  const env = { DATABASE_URL: database.url };
  const counterpartyIban = ibanOf(1);
  const first = await startServerOn(database);
  await first.client.perform(aBulk([aTransfer({ counterpartyIban, description: 'one' })]));
  await untilQuiet(first);
  await first.close();
  const wrong = 'update search_amount set amount_minor = amount_minor + 1';
  const close = await onSearchTables(database.url, { sqlite: wrong, mysql: wrong });
  await close();
  expect(await runScript('dist/commands/verify.js', env)).toMatchObject({
    code: 1,
    output: expect.stringContaining('VIOLATED  an entry of search_amount has the value'),
  });

  const rebuild = (...args: string[]) => runScript('dist/commands/rebuild-search.js', env, args);
  expect(await rebuild('--account', ibanOf(4_711))).toEqual({
    code: 1,
    output: `No account has the IBAN ${ibanOf(4_711)}.\n`,
  });
  expect(await rebuild('--account', ACME)).toMatchObject({ code: 0 });

  expect(await runScript('dist/commands/verify.js', env)).toMatchObject(WHOLE);
  expect(await rebuild('--after', ACME)).toMatchObject({ code: 0 });
  expect(await rebuild()).toMatchObject({ code: 0 });
  expect(await runScript('dist/commands/verify.js', env)).toMatchObject(WHOLE);
});

test('a rebuild gives up without progress, and continues when it is run again', async () => {
  const server = await startServer();
  const counterpartyIban = ibanOf(1);
  await server.client.perform(aBulk([aTransfer({ counterpartyIban, description: 'one' })]));
  await untilQuiet(server);
  const { account } = await server.client.data(`{ account(iban: "${ACME}") { id } }`);
  const accounts = [{ id: account.id, shortId: shortIdOf(account.id) }];
  const { writeSearch, deleteSome, isContention, orm } = server.database;
  let writes = 0;
  const refusing = async (statements: readonly string[]) => {
    writes += 1;
    await writeSearch(writes === 1 ? statements : ['select * from no_such_table']);
  };
  const database = { orm, deleteSome, isContention, writeSearch: refusing };

  const rebuilding = new Indexer(database, makeLogger('silent')).rebuild(accounts, 300);

  await expect(rebuilding).rejects.toThrow(/no_such_table|DATABASE_INCOMPLETE/);
  expect(writes).toBeGreaterThan(2);
  await new Indexer(server.database, makeLogger('silent')).rebuild(accounts);
  expect(await matchesOf(server.client, { counterpartyIban })).toEqual(['one']);
});

test('a rebuild ends although its account gets new transfers all the time', async () => {
  const server = await startServer();
  await server.client.perform(aBulk([aTransfer()]));
  await untilQuiet(server);
  const { account } = await server.client.data(`{ account(iban: "${ACME}") { id } }`);
  const performing = {
    ...server.database,
    writeSearch: async (statements: readonly string[]) => {
      await server.client.perform(aBulk([aTransfer()]));
      await server.database.writeSearch(statements);
    },
  };

  const indexer = new Indexer(performing, makeLogger('silent'));
  await indexer.rebuild([{ id: account.id, shortId: shortIdOf(account.id) }]);

  await untilQuiet(server);
  const { account: after } = await server.client.data(`{ account(iban: "${ACME}") { sequence } }`);
  expect(Number(after.sequence)).toBeLessThan(20);
});

test('an indexer has no room while its backlog is too large, and then calls back', async () => {
  const server = await startServer();
  const logger = makeLogger('silent');
  const indexer = new Indexer(server.database, logger, 10);
  onTestFinished(() => indexer.stop());
  const { account } = await server.client.data(`{ account(iban: "${ACME}") { id } }`);

  expect(indexer.hasRoom(() => {})).toBe(true);
  indexer.noteCommit([account.id], 11);
  const called = new Promise<void>((resolve) => {
    expect(indexer.hasRoom(resolve)).toBe(false);
  });

  await called;
  expect(indexer.hasRoom(() => {})).toBe(true);
});

/** Makes an indexer that notes when each of its batches began and ended. */
function notingIndexer(database: Database) {
  const batches: { readonly beganAt: number; readonly endedAt: number }[] = [];
  const writeSearch = async (statements: readonly string[]) => {
    const beganAt = performance.now();
    await database.writeSearch(statements);
    const isBatch = statements.some((statement) =>
      statement.includes('replace into search_amount'),
    );
    if (isBatch) batches.push({ beganAt, endedAt: performance.now() });
  };
  const { orm, deleteSome, isContention } = database;
  const ports = { orm, deleteSome, isContention, writeSearch };
  const indexer = new Indexer(ports, makeLogger('silent'));
  onTestFinished(() => indexer.stop());
  return { indexer, batches };
}

test('what an account received counts as the transfers that it received, not as whole bulks', async () => {
  const server = await startServer();
  const rows = [...transfersOf(999, '0.01'), aTransfer({ counterpartyIban: GLOBEX })];
  for (let n = 0; n < 12; n += 1) await server.client.perform(aBulk(rows));
  await untilQuiet(server);
  const { account } = await server.client.data(`{ account(iban: "${GLOBEX}") { id } }`);
  const { indexer, batches } = notingIndexer(server.database);

  await indexer.rebuild([{ id: account.id, shortId: shortIdOf(account.id) }]);

  expect(batches).toHaveLength(1);
  expect(await accountsBehind(server.database)).toEqual([]);
}, 60_000);

test('a backlog of several batches is indexed without a pause', async () => {
  const server = await startServer();
  for (let n = 0; n < 3; n += 1) await server.client.perform(aBulk(transfersOf(6_000, '0.01')));
  await untilQuiet(server);
  const { account } = await server.client.data(`{ account(iban: "${ACME}") { id } }`);
  const { indexer, batches } = notingIndexer(server.database);
  const ofAccount = `account_short_id = ${shortIdOf(account.id)}`;
  await server.database.writeSearch(
    SEARCH_TABLES.map((name) => `delete from ${name} where ${ofAccount}`),
  );

  // This is how a server finds an account that another one left behind.
  indexer.noteCommit([account.id], 0);
  await expect.poll(() => batches.length, { timeout: 30_000 }).toBe(3);

  const pauses = batches.slice(1).map(({ beganAt }, n) => beganAt - (batches[n]?.endedAt ?? 0));
  expect(Math.min(...pauses)).toBeLessThan(900);
}, 60_000);

test('an indexer that cannot write the search tables makes no bulk wait for long', async () => {
  const server = await startServer();
  const release = await holdSearchTables(server.databaseUrl);
  await server.client.perform(aBulk([aTransfer()]));
  const indexer = new Indexer(server.database, makeLogger('silent'), 10);
  onTestFinished(() => indexer.stop());
  const { account } = await server.client.data(`{ account(iban: "${ACME}") { id } }`);

  indexer.noteCommit([account.id], 11);

  expect(indexer.hasRoom(() => {})).toBe(false);
  await expect.poll(() => indexer.hasRoom(() => {}), { timeout: 10_000 }).toBe(true);
  await release();
});

test('bulks wait no longer for the removal of an account than for an indexer without progress', async () => {
  const server = await startServer();
  await server.client.perform(aBulk(transfersOf(100)));
  await untilQuiet(server);
  const { account } = await server.client.data(`{ account(iban: "${ACME}") { id } }`);
  const { orm, writeSearch, deleteSome, isContention } = server.database;
  const slow = {
    orm,
    isContention,
    // The removal of a large account takes many transactions of some 0.2 s.
    writeSearch: async (statements: readonly string[]) => {
      await sleep(200);
      await writeSearch(statements);
    },
    deleteSome: (table: KeyedTable, condition: string) => deleteSome(table, condition, 2),
  };
  const indexer = new Indexer(slow, makeLogger('silent'), 10);
  onTestFinished(() => indexer.stop());
  void indexer.rebuild([{ id: account.id, shortId: shortIdOf(account.id) }]);
  await sleep(300);

  indexer.noteCommit([account.id], 100);
  const startedAt = performance.now();
  await new Promise<void>((resolve) => {
    if (indexer.hasRoom(resolve)) resolve();
  });

  // The removal takes ten seconds.
  expect(performance.now() - startedAt).toBeLessThan(8_000);
});

describe.runIf(DIALECT === 'mysql')('two servers of one database', () => {
  test('index the transfers of both', async () => {
    const one = await startServer();
    const other = await startServerOn({ url: one.databaseUrl, drop: async () => {} });
    const counterpartyIban = ibanOf(1);

    await Promise.all(
      [one, other].flatMap(({ client }) =>
        Array.from({ length: 20 }, () => client.perform(aBulk([aTransfer({ counterpartyIban })]))),
      ),
    );

    expect(await matchesOf(one.client, { counterpartyIban })).toHaveLength(40);
    expect(await matchesOf(other.client, { counterpartyIban })).toHaveLength(40);
    await untilQuiet(other);
    await other.close();
  });
});

describe.runIf(DIALECT === 'sqlite')('a search file', () => {
  test('is written without the lock of the ledger’s writer', async () => {
    const { database, databaseUrl } = await startServer();
    const ledger = new DatabaseSync(databaseUrl.slice('sqlite:'.length), { timeout: 0 });
    onTestFinished(() => ledger.close());
    let isWriting = true;
    const slow = `replace into search_watermark select 1, 1, x'00' from (
      with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < 3000000)
      select count(*) as counted from numbers) where counted = 0`;

    const written = database.writeSearch([slow]).finally(() => {
      isWriting = false;
    });

    let attempts = 0;
    while (isWriting) {
      ledger.exec('begin immediate; rollback');
      attempts += 1;
      await turnOfTheLoop();
    }
    await written;
    expect(attempts).toBeGreaterThan(1);
  });

  test('whose thread ended is written by another thread', async () => {
    const threads: Worker[] = [];
    const note = (thread: Worker) => threads.push(thread);
    process.on('worker', note);
    onTestFinished(() => void process.off('worker', note));
    const server = await startServer();
    await server.client.perform(aBulk([aTransfer()]));
    await untilQuiet(server);
    const writer = threads.at(-1);

    await writer?.terminate();
    await server.client.perform(aBulk([aTransfer()]));

    await untilQuiet(server);
    expect(threads.at(-1)).not.toBe(writer);
  });

  test.each([
    ['is deleted', async () => {}],
    [
      'cannot be opened for a while',
      async (file: string) => {
        await mkdir(file);
        await sleep(500);
        await rm(file, { recursive: true });
      },
    ],
  ])('that %s while its thread ends is made anew', async (_name, obstruct) => {
    const threads: Worker[] = [];
    const note = (thread: Worker) => threads.push(thread);
    process.on('worker', note);
    onTestFinished(() => void process.off('worker', note));
    const database = await createMigratedDatabase();
    onTestFinished(() => database.drop());
    const server = await startServerOn(database);
    await server.client.perform(aBulk([aTransfer()]));
    await untilQuiet(server);

    await threads.at(-1)?.terminate();
    for (const suffix of ['', '-wal', '-shm']) {
      await rm(`${searchFileOf(database.url)}${suffix}`, { force: true });
    }
    const obstructed = obstruct(searchFileOf(database.url));
    await server.client.perform(aBulk([aTransfer()]));
    await obstructed;

    const { em } = server.database.orm;
    const indexed = () => em.fork().execute('select count(*) as count from search.search_iban');
    await expect.poll(indexed, { timeout: 20_000 }).toEqual([{ count: 2 }]);
    await server.close();
  });

  test.each(['a bulk', 'a filter'])(
    'whose damage is deep is made anew when %s finds it',
    async (finder) => {
      const database = await createMigratedDatabase();
      onTestFinished(() => database.drop());
      const first = await startServerOn(database);
      const ibans = Array.from({ length: 3_000 }, (_, row) => ibanOf(row)).toSorted();
      const counterpartyIban = String(ibans.at(-1));
      const rows = ibans.map((iban) => aTransfer({ amount: '0.01', counterpartyIban: iban }));
      await first.client.perform(aBulk(rows));
      await untilQuiet(first);
      await first.close();
      await damageLastLeaf(searchFileOf(database.url), 'search_iban');

      const second = await startServerOn(database);
      if (finder === 'a bulk')
        await second.client.perform(aBulk([aTransfer({ counterpartyIban })]));
      else await second.client.send(FILTERED, { iban: ACME, filter: { counterpartyIban } });
      const count = finder === 'a bulk' ? 2 : 1;
      const { em } = second.database.orm;
      await expect
        .poll(() => em.fork().execute('pragma search.quick_check'))
        .toEqual([{ quick_check: 'ok' }]);
      expect(await matchesOf(second.client, { counterpartyIban })).toHaveLength(count);
      await second.close();

      const third = await startServerOn(database);
      await untilQuiet(third);
      expect(await matchesOf(third.client, { counterpartyIban })).toHaveLength(count);
      await third.close();
      const env = { DATABASE_URL: database.url };
      expect(await runScript('dist/commands/verify.js', env)).toMatchObject(WHOLE);
    },
  );

  test.each([
    ['is missing', (file: string) => rm(file)],
    ['is damaged', (file: string) => writeFile(file, 'no database')],
  ])('that %s is made anew', async (_name, damage) => {
    const database = await createMigratedDatabase();
    onTestFinished(() => database.drop());
    const counterpartyIban = ibanOf(1);
    const first = await startServerOn(database);
    await first.client.perform(aBulk([aTransfer({ counterpartyIban, description: 'one' })]));
    await untilQuiet(first);
    await first.close();
    await damage(searchFileOf(database.url));
    expect(
      await runScript('dist/commands/verify.js', { DATABASE_URL: database.url }),
    ).toMatchObject({ code: 0 });

    const second = await startServerOn(database);
    expect(await matchesOf(second.client, { counterpartyIban })).toEqual(['one']);
    await untilQuiet(second);
    await second.close();
  });
});
