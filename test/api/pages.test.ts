import { expect, test } from 'vitest';
import { ACME, aBulk, aTransfer, GLOBEX, ibanOf, transfersOf } from '../support/builders.js';
import type { Client } from '../support/client.js';
import { startServer, type TestServer } from '../support/server.js';

interface PageArguments {
  readonly first?: number;
  readonly after?: string | null;
  readonly last?: number;
  readonly before?: string | null;
}

const TRANSFERS = `query ($iban: String!, $first: Int, $after: Cursor, $last: Int, $before: Cursor) {
  account(iban: $iban) {
    list: transfers(first: $first, after: $after, last: $last, before: $before) {
      edges { cursor node { description } }
      nodes { description }
      pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    }
  }
}`;

async function pageOf(client: Client, page: PageArguments, iban = ACME) {
  const { list } = (await client.data(TRANSFERS, { iban, ...page })).account;
  return {
    texts: list.nodes.map((node: { description: string }) => node.description),
    edges: list.edges,
    ...list.pageInfo,
  };
}

/** Starts a server with 25 transfers in 3 bulks. Newest first they read "2.0" … as bulk.index. */
async function startWithTransfers(): Promise<TestServer & { readonly texts: string[] }> {
  const server = await startServer();
  const texts: string[] = [];
  for (const [bulk, count] of [10, 1, 14].entries()) {
    const rows = Array.from({ length: count }, (_, index) =>
      aTransfer({ description: `${bulk}.${index}` }),
    );
    await server.client.perform(aBulk(rows));
    texts.unshift(...rows.map((row) => String(row.description)).reverse());
  }
  return { ...server, texts };
}

test('forward pages have every transfer once, newest first', async () => {
  const { client, texts } = await startWithTransfers();
  const seen: string[] = [];

  let after: string | null = null;
  for (let hasNextPage = true; hasNextPage; ) {
    const page: Awaited<ReturnType<typeof pageOf>> = await pageOf(client, { first: 7, after });
    expect(page.hasPreviousPage).toBe(after !== null);
    seen.push(...page.texts);
    after = page.endCursor;
    hasNextPage = page.hasNextPage;
  }

  expect(seen).toEqual(texts);
});

test('backward pages have the same list, from its end', async () => {
  const { client, texts } = await startWithTransfers();
  const seen: string[] = [];

  let before: string | null = null;
  for (let hasPreviousPage = true; hasPreviousPage; ) {
    const page: Awaited<ReturnType<typeof pageOf>> = await pageOf(client, { last: 7, before });
    expect(page.hasNextPage).toBe(before !== null);
    seen.unshift(...page.texts);
    before = page.startCursor;
    hasPreviousPage = page.hasPreviousPage;
  }

  expect(seen).toEqual(texts);
});

test('a range between two cursors can be read from either end', async () => {
  const { client, texts } = await startWithTransfers();
  const { edges } = await pageOf(client, { first: 25 });
  const [after, before] = [edges[3].cursor, edges[20].cursor];

  expect((await pageOf(client, { first: 5, after, before })).texts).toEqual(texts.slice(4, 9));
  expect((await pageOf(client, { last: 5, after, before })).texts).toEqual(texts.slice(15, 20));
  expect((await pageOf(client, { first: 100, after, before })).texts).toEqual(texts.slice(4, 20));
});

test('a page at either end of the list has exactly the rows that exist', async () => {
  const { client, texts } = await startWithTransfers();

  const all = await pageOf(client, { first: 25 });
  expect(all).toMatchObject({ texts, hasNextPage: false, hasPreviousPage: false });
  const beyond = await pageOf(client, { first: 5, after: all.endCursor });
  expect(beyond).toMatchObject({
    texts: [],
    hasNextPage: false,
    startCursor: null,
    endCursor: null,
  });
  expect((await pageOf(client, {})).texts).toHaveLength(20);
  expect(await pageOf(client, {}, GLOBEX)).toMatchObject({ texts: [], hasNextPage: false });
});

test('pages do not shift while transfers are inserted', async () => {
  const { client, texts } = await startWithTransfers();
  const first = await pageOf(client, { first: 10 });

  await client.perform(aBulk(transfersOf(5)));

  const second = await pageOf(client, { first: 15, after: first.endCursor });
  expect([...first.texts, ...second.texts]).toEqual(texts);
});

test('an impossible page is BAD_USER_INPUT with a reason', async () => {
  const { client } = await startWithTransfers();
  const foreign = (await pageOf(client, { first: 1 })).endCursor;
  const messageOf = async (page: PageArguments, iban = ACME) => {
    const answer = await client.send(TRANSFERS, { iban, ...page });
    expect(answer.errors?.[0]?.extensions.code).toBe('BAD_USER_INPUT');
    return answer.errors?.[0]?.message;
  };

  expect(await messageOf({ first: 0 })).toBe('first is 0; it must be 1 to 100.');
  expect(await messageOf({ first: 101 })).toBe('first is 101; it must be 1 to 100.');
  expect(await messageOf({ last: -1 })).toBe('last is -1; it must be 1 to 100.');
  expect(await messageOf({ first: 1, last: 1 })).toBe('Give first or last, not both.');
  const notOurs = 'The cursor does not belong to this list: use a cursor from one of its pages.';
  expect(await messageOf({ after: 'rubbish' })).toBe(notOurs);
  expect(await messageOf({ before: '' })).toBe(notOurs);
  expect(await messageOf({ after: foreign }, GLOBEX)).toBe(notOurs);
  const ofBulk = await client.send(
    `query ($after: Cursor) {
      account(iban: "${ACME}") { bulkTransfers { nodes { transfers(after: $after) { nodes { id } } } } }
    }`,
    { after: foreign },
  );
  expect(ofBulk.errors?.[0]?.message).toBe(notOurs);
});

test('every other list has the same rules for pages', async () => {
  const { client } = await startWithTransfers();
  for (const number of [1, 2, 3]) {
    await client.data(
      `mutation ($iban: String!) {
        openAccount(input: { organizationName: "More", iban: $iban, bic: "TESTNL2A" }) { __typename }
      }`,
      { iban: ibanOf(number) },
    );
  }
  const lists = {
    accounts: { path: 'accounts(ARGS) { FIELDS }', count: 6 },
    bulkTransfers: {
      path: `account(iban: "${ACME}") { bulkTransfers(ARGS) { FIELDS } }`,
      count: 3,
    },
    entries: { path: `account(iban: "${ACME}") { entries(ARGS) { FIELDS } }`, count: 4 },
    ofBulk: {
      path: `account(iban: "${ACME}") { bulkTransfers(first: 1) { nodes { transfers(ARGS) { FIELDS } } } }`,
      count: 14,
    },
  };
  const read = async (path: string, args: string) => {
    const fields = 'nodes { id } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }';
    const data = await client.data(`{ ${path.replace('ARGS', args).replace('FIELDS', fields)} }`);
    const list =
      data.accounts ??
      data.account.entries ??
      data.account.bulkTransfers.nodes[0].transfers ??
      data.account.bulkTransfers;
    return { ids: list.nodes.map(({ id }: { id: string }) => id), ...list.pageInfo };
  };

  for (const { path, count } of Object.values(lists)) {
    const all = await read(path, 'first: 100');
    expect(new Set(all.ids).size).toBe(count);
    const head = await read(path, 'first: 2');
    expect(head).toMatchObject({ ids: all.ids.slice(0, 2), hasNextPage: true });
    const rest = await read(path, `first: 100, after: "${head.endCursor}"`);
    expect(rest).toMatchObject({
      ids: all.ids.slice(2),
      hasNextPage: false,
      hasPreviousPage: true,
    });
    const tail = await read(path, 'last: 2');
    expect(tail).toMatchObject({ ids: all.ids.slice(-2), hasPreviousPage: true });
    const front = await read(path, `last: 100, before: "${tail.startCursor}"`);
    expect(front).toMatchObject({ ids: all.ids.slice(0, -2), hasPreviousPage: false });
  }
});

const COUNTS = `{
  accounts(first: 1) { totalCount }
  me { organizations { accounts(first: 1) { totalCount } } }
  auditLog(first: 1) { totalCount }
  none: auditLog(accountIban: "NL26TEST0000000009") { totalCount }
  apiKeys { totalCount }
  deadLetters { totalCount }
  account(iban: "${ACME}") {
    bulkTransfers(first: 1) { totalCount nodes { transfers(first: 2) { totalCount } } }
    transfers(last: 3) { totalCount }
    entries(first: 1) { totalCount }
    statement(from: "2000-01-01", to: "2999-12-31") { entryCount entries(first: 1) { totalCount } }
  }
  globex: account(iban: "${GLOBEX}") { incomingTransfers(first: 1) { totalCount } }
}`;

test('every list has the count of all its nodes', async () => {
  const { client } = await startServer();
  const toGlobex = aTransfer({ counterpartyIban: GLOBEX });
  for (const rows of [transfersOf(10), [toGlobex, toGlobex], transfersOf(4)]) {
    await client.perform(aBulk(rows));
  }

  const { me, ...counted } = await client.data(COUNTS);
  expect(counted).toEqual({
    accounts: { totalCount: 3 },
    auditLog: { totalCount: 6 },
    none: { totalCount: 0 },
    apiKeys: { totalCount: 0 },
    deadLetters: { totalCount: 0 },
    account: {
      bulkTransfers: { totalCount: 3, nodes: [{ transfers: { totalCount: 4 } }] },
      transfers: { totalCount: 16 },
      entries: { totalCount: 4 },
      statement: { entryCount: 4, entries: { totalCount: 4 } },
    },
    globex: { incomingTransfers: { totalCount: 2 } },
  });
  const counts = me.organizations.map(
    ({ accounts }: { accounts: { totalCount: number } }) => accounts.totalCount,
  );
  expect(counts.reduce((sum: number, count: number) => sum + count)).toBe(3);
});
