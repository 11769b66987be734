import { expect, onTestFinished, test } from 'vitest';
import { ACME, aBulk, aTransfer, GLOBEX } from '../support/builders.js';
import type { Client } from '../support/client.js';
import { startServerOn, type TestServer } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';
import { copyOf, createMigratedDatabase, type TestDatabase } from '../support/test-database.js';

/** The lists of an account, each in an operation that takes a cursor. */
const LISTS = {
  bulkTransfers: ACME,
  transfers: ACME,
  entries: ACME,
  incomingTransfers: GLOBEX,
} as const;

const STREAMS = {
  transferPerformed: { list: 'transfers', shown: 'transfer { description }' },
  bulkTransferPerformed: { list: 'bulkTransfers', shown: 'bulkTransfer { id }' },
  transferReceived: { list: 'incomingTransfers', shown: 'transfer { description }' },
} as const;

type List = keyof typeof LISTS;

const pageOf = (list: List) => `query ($after: Cursor, $before: Cursor) {
  account(iban: "${LISTS[list]}") {
    ${list}(first: 1, after: $after, before: $before) { edges { cursor } }
  }
}`;

async function newestCursor(client: Client, list: List): Promise<string> {
  const { account } = await client.data(pageOf(list));
  return account[list].edges[0].cursor;
}

async function newestCursors(client: Client): Promise<Record<List, string>> {
  const lists = Object.keys(LISTS) as List[];
  const cursors = await Promise.all(lists.map((list) => newestCursor(client, list)));
  return Object.fromEntries(lists.map((list, index) => [list, cursors[index]])) as Record<
    List,
    string
  >;
}

async function perform(client: Client, ...names: string[]): Promise<void> {
  for (const name of names) {
    await client.perform(aBulk([aTransfer({ description: name, counterpartyIban: GLOBEX })]));
  }
}

/** Runs a server on a database until the work is done. */
async function onServer<Result>(
  database: TestDatabase,
  work: (server: TestServer) => Promise<Result>,
): Promise<Result> {
  const server = await startServerOn(database);
  try {
    return await work(server);
  } finally {
    await server.close();
  }
}

async function createDatabase(): Promise<TestDatabase> {
  const database = await createMigratedDatabase();
  onTestFinished(() => database.drop());
  return database;
}

/** Returns a ledger that was restored from a backup, and the cursors that clients had before and after the backup. */
async function restoredLedger() {
  const database = await createDatabase();
  const before = await onServer(database, async ({ client }) => {
    await perform(client, 'one', 'two');
    return newestCursors(client);
  });
  const restored = await copyOf(database);
  onTestFinished(() => restored.drop());
  const lost = await onServer(database, async ({ client }) => {
    await perform(client, 'lost 1', 'lost 2', 'lost 3');
    return newestCursors(client);
  });
  return { restored, before, lost };
}

/** Returns the code with which a subscription is refused. */
async function refusalOf(
  url: string,
  field: keyof typeof STREAMS,
  after: string,
): Promise<unknown> {
  const { list, shown } = STREAMS[field];
  const query = `subscription ($iban: String!, $after: Cursor) {
    ${field}(accountIban: $iban, after: $after) { ${shown} } }`;
  const { errors } = subscribe(url, query, { iban: LISTS[list], after });
  await expect.poll(() => errors.length).toBe(1);
  return (errors[0] as { extensions: { code: string } }).extensions.code;
}

/** The operators' lists are sorted by id, which a clock may have put ahead of later rows. */
test.each(['auditLog', 'apiKeys'])(
  'a cursor of a row that a restored ledger does not have is refused by %s',
  async (list) => {
    const database = await createDatabase();
    const page = `query ($after: Cursor, $before: Cursor) {
      ${list}(last: 1, after: $after, before: $before) { edges { cursor } } }`;
    const createKey = `mutation { createApiKey(input: { name: "A", organizationIds: [], roles: [OPERATOR] }) {
      __typename } }`;
    const kept = await onServer(database, async ({ client }) => {
      await client.data(createKey);
      return (await client.data(page))[list].edges[0].cursor;
    });
    const restored = await copyOf(database);
    onTestFinished(() => restored.drop());
    const newest = page.replace('last', list === 'auditLog' ? 'first' : 'last');
    const lost = await onServer(database, async ({ client }) => {
      await client.data(createKey);
      return (await client.data(newest))[list].edges[0].cursor;
    });

    await onServer(restored, async ({ client }) => {
      for (const cursors of [{ after: lost }, { before: lost }]) {
        const { errors } = await client.send(page, cursors);
        expect(errors?.[0]?.extensions.code).toBe('UNKNOWN_CURSOR');
      }
      expect((await client.send(page, { after: kept })).errors).toBeUndefined();
    });
  },
);

test('every list and stream refuses a cursor of a position that the restored ledger does not have', async () => {
  const { restored, lost } = await restoredLedger();

  await onServer(restored, async ({ client, url }) => {
    const assertRefused = async () => {
      for (const list of Object.keys(LISTS) as List[]) {
        for (const page of [{ after: lost[list] }, { before: lost[list] }]) {
          const { errors } = await client.send(pageOf(list), page);
          expect([list, errors?.[0]?.extensions.code]).toEqual([list, 'UNKNOWN_CURSOR']);
          expect(errors?.[0]?.message).toContain('Start again without a cursor.');
        }
      }
      for (const field of Object.keys(STREAMS) as (keyof typeof STREAMS)[]) {
        const code = await refusalOf(url, field, lost[STREAMS[field].list]);
        expect([field, code]).toEqual([field, 'UNKNOWN_CURSOR']);
      }
    };
    await assertRefused();
    // The positions exist again, but other rows have them.
    await perform(client, 'new 1', 'new 2', 'new 3', 'new 4');
    await assertRefused();
  });
});

test('a cursor from before the backup continues in the restored ledger', async () => {
  const { restored, before } = await restoredLedger();

  await onServer(restored, async ({ client, url }) => {
    await perform(client, 'new 1', 'new 2');
    const query = `subscription ($iban: String!, $after: Cursor) {
      transferReceived(accountIban: $iban, after: $after) { transfer { description } } }`;
    const { events } = subscribe(url, query, { iban: GLOBEX, after: before.incomingTransfers });
    await expect.poll(() => events.length).toBe(2);

    expect(events.map(({ transfer }) => transfer.description)).toEqual(['new 1', 'new 2']);
    for (const list of Object.keys(LISTS) as List[]) {
      expect(await client.data(pageOf(list), { before: before[list] })).toBeDefined();
    }
  });
});

test('a cursor of an earlier version, without the id of a row, is checked only by its position', async () => {
  const database = await createDatabase();
  await onServer(database, async ({ client }) => {
    await perform(client, 'one', 'two');
    const cursor = await newestCursor(client, 'transfers');
    const [kind, accountId, position] = Buffer.from(cursor, 'base64url').toString().split('~');
    const earlier = (place: bigint) =>
      Buffer.from(`${kind}~${accountId}~${place}`).toString('base64url');
    const codeOf = async (after: string) =>
      (await client.send(pageOf('transfers'), { after })).errors?.[0]?.extensions.code;

    expect(await codeOf(earlier(BigInt(position ?? 0)))).toBeUndefined();
    expect(await codeOf(earlier(BigInt(position ?? 0) + 1n))).toBe('UNKNOWN_CURSOR');
    expect(await codeOf(earlier(BigInt(position ?? 0) + 2n ** 20n))).toBe('UNKNOWN_CURSOR');
  });
});

test('a cursor of an account that does not exist is refused', async () => {
  const database = await createDatabase();
  await onServer(database, async ({ client }) => {
    const nobody = Buffer.from('account~~01a2078e-0000-7000-8000-000000000000');

    const { errors } = await client.send(
      'query ($after: Cursor) { accounts(after: $after) { edges { cursor } } }',
      {
        after: nobody.toString('base64url'),
      },
    );

    expect(errors?.[0]?.extensions.code).toBe('UNKNOWN_CURSOR');
  });
});
