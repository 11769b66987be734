import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { PageRange } from '../../application/ports/page.js';
import { toPage } from './keyset-page.js';

/**
 * Returns the nodes that a database reads for a range of a list: by key, in list order or against it, one more than a
 * page.
 */
function readKeyset(list: readonly bigint[], range: PageRange<bigint>): bigint[] {
  const within = list.filter(
    (key) =>
      (range.after === undefined || key > range.after) &&
      (range.before === undefined || key < range.before),
  );
  return (range.fromEnd ? within.toReversed() : within).slice(0, range.size + 1);
}

/** Returns the page of a list that is completely in memory, by the places of its nodes. */
function pageOf(list: readonly bigint[], { size, fromEnd, after, before }: PageRange<bigint>) {
  const start = after === undefined ? 0 : list.indexOf(after) + 1;
  const end = before === undefined ? list.length : list.indexOf(before);
  const length = Math.max(0, Math.min(size, end - start));
  const from = fromEnd ? Math.max(end, start) - length : start;
  const to = from + length;
  return {
    nodes: list.slice(from, to),
    // A page that is counted towards a bound does not look beyond the bound.
    hasNextPage: fromEnd ? end < list.length : to < end,
    hasPreviousPage: fromEnd ? from > start : start > 0,
  };
}

const lists = fc
  .uniqueArray(fc.bigInt(0n, 10_000n), { maxLength: 30 })
  .map((keys) => keys.sort((one, other) => Number(one - other)));

const listsAndRanges = lists.chain((list) => {
  const bound = list.length === 0 ? fc.constant(undefined) : fc.constantFrom(undefined, ...list);
  const range = fc
    .record({
      size: fc.integer({ min: 1, max: 12 }),
      fromEnd: fc.boolean(),
      after: bound,
      before: bound,
    })
    .map(
      ({ size, fromEnd, after, before }): PageRange<bigint> => ({
        size,
        fromEnd,
        ...(after !== undefined && { after }),
        ...(before !== undefined && { before }),
      }),
    );
  return fc.tuple(fc.constant(list), range);
});

describe('a page', () => {
  test('is the part of the whole list that the arguments request', () => {
    fc.assert(
      fc.property(listsAndRanges, ([list, range]) => {
        expect(toPage(readKeyset(list, range), range)).toEqual(pageOf(list, range));
      }),
      { numRuns: 2_000 },
    );
  });

  test('after page shows every node once, in order, until there is no next page', () => {
    fc.assert(
      fc.property(lists, fc.integer({ min: 1, max: 12 }), (list, size) => {
        const seen: bigint[] = [];
        let page = toPage(readKeyset(list, { size, fromEnd: false }), { size, fromEnd: false });
        seen.push(...page.nodes);
        for (let turn = 0; page.hasNextPage && turn < list.length; turn += 1) {
          const range = { size, fromEnd: false, after: page.nodes.at(-1) ?? 0n };
          page = toPage(readKeyset(list, range), range);
          seen.push(...page.nodes);
        }
        expect(seen).toEqual(list);
      }),
    );
  });

  test('before page shows every node once, until there is no previous page', () => {
    fc.assert(
      fc.property(lists, fc.integer({ min: 1, max: 12 }), (list, size) => {
        const seen: bigint[] = [];
        let page = toPage(readKeyset(list, { size, fromEnd: true }), { size, fromEnd: true });
        seen.unshift(...page.nodes);
        for (let turn = 0; page.hasPreviousPage && turn < list.length; turn += 1) {
          const range = { size, fromEnd: true, before: page.nodes[0] ?? 0n };
          page = toPage(readKeyset(list, range), range);
          seen.unshift(...page.nodes);
        }
        expect(seen).toEqual(list);
      }),
    );
  });

  test('does not change the rows that were read', () => {
    const read = [3n, 2n, 1n];

    toPage(read, { size: 2, fromEnd: true });

    expect(read).toEqual([3n, 2n, 1n]);
  });
});
