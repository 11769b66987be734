import { expect, test, vi } from 'vitest';
import { ACME, aBulk, aTransfer, GLOBEX, transfersOf } from '../support/builders.js';
import {
  BACKGROUND_STATEMENT,
  startServer,
  type TestServer,
  untilQuiet,
} from '../support/server.js';

test('every object is found by its id', async () => {
  const { client } = await startServer();
  const { bulkTransfer } = await client.perform(aBulk([aTransfer()]));
  const { account } = await client.data(
    `{ account(iban: "${ACME}") { id entries(first: 1) { nodes { id } } } }`,
  );
  const nodeOf = async (id: string) =>
    (await client.data('query ($id: ID!) { node(id: $id) { __typename id } }', { id })).node;

  const transferId = bulkTransfer.transfers.nodes[0].id;
  const entryId = account.entries.nodes[0].id;
  expect(await nodeOf(account.id)).toEqual({ __typename: 'Account', id: account.id });
  expect(await nodeOf(bulkTransfer.id)).toEqual({
    __typename: 'BulkTransfer',
    id: bulkTransfer.id,
  });
  expect(await nodeOf(transferId)).toEqual({ __typename: 'Transfer', id: transferId });
  expect(await nodeOf(entryId)).toEqual({ __typename: 'LedgerEntry', id: entryId });
});

test('a missing object is null', async () => {
  const { client } = await startServer();
  const unknown = '00000000-0000-7000-8000-000000000000';

  for (const id of [unknown, 'rubbish', '']) {
    expect(
      await client.data(
        `query ($id: ID!) {
          node(id: $id) { id } bulkTransfer(id: $id) { id } transfer(id: $id) { id }
          account(iban: $id) { id }
        }`.replace('account(iban: $id)', 'account(iban: "GB33BUKB20201555555555")'),
        { id },
      ),
    ).toEqual({ node: null, bulkTransfer: null, transfer: null, account: null });
  }
});

const FILTER = `query ($filter: TransferFilter) {
  account(iban: "${ACME}") { transfers(filter: $filter) { nodes { description } } }
}`;

test('transfers are filtered by counterparty, amount, end-to-end id and all of them together', async () => {
  const { client } = await startServer();
  await client.perform(
    aBulk([
      aTransfer({ description: 'a', counterpartyName: 'Zoë Müller', amount: '5' }),
      aTransfer({ description: 'b', counterpartyName: 'ZOË M.', amount: '10', endToEndId: 'E1' }),
      aTransfer({ description: 'c', counterpartyName: 'Zoë_', amount: '15.01' }),
      aTransfer({ description: 'd', counterpartyName: '100%', counterpartyIban: GLOBEX }),
      aTransfer({ description: 'e', counterpartyName: 'Zola', endToEndId: 'e1' }),
    ]),
  );
  const find = async (filter: object | null) => {
    const { nodes } = (await client.data(FILTER, { filter })).account.transfers;
    return nodes.map((node: { description: string }) => node.description).join('');
  };

  expect(await find(null)).toBe('edcba');
  expect(await find({})).toBe('edcba');
  expect(await find({ counterpartyName: 'zoë' })).toBe('cba');
  expect(await find({ counterpartyName: 'Zoë_' })).toBe('c');
  expect(await find({ counterpartyName: '%' })).toBe('');
  expect(await find({ counterpartyName: 'ZO' })).toBe('ecba');
  expect(await find({ counterpartyName: 'Zola ' })).toBe('');
  expect(await find({ endToEndId: 'E1 ' })).toBe('');
  expect(await find({ counterpartyIban: 'de75 5121 0800 1245 1261 99' })).toBe('d');
  expect(await find({ minAmount: '10' })).toBe('cb');
  expect(await find({ maxAmount: '10.00' })).toBe('edba');
  expect(await find({ minAmount: '0', maxAmount: '0.99' })).toBe('');
  expect(await find({ endToEndId: 'E1' })).toBe('b');
  expect(await find({ counterpartyName: 'zoë', minAmount: '6', maxAmount: '12' })).toBe('b');
  for (const filter of [
    { minAmount: '1,5' },
    { counterpartyIban: 'DE89\u00003704' },
    { counterpartyName: 'a\u0000' },
    { counterpartyName: 'x'.repeat(141) },
    { endToEndId: 'x'.repeat(36) },
    { endToEndId: '\ud800' },
  ]) {
    const answer = await client.send(FILTER, { filter });
    expect([filter, answer.errors?.[0]?.extensions.code]).toEqual([filter, 'BAD_USER_INPUT']);
  }
});

test('transfers are filtered by time, including from and excluding to', async () => {
  const { client } = await startServer();
  const times: string[] = [];
  for (const description of ['a', 'b', 'c']) {
    const { bulkTransfer } = await client.perform(aBulk([aTransfer({ description })]));
    const { transfer } = await client.data('query ($id: ID!) { transfer(id: $id) { createdAt } }', {
      id: bulkTransfer.transfers.nodes[0].id,
    });
    times.push(transfer.createdAt);
    // The clock counts milliseconds: the next bulk must not share this one's.
    await vi.waitUntil(() => new Date().toISOString() > transfer.createdAt);
  }
  const find = async (filter: object) => {
    const { nodes } = (await client.data(FILTER, { filter })).account.transfers;
    return nodes.map((node: { description: string }) => node.description).join('');
  };

  const [, second, third] = times;
  expect(await find({ from: second })).toBe('cb');
  expect(await find({ to: third })).toBe('ba');
  expect(await find({ from: second, to: third })).toBe('b');
  expect(await find({ to: '2020-01-01T00:00:00Z' })).toBe('');
  expect(await find({ from: '2020-01-01T00:00:00Z' })).toBe('cba');
  expect(await find({ from: '2100-01-01T00:00:00Z' })).toBe('');
});

const STATEMENT = `query ($iban: String!, $from: Date!, $to: Date!) {
  account(iban: $iban) {
    statement(from: $from, to: $to) {
      from to entryCount
      openingBalance { amount } closingBalance { amount }
      totalDebits { amount } totalCredits { amount }
      entries(first: 2) { nodes { sequence } pageInfo { hasNextPage endCursor } }
    }
  }
}`;

test('a statement has the opening and closing balances of its days', async () => {
  const { client } = await startServer();
  await client.perform(aBulk([aTransfer({ amount: '40' })]));
  await client.perform(aBulk([aTransfer({ amount: '2.50', counterpartyIban: GLOBEX })]));
  const statement = async (from: string, to: string) =>
    (await client.data(STATEMENT, { iban: ACME, from, to })).account.statement;
  const today = new Date().toISOString().slice(0, 10);
  // The entries fall on two days if the test runs near midnight.
  const yesterday = new Date(Date.now() - 86_400_000).toISOString().slice(0, 10);

  const current = await statement(yesterday, today);
  expect(current).toMatchObject({
    from: yesterday,
    to: today,
    entryCount: 3,
    openingBalance: { amount: '0.00' },
    totalCredits: { amount: '100000.00' },
    totalDebits: { amount: '42.50' },
    closingBalance: { amount: '99957.50' },
    entries: { nodes: [{ sequence: '1' }, { sequence: '2' }], pageInfo: { hasNextPage: true } },
  });
  expect(await statement('2020-01-01', '2020-01-31')).toMatchObject({
    entryCount: 0,
    openingBalance: { amount: '0.00' },
    closingBalance: { amount: '0.00' },
    entries: { nodes: [] },
  });
  expect(await statement('2100-01-01', '2100-01-01')).toMatchObject({
    entryCount: 0,
    openingBalance: { amount: '99957.50' },
    closingBalance: { amount: '99957.50' },
  });
});

test('a statement until the end of the calendar is a statement until now', async () => {
  const { client } = await startServer();
  await client.perform(aBulk([aTransfer({ amount: '40' })]));

  const { account } = await client.data(STATEMENT, {
    iban: ACME,
    from: '0001-01-01',
    to: '9999-12-31',
  });

  expect(account.statement).toMatchObject({
    entryCount: 2,
    openingBalance: { amount: '0.00' },
    totalCredits: { amount: '100000.00' },
    totalDebits: { amount: '40.00' },
    closingBalance: { amount: '99960.00' },
  });
});

test('a statement with from after to, or without a day, is refused', async () => {
  const { client } = await startServer();
  const codeOf = async (from: string, to: string) =>
    (await client.send(STATEMENT, { iban: ACME, from, to })).errors?.[0]?.extensions.code;

  expect(await codeOf('2026-02-02', '2026-02-01')).toBe('BAD_USER_INPUT');
  expect(await codeOf('2026-02-30', '2026-03-01')).toBe('BAD_USER_INPUT');
  expect(await codeOf('yesterday', '2026-03-01')).toBe('BAD_USER_INPUT');
});

/** Matches the transaction in which the relay polls its outbox meanwhile. */
const BOUNDARY = /^(begin|commit)/;

const statementsIn = (calls: readonly (readonly [{ readonly query?: string }])[]) =>
  calls
    .map(([{ query = '' }]) => query)
    .filter((query) => !BOUNDARY.test(query) && !BACKGROUND_STATEMENT.test(query));

/** Counts the statements that a piece of read-only work sends to the database. */
async function countStatements({ database }: TestServer, work: () => Promise<unknown>) {
  const logger = database.orm.config.getLogger();
  const logQuery = vi.spyOn(logger, 'logQuery');
  try {
    await work();
    return statementsIn(logQuery.mock.calls).length;
  } finally {
    logQuery.mockRestore();
  }
}

test('a page of 100 transfers with account and bulk takes a few statements', async () => {
  const server = await startServer();
  for (let bulk = 0; bulk < 10; bulk += 1) await server.client.perform(aBulk(transfersOf(10)));
  await untilQuiet(server);

  const statements = await countStatements(server, async () => {
    const { account } = await server.client.data(`{
      account(iban: "${ACME}") {
        transfers(first: 100) {
          nodes { account { iban balance { amount } } bulkTransfer { id account { id } } }
        }
      }
    }`);
    expect(account.transfers.nodes).toHaveLength(100);
  });

  // The statements read the account, the page, its bulks and their accounts.
  expect(statements).toBe(4);
});

test('a read writes nothing', async () => {
  const server = await startServer();
  await server.client.perform(aBulk(transfersOf(3)));
  await untilQuiet(server);
  const logger = server.database.orm.config.getLogger();
  const logQuery = vi.spyOn(logger, 'logQuery');

  await server.client.data(`{
    accounts { nodes { id transfers { nodes { id } } entries { nodes { id } } bulkTransfers { nodes { id } } } }
  }`);

  const sent = statementsIn(logQuery.mock.calls).map((query) => query.slice(0, 6));
  expect(sent.length).toBeGreaterThan(3);
  expect(new Set(sent)).toEqual(new Set(['select']));
});
