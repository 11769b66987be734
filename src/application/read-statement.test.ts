import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ScopedLedgerReader, SequenceRange } from './ports/scoped-ledger-reader.js';
import { sumEntries } from './read-statement.js';

/** Returns a ledger in which entry number n is a credit of n if n is even, and otherwise a debit of n. */
function aLedger() {
  const read: SequenceRange[] = [];
  const reader: Pick<ScopedLedgerReader, 'entryTotals'> = {
    entryTotals: async (_accountId, within) => {
      read.push(within);
      const { first = 0n, last = 0n } = within;
      const all = Array.from(
        { length: Number(last - first) + 1 },
        (_, index) => BigInt(index) + first,
      );
      const sum = (numbers: readonly bigint[]) => numbers.reduce((one, other) => one + other, 0n);
      return {
        creditsMinor: sum(all.filter((number) => number % 2n === 0n)),
        debitsMinor: sum(all.filter((number) => number % 2n === 1n)),
      };
    },
  };
  return { read, reader };
}

test('a statement sums each of its entries once and reads a few thousand at a time', async () => {
  const sequence = fc.bigInt({ min: 1n, max: 70_000n });
  await fc.assert(
    fc.asyncProperty(sequence, sequence, async (one, other) => {
      const [first, last] = one < other ? [one, other] : [other, one];
      const { read, reader } = aLedger();

      const { creditsMinor, debitsMinor } = await sumEntries('id', { first, last }, () => reader);

      expect(creditsMinor + debitsMinor).toBe(((first + last) * (last - first + 1n)) / 2n);
      let next = first;
      for (const part of read) {
        expect(part.first).toBe(next);
        expect(Number(part.last) - Number(part.first)).toBeLessThan(20_000);
        next = (part.last ?? 0n) + 1n;
      }
      expect(next).toBe(last + 1n);
    }),
    { numRuns: 20 },
  );
});

test('a statement without entries has sums of zero', async () => {
  const { read, reader } = aLedger();

  expect(await sumEntries('id', { first: 5n, last: 4n }, () => reader)).toEqual({
    creditsMinor: 0n,
    debitsMinor: 0n,
  });
  expect(read).toEqual([]);
});
