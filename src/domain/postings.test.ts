import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CreditTransfer } from './bulk-transfer.js';
import {
  assertBalanced,
  bookCreditsOf,
  firstPositionOf,
  indexOf,
  outgoingAmountOf,
  sequenceOf,
  TRANSFERS_PER_BULK_LIMIT,
  transferPosition,
} from './postings.js';

function aTransfer(overrides: Partial<CreditTransfer> = {}): CreditTransfer {
  return {
    amountMinor: 100n,
    counterpartyName: 'Bip Bip',
    counterpartyIban: 'DE89370400440532013000',
    counterpartyBic: null,
    counterpartyAccountId: null,
    description: 'Wonderland/4410',
    endToEndId: null,
    ...overrides,
  };
}

const ACCOUNT_IDS = ['c', 'a', 'B', 'd', '0'];

const transfers = fc.array(
  fc
    .record({
      amountMinor: fc.bigInt(1n, 99_999_999_999n),
      counterpartyAccountId: fc.constantFrom(null, ...ACCOUNT_IDS),
    })
    .map(aTransfer),
);

describe('the postings of a bulk', () => {
  const postingsOf = (bulk: readonly CreditTransfer[]) => ({
    debit: -bulk.reduce((sum, { amountMinor }) => sum + amountMinor, 0n),
    credits: bookCreditsOf(bulk, 'ACME').map(({ amountMinor }) => amountMinor),
    outgoing: outgoingAmountOf(bulk),
  });

  test('are balanced: the debit equals the credits to accounts of this ledger plus the outgoing amount', () => {
    fc.assert(
      fc.property(transfers, (bulk) => {
        const { debit, credits, outgoing } = postingsOf(bulk);
        expect(() => assertBalanced(debit, credits, outgoing)).not.toThrow();
      }),
    );
  });

  test('are refused if one cent is missing or surplus', () => {
    fc.assert(
      fc.property(transfers, fc.constantFrom(-1n, 1n), (bulk, error) => {
        const { debit, credits, outgoing } = postingsOf(bulk);
        expect(() => assertBalanced(debit + error, credits, outgoing)).toThrow('differ');
        expect(() => assertBalanced(debit, [...credits, error], outgoing)).toThrow('differ');
        expect(() => assertBalanced(debit, credits, outgoing + error)).toThrow('differ');
      }),
    );
  });
});

describe('the credits of a bulk to accounts of this ledger', () => {
  test('add up to the transfers to these accounts', () => {
    fc.assert(
      fc.property(transfers, (bulk) => {
        let expected = 0n;
        for (const transfer of bulk) {
          if (transfer.counterpartyAccountId !== null) expected += transfer.amountMinor;
        }
        let credited = 0n;
        for (const credit of bookCreditsOf(bulk, 'ACME')) credited += credit.amountMinor;
        expect(credited).toBe(expected);
      }),
    );
  });

  test('add up, for each account, to the transfers to it', () => {
    fc.assert(
      fc.property(transfers, (bulk) => {
        const received = new Map(
          bookCreditsOf(bulk, 'ACME').map((credit) => [credit.accountId, credit.amountMinor]),
        );
        const expected = ACCOUNT_IDS.map((id) =>
          bulk
            .filter((transfer) => transfer.counterpartyAccountId === id)
            .reduce((sum, transfer) => sum + transfer.amountMinor, 0n),
        );
        expect(ACCOUNT_IDS.map((id) => received.get(id) ?? 0n)).toEqual(expected);
      }),
    );
  });

  test('are one for each account, in ascending order of id', () => {
    fc.assert(
      fc.property(transfers, (bulk) => {
        const ids = bookCreditsOf(bulk, 'ACME').map((credit) => credit.accountId);
        const named = ['0', 'B', 'a', 'c', 'd'].filter((id) =>
          bulk.some((transfer) => transfer.counterpartyAccountId === id),
        );
        expect(ids).toEqual(named);
      }),
    );
  });

  test('do not exist if all money leaves the ledger', () => {
    expect(bookCreditsOf([aTransfer(), aTransfer()], 'ACME')).toEqual([]);
  });

  test('have the description of a single transfer, or the number of transfers and the payer', () => {
    const bulk = [
      aTransfer({ counterpartyAccountId: 'a', description: 'Rent' }),
      aTransfer({ counterpartyAccountId: 'b' }),
      aTransfer({ counterpartyAccountId: 'b' }),
    ];

    expect(bookCreditsOf(bulk, 'ACME Corp').map((credit) => credit.description)).toEqual([
      'Rent',
      '2 transfers from ACME Corp',
    ]);
  });

  test.each([
    ['letters', 'x'],
    ['emoji', '😀'],
  ])('have a description of at most 140 characters, even with a name of 140 %s', (_, character) => {
    const bulk = Array.from({ length: 2 }, () => aTransfer({ counterpartyAccountId: 'a' }));

    const [credit] = bookCreditsOf(bulk, character.repeat(140));

    expect([...(credit?.description ?? '')].length).toBeLessThanOrEqual(140);
  });
});

/** Sequences up to the largest for which positions have room: 2^33 ledger entries. */
const sequence = fc.bigInt(0n, 2n ** 33n - 1n);
const index = fc.nat(2 ** 20 - 1);

describe('the position of a transfer', () => {
  test.each([
    [0n, 0, 0n],
    [1n, 0, 1_048_576n],
    [2n, 3, 2_097_155n],
    [1n, 1_048_575, 2_097_151n],
    [2n ** 33n - 1n, 2 ** 20 - 1, 9_007_199_254_740_991n],
  ])('of bulk %i at index %i is %i', (ofBulk, at, position) => {
    expect(transferPosition(ofBulk, at)).toBe(position);
  });

  test('is decoded to the bulk and the index that it was made from', () => {
    fc.assert(
      fc.property(sequence, index, (ofBulk, at) => {
        const position = transferPosition(ofBulk, at);
        expect([sequenceOf(position), indexOf(position)]).toEqual([ofBulk, at]);
      }),
    );
  });

  test('is ordered by the bulk, then by the index', () => {
    const close = fc.bigInt(0n, 3n);
    const places = fc.tuple(fc.oneof(sequence, close), fc.oneof(index, fc.nat(3)));
    fc.assert(
      fc.property(places, places, ([bulk, at], [otherBulk, otherAt]) => {
        const isEarlier = bulk < otherBulk || (bulk === otherBulk && at < otherAt);
        expect(transferPosition(bulk, at) < transferPosition(otherBulk, otherAt)).toBe(isEarlier);
      }),
      { numRuns: 1_000 },
    );
  });

  test.each([
    [0n, 0n],
    [1n, 1_048_576n],
    [2n, 2_097_152n],
  ])('that comes first in bulk %i is %i', (ofBulk, position) => {
    expect(firstPositionOf(ofBulk)).toBe(position);
  });

  test('is at least the first of its bulk and less than the first of the next bulk', () => {
    fc.assert(
      fc.property(sequence, index, (ofBulk, at) => {
        const position = transferPosition(ofBulk, at);
        expect([
          position >= firstPositionOf(ofBulk),
          position < firstPositionOf(ofBulk + 1n),
        ]).toEqual([true, true]);
      }),
    );
  });

  test('has room for 2^20 transfers in a bulk', () => {
    expect(TRANSFERS_PER_BULK_LIMIT).toBe(1_048_576);
  });
});
