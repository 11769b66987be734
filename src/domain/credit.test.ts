import fc from 'fast-check';
import { expect, test } from 'vitest';
import { creditFingerprint } from './credit.js';
import { fractionDigitsOf } from './currency.js';
import { formatAmount, parseAmount } from './money.js';

const CREDIT = { iban: 'DE75512108001245126199', amount: '14.5', description: 'Salary' };

test('two spellings of one credit have one fingerprint', () => {
  expect(
    creditFingerprint({
      ...CREDIT,
      iban: 'de75 5121 0800 1245 1261 99',
      amount: '014.50',
      currency: 'EUR',
    }),
  ).toBe(creditFingerprint(CREDIT));
});

test.each([{ iban: 'NL02ABNA0123456789' }, { amount: '14.51' }, { description: 'salary' }])(
  'credits that differ in %o have two fingerprints',
  (other) => {
    expect(creditFingerprint({ ...CREDIT, ...other })).not.toBe(creditFingerprint(CREDIT));
  },
);

test('the stored values of a credit have the fingerprint of its request', () => {
  fc.assert(
    fc.property(
      fc.stringMatching(/^0{0,3}[0-9]{1,9}(\.[0-9]{1,3})?$/),
      fc.constantFrom('EUR', 'JPY', 'KWD'),
      (amount, currency) => {
        const { minorUnits } = parseAmount(amount, fractionDigitsOf(currency) ?? 0);
        fc.pre(minorUnits !== undefined);
        const stored = { ...CREDIT, currency, amount: formatAmount(minorUnits ?? 0n, currency) };

        expect(creditFingerprint(stored)).toBe(creditFingerprint({ ...CREDIT, currency, amount }));
      },
    ),
  );
});
