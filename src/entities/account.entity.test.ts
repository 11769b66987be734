import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Account } from './account.entity.js';

/** 2^53 - 1, the largest integer that both databases and the numbers of every client store exactly. */
const BALANCE_MAX = 9_007_199_254_740_991n;
const OPENED_AT = new Date('2026-01-01T00:00:00.000Z');

function anAccount(balanceMinor = 0n): Account {
  const account = Account.open({
    id: '01900000-0000-7000-8000-00000000000a',
    organizationId: '01900000-0000-7000-8000-00000000000b',
    organizationName: 'ACME Corp',
    iban: 'FR7630006000011234567890189',
    bic: 'OIVUSCLQXXX',
    currency: 'EUR',
    at: OPENED_AT,
  });
  account.balanceMinor = balanceMinor;
  return account;
}

/**
 * Amounts that never move the balance out of its range in their order. Each amount is limited by the balance before
 * it.
 */
const amounts = fc
  .array(fc.record({ isDebit: fc.boolean(), share: fc.nat(100) }), { minLength: 1 })
  .map((moves) => {
    let balance = 0n;
    return moves.map(({ isDebit, share }) => {
      const room = isDebit ? balance : BALANCE_MAX - balance;
      const amount = ((isDebit ? -1n : 1n) * (room * BigInt(share))) / 100n;
      balance += amount;
      return amount;
    });
  });

/** The times of a clock that jumps forwards and backwards. */
const moments = fc
  .integer({ min: -1_000_000, max: 1_000_000 })
  .map((shiftMs) => new Date(OPENED_AT.getTime() + shiftMs));

describe('an account', () => {
  test('is opened with a balance of zero and no ledger entry', () => {
    expect(anAccount()).toEqual(
      Object.assign(new Account(), {
        id: '01900000-0000-7000-8000-00000000000a',
        shortId: 0xa,
        organizationId: '01900000-0000-7000-8000-00000000000b',
        organizationName: 'ACME Corp',
        iban: 'FR7630006000011234567890189',
        bic: 'OIVUSCLQXXX',
        currency: 'EUR',
        balanceMinor: 0n,
        sequence: 0n,
        createdAt: OPENED_AT,
        updatedAt: OPENED_AT,
      }),
    );
  });

  test.each([
    [0n, true],
    [99n, true],
    [100n, true],
    [101n, false],
  ])('with a balance of 100 covers a debit of %i: %s', (amountMinor, isCovered) => {
    expect(anAccount(100n).covers(amountMinor)).toBe(isCovered);
  });

  test.each([
    [0n, true],
    [1n, true],
    [2n, false],
  ])('one minor unit below its limit can receive %i: %s', (amountMinor, canReceive) => {
    expect(anAccount(BALANCE_MAX - 1n).canReceive(amountMinor)).toBe(canReceive);
  });
});

describe('a copy of an account', () => {
  test('takes postings that the account gets only when it takes them over', () => {
    const account = anAccount(100n);
    const copy = account.copy();
    copy.post(-40n, OPENED_AT);

    expect([account.balanceMinor, account.sequence]).toEqual([100n, 0n]);
    account.takeOver(copy);
    expect([account.balanceMinor, account.sequence]).toEqual([60n, 1n]);
  });
});

describe('postings to an account', () => {
  test('leave the running sum of their amounts as the balance', () => {
    fc.assert(
      fc.property(amounts, (posted) => {
        const account = anAccount();
        const balances = posted.map((amount) => account.post(amount, OPENED_AT).balanceAfterMinor);
        const sums = posted.map((_, count) =>
          posted.slice(0, count + 1).reduce((sum, amount) => sum + amount, 0n),
        );
        expect([...balances, account.balanceMinor]).toEqual([...sums, sums.at(-1)]);
      }),
    );
  });

  test('have the amounts that were posted', () => {
    fc.assert(
      fc.property(amounts, (posted) => {
        const account = anAccount();
        expect(posted.map((amount) => account.post(amount, OPENED_AT).amountMinor)).toEqual(posted);
      }),
    );
  });

  test('are numbered 1, 2, 3 without a gap', () => {
    fc.assert(
      fc.property(amounts, (posted) => {
        const account = anAccount();
        const sequences = posted.map((amount) => account.post(amount, OPENED_AT).sequence);
        expect([...sequences, account.sequence]).toEqual([
          ...Array.from(posted, (_, index) => BigInt(index + 1)),
          BigInt(posted.length),
        ]);
      }),
    );
  });

  test('are never earlier than the one before, or than the opening, even if the clock goes back', () => {
    fc.assert(
      fc.property(fc.array(moments, { minLength: 1 }), (clock) => {
        const account = anAccount();
        const times = clock.map((now) => account.post(1n, now).at.getTime());
        const latest = clock.map((_, count) =>
          Math.max(
            OPENED_AT.getTime(),
            ...clock.slice(0, count + 1).map((moment) => moment.getTime()),
          ),
        );
        expect([...times, account.updatedAt.getTime()]).toEqual([...latest, latest.at(-1)]);
      }),
    );
  });

  test('do not change the time of the opening', () => {
    const account = anAccount();

    account.post(1n, new Date('2026-02-01T00:00:00.000Z'));

    expect(account.createdAt).toEqual(new Date('2026-01-01T00:00:00.000Z'));
  });

  test('may take the balance to both ends of its range', () => {
    const account = anAccount();

    expect([
      account.post(9_007_199_254_740_991n, OPENED_AT).balanceAfterMinor,
      account.post(-9_007_199_254_740_991n, OPENED_AT).balanceAfterMinor,
    ]).toEqual([9_007_199_254_740_991n, 0n]);
  });

  const beyond = fc
    .tuple(fc.bigInt(0n, BALANCE_MAX), fc.bigInt(1n, 10n ** 18n), fc.boolean())
    .map(([balance, excess, isDebit]) => ({
      balance,
      amount: isDebit ? -balance - excess : BALANCE_MAX - balance + excess,
    }));

  test('that would leave the range are refused', () => {
    fc.assert(
      fc.property(beyond, ({ balance, amount }) => {
        expect(() => anAccount(balance).post(amount, OPENED_AT)).toThrow(Error);
      }),
    );
  });

  test('that are refused change nothing', () => {
    fc.assert(
      fc.property(beyond, moments, ({ balance, amount }, now) => {
        const account = anAccount(balance);
        try {
          account.post(amount, now);
        } catch {
          // The test above covers that post throws.
        }
        expect(account).toEqual(anAccount(balance));
      }),
    );
  });
});
