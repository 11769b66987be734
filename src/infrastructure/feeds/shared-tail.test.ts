import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SharedTail } from './shared-tail.js';

const PAGE_MAX = 4;

/** A list that grows, and counts its reads. */
function growingList() {
  const items: bigint[] = [];
  const list = { items, version: 0, reads: 0 };
  const read = async (after: bigint) => {
    list.reads += 1;
    return items.filter((item) => item > after).slice(0, PAGE_MAX);
  };
  return { list, read };
}

test('every follower gets every item once and in order, whenever it joins and the list grows', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ grow: fc.nat(900), reader: fc.nat(3) }), { maxLength: 60 }),
      async (steps) => {
        const { list, read } = growingList();
        const tail = new SharedTail<bigint>(0n, PAGE_MAX, read, (item) => item);
        const seen: bigint[][] = [[], [], [], []];
        const readOn = async (reader: number) => {
          const own = seen[reader] ?? [];
          const place = own.at(-1) ?? 0n;
          const next = (await tail.after(place, list.version)) ?? (await read(place));
          own.push(...next);
          return next.length;
        };
        for (const { grow, reader } of steps) {
          for (let count = 0; count < grow % 30; count += 1) {
            list.items.push((list.items.at(-1) ?? 0n) + 1n + BigInt(grow % 3));
          }
          if (grow > 0) list.version += 1;
          if (grow > 850) tail.drop();
          await readOn(reader);
        }
        for (const reader of seen.keys()) while ((await readOn(reader)) > 0);
        for (const own of seen) expect(own).toEqual(list.items);
      },
    ),
    { numRuns: 300 },
  );
});

test('followers with near positions share each read, and nothing is read unless items were added', async () => {
  const { list, read } = growingList();
  const tail = new SharedTail<bigint>(0n, PAGE_MAX, read, (item) => item);
  for (let item = 1n; item <= 40n; item += 1n) {
    list.items.push(item);
    list.version += 1;
    await Promise.all(Array.from({ length: 100 }, () => tail.after(item - 1n, list.version)));
  }

  expect(list.reads).toBe(40);
  expect(await tail.after(40n, list.version)).toEqual([]);
  expect(list.reads).toBe(40);
});

test('a read that fails is repeated by the next follower', async () => {
  let isAway = true;
  const read = async () => {
    if (isAway) throw new Error('The ledger does not answer');
    return [1n];
  };
  const tail = new SharedTail<bigint>(0n, PAGE_MAX, read, (item) => item);

  await expect(tail.after(0n, 1)).rejects.toThrow('The ledger does not answer');
  isAway = false;
  expect(await tail.after(0n, 1)).toEqual([1n]);
});
