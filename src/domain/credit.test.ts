import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { creditFingerprint } from './credit.js';
import { formatAmount, parseAmountIn } from './money.js';

const CREDIT = { iban: 'DE75512108001245126199', amount: '14.5', description: 'Salary' };

/** All fingerprint versions that ledgers contain: see FingerprintVersion. */
const VERSIONS = [1, 2] as const;

// printf '["DE75512108001245126199","14.5","EUR","Salary"]' | sha256sum, and the same for version 2.
// Ledgers keep fingerprints forever, so these must never change: see FingerprintVersion.
test.each([
  [1, 'd3accb0d1dd025560c0c1907ef5f6ea8546a2919dc699fc78aa075d2e9319961'],
  [2, '2:HsRsHL_mR0q55WupH-yRTYOplpH2vafk2d0vBAIXO5s'],
] as const)(
  'the fingerprint of version %i is the one that was always made',
  (version, expected) => {
    expect(creditFingerprint(CREDIT, version)).toBe(expected);
  },
);

describe.each(VERSIONS)('the fingerprint of version %i', (version) => {
  test('is the same for two spellings of one credit', () => {
    const spelt = {
      ...CREDIT,
      iban: 'de75 5121 0800 1245 1261 99',
      amount: '014.50',
      currency: 'EUR',
    };

    expect(creditFingerprint(spelt, version)).toBe(creditFingerprint(CREDIT, version));
  });

  test.each([
    { iban: 'NL02ABNA0123456789' },
    { amount: '14.51' },
    { currency: 'USD' },
    { description: 'salary' },
  ])('is another for a credit that differs in %o', (other) => {
    expect(creditFingerprint({ ...CREDIT, ...other }, version)).not.toBe(
      creditFingerprint(CREDIT, version),
    );
  });

  test('is the same for the request and for the stored values', () => {
    fc.assert(
      fc.property(
        fc.stringMatching(/^0{0,3}[0-9]{1,9}(\.[0-9]{1,3})?$/),
        fc.constantFrom('EUR', 'JPY', 'KWD'),
        (amount, currency) => {
          const { minorUnits } = parseAmountIn(amount, currency);
          fc.pre(minorUnits !== undefined);
          const stored = { ...CREDIT, currency, amount: formatAmount(minorUnits ?? 0n, currency) };

          expect(creditFingerprint(stored, version)).toBe(
            creditFingerprint({ ...CREDIT, currency, amount }, version),
          );
        },
      ),
    );
  });
});
