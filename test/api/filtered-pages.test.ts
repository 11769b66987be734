import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ACME, aBulk, aTransfer, ibanOf } from '../support/builders.js';
import type { Client } from '../support/client.js';
import { startServer } from '../support/server.js';

const PAGE = `query ($filter: TransferFilter, $first: Int, $after: Cursor, $last: Int, $before: Cursor) {
  account(iban: "${ACME}") {
    transfers(filter: $filter, first: $first, after: $after, last: $last, before: $before) {
      nodes { description }
      pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
      totalCount
    }
  }
}`;

interface Walk {
  readonly texts: readonly string[];
  readonly pages: number;
  /** The totalCount of each page. */
  readonly totalCounts: ReadonlySet<number | null>;
}

/** More pages than any test here reads. A walk that never ends fails. */
const PAGES_MAX = 100;

/** Returns all matches of a filter, newest first, page by page. */
async function walk(client: Client, filter: object, size: number, fromEnd: boolean): Promise<Walk> {
  const texts: string[] = [];
  const totalCounts = new Set<number | null>();
  let cursor: string | null = null;
  for (let pages = 1; pages <= PAGES_MAX; pages += 1) {
    const page = fromEnd ? { last: size, before: cursor } : { first: size, after: cursor };
    const { account } = await client.data(PAGE, { filter, ...page });
    const { nodes, pageInfo, totalCount } = account.transfers;
    totalCounts.add(totalCount);
    const found = nodes.map(({ description }: { description: string }) => description);
    expect(found.length).toBeLessThanOrEqual(size);
    if (fromEnd) texts.unshift(...found);
    else texts.push(...found);
    if (!(fromEnd ? pageInfo.hasPreviousPage : pageInfo.hasNextPage)) {
      return { texts, pages, totalCounts };
    }
    cursor = fromEnd ? pageInfo.startCursor : pageInfo.endCursor;
    expect(cursor).not.toBeNull();
  }
  throw new Error('The walk does not end');
}

test('the rare matches of a filter are found page by page, and no page reads the whole list', async () => {
  const { client } = await startServer({ BULK_TRANSFERS_MAX: '13000' });
  // The transfers are too many to be read one by one, and more than one page examines.
  const old = Array.from({ length: 1_100 }, (_, index) =>
    aTransfer({ amount: '0.02', counterpartyName: `Old ${index}`, description: `old ${index}` }),
  );
  const others = Array.from({ length: 11_500 }, (_, index) =>
    aTransfer({ amount: '0.01', counterpartyName: 'New', description: `new ${index}` }),
  );
  await client.perform(aBulk([...old, ...others]));
  const expected = old.map(({ description }) => description).reverse();

  for (const filter of [{ counterpartyName: 'old' }, { minAmount: '0.02' }]) {
    const { account } = await client.data(PAGE, { filter, first: 50 });
    // The page ends where the examination stopped, without a node and with a cursor that leads on.
    expect(account.transfers.nodes).toEqual([]);
    expect(account.transfers.pageInfo).toMatchObject({
      hasNextPage: true,
      endCursor: expect.any(String),
    });
    const forward = await walk(client, filter, 50, false);
    expect(forward.texts).toEqual(expected);
    expect(forward.totalCounts).toEqual(new Set([expected.length]));
    expect((await walk(client, filter, 50, true)).texts).toEqual(expected);
  }
});

const COUNT = `query ($filter: TransferFilter) {
  account(iban: "${ACME}") { transfers(first: 1, filter: $filter) { totalCount nodes { createdAt } } }
}`;

test('a list is counted up to 10,000 and not beyond, with and without a filter', async () => {
  const { client } = await startServer({ BULK_TRANSFERS_MAX: '10001' });
  const list = async (filter: object = {}) =>
    (await client.data(COUNT, { filter })).account.transfers;
  const count = async (filter: object = {}) => (await list(filter)).totalCount;
  const rows = Array.from({ length: 10_000 }, (_, index) =>
    aTransfer({
      amount: '0.01',
      counterpartyName: 'Same',
      counterpartyIban: ibanOf(0),
      ...(index < 3 && { endToEndId: `E${index}` }),
    }),
  );
  await client.perform(aBulk(rows));
  const all = [
    {},
    { counterpartyIban: ibanOf(0) },
    { counterpartyName: 'same' },
    { maxAmount: '0.01' },
  ];
  const both = { counterpartyName: 'same', maxAmount: '0.01' };

  for (const filter of [...all, both]) expect(await count(filter)).toBe(10_000);
  const last = aTransfer({ amount: '0.01', counterpartyName: 'Same', counterpartyIban: ibanOf(0) });
  await client.perform(aBulk([last]));
  for (const filter of [...all, both]) expect(await count(filter)).toBeNull();

  const from = (await list()).nodes[0].createdAt;
  // The condition with the fewest rows is used for the count, wherever it stands.
  expect(await count({ ...both, endToEndId: 'E1' })).toBe(1);
  expect(await count({ ...both, counterpartyIban: ibanOf(1) })).toBe(0);
  expect(await count({ ...both, from })).toBe(1);
  expect(await count({ from })).toBe(1);
});

const NAMES = ['Zoë', 'Zoé', 'zebra', 'Anna', 'anna b'];

test('any filter gives exactly the matches, in order, with pages of any size from either end', async () => {
  const { client } = await startServer();
  const rows = Array.from({ length: 2_500 }, (_, index) =>
    aTransfer({
      amount: `0.${String(1 + (index % 7)).padStart(2, '0')}`,
      counterpartyName: NAMES[index % NAMES.length],
      counterpartyIban: ibanOf(index % 3),
      description: `${index}`,
      ...(index % 2 === 0 && { endToEndId: `E${index}` }),
    }),
  );
  await client.perform(aBulk(rows));
  const filters = fc.record(
    {
      counterpartyName: fc.constantFrom('', 'z', 'zoe', 'ZOË', 'anna', 'anna b', 'x'),
      counterpartyIban: fc.constantFrom(ibanOf(0), ibanOf(1), ibanOf(9)),
      minAmount: fc.constantFrom('0', '0.02', '0.05', '0.08'),
      maxAmount: fc.constantFrom('0.01', '0.04', '9'),
      endToEndId: fc.constantFrom('E0', 'E10', 'none'),
    },
    { requiredKeys: [] },
  );
  const matches = (row: Record<string, unknown>, filter: Record<string, string | undefined>) =>
    String(row.counterpartyName)
      .toLowerCase()
      .startsWith((filter.counterpartyName ?? '').toLowerCase()) &&
    [undefined, row.counterpartyIban].includes(filter.counterpartyIban) &&
    [undefined, row.endToEndId].includes(filter.endToEndId) &&
    Number(row.amount) >= Number(filter.minAmount ?? 0) &&
    Number(row.amount) <= Number(filter.maxAmount ?? 9);

  await fc.assert(
    fc.asyncProperty(
      filters,
      fc.integer({ min: 60, max: 100 }),
      fc.boolean(),
      async (filter, size, fromEnd) => {
        const expected = rows
          .filter((row) => matches(row, filter))
          .map(({ description }) => description)
          .reverse();
        const { texts, totalCounts } = await walk(client, filter, size, fromEnd);
        expect(texts).toEqual(expected);
        expect(totalCounts).toEqual(new Set([expected.length]));
      },
    ),
    { numRuns: 25 },
  );
});
