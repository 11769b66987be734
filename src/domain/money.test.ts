import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  amountProblem,
  formatAmount,
  MINOR_UNITS_MAX,
  minorUnitsMaxOf,
  parseAmount,
  parseAmountIn,
} from './money.js';

/** One currency for each number of fraction digits that ISO 4217 has. */
const CURRENCIES = [
  { currency: 'JPY', fractionDigits: 0 },
  { currency: 'EUR', fractionDigits: 2 },
  { currency: 'KWD', fractionDigits: 3 },
  { currency: 'CLF', fractionDigits: 4 },
] as const;

/** Any text, lone surrogates included. */
const anyText = fc
  .array(fc.integer({ min: 0, max: 0xffff }))
  .map((units) => String.fromCharCode(...units));

/** Texts that come near an amount. */
const nearlyAnAmount = fc.string({
  unit: fc.constantFrom(...'0123456789', '.', '.', ',', '-', '+', 'e', ' ', '\n', '٣', '３', '０'),
  maxLength: 14,
});

/** Writes an amount by division, while the code under test cuts strings. */
function written(minorUnits: bigint, fractionDigits: number): string {
  const scale = 10n ** BigInt(fractionDigits);
  const fraction = String((minorUnits % scale) + scale).slice(1);
  return fractionDigits === 0 ? String(minorUnits) : `${minorUnits / scale}.${fraction}`;
}

describe('a valid amount', () => {
  test.each([0, 1, 2, 3, 4])('is read exactly with %i fraction digits', (digits) => {
    fc.assert(
      fc.property(fc.bigInt(1n, MINOR_UNITS_MAX), (minorUnits) => {
        expect(parseAmount(written(minorUnits, digits), digits, MINOR_UNITS_MAX)).toEqual({
          minorUnits,
        });
      }),
      { numRuns: 500 },
    );
  });

  test.each(CURRENCIES)(
    'is read as it is written in a currency with $fractionDigits fraction digits',
    ({ currency }) => {
      fc.assert(
        fc.property(fc.bigInt(1n, minorUnitsMaxOf(currency)), (minorUnits) => {
          expect(parseAmountIn(formatAmount(minorUnits, currency), currency)).toEqual({
            minorUnits,
          });
        }),
        { numRuns: 500 },
      );
    },
  );

  test.each([
    ['14.5', 1450n],
    ['14.50', 1450n],
    ['00014.50', 1450n],
    ['61238', 6123800n],
    ['0.01', 1n],
    ['999999999.99', 99_999_999_999n],
    ['000000000000999999999.99', 99_999_999_999n],
  ])('of %s in EUR is read as %i minor units', (text, minorUnits) => {
    expect(parseAmountIn(text, 'EUR')).toEqual({ minorUnits });
  });

  test('with leading zeros and fewer fraction digits is read as the same minor units', () => {
    fc.assert(
      fc.property(
        fc.nat(999_999_999),
        fc.integer({ min: 1, max: 9 }),
        fc.nat(30),
        (units, tenths, zeros) => {
          const text = `${'0'.repeat(zeros)}${units}.${tenths}`;
          expect(parseAmountIn(text, 'CLF')).toEqual({
            minorUnits: BigInt(units) * 10_000n + BigInt(tenths) * 1_000n,
          });
        },
      ),
    );
  });
});

describe('an invalid amount', () => {
  test.each([
    ['', 'REQUIRED'],
    ['1e3', 'INVALID_AMOUNT'],
    ['1,50', 'INVALID_AMOUNT'],
    ['1 000', 'INVALID_AMOUNT'],
    ['1_000', 'INVALID_AMOUNT'],
    [' 5', 'INVALID_AMOUNT'],
    ['5 ', 'INVALID_AMOUNT'],
    ['5\n', 'INVALID_AMOUNT'],
    ['+5', 'INVALID_AMOUNT'],
    ['--5', 'INVALID_AMOUNT'],
    ['-', 'INVALID_AMOUNT'],
    ['.', 'INVALID_AMOUNT'],
    ['1.', 'INVALID_AMOUNT'],
    ['.5', 'INVALID_AMOUNT'],
    ['1.2.3', 'INVALID_AMOUNT'],
    ['NaN', 'INVALID_AMOUNT'],
    ['Infinity', 'INVALID_AMOUNT'],
    ['0x10', 'INVALID_AMOUNT'],
    ['٣', 'INVALID_AMOUNT'],
    ['３', 'INVALID_AMOUNT'],
    ['€5', 'INVALID_AMOUNT'],
    ['0', 'AMOUNT_NOT_POSITIVE'],
    ['0.00', 'AMOUNT_NOT_POSITIVE'],
    ['-0', 'AMOUNT_NOT_POSITIVE'],
    ['-1', 'AMOUNT_NOT_POSITIVE'],
    ['0.001', 'TOO_MANY_FRACTION_DIGITS'],
    ['14.500', 'TOO_MANY_FRACTION_DIGITS'],
    ['1000000000', 'AMOUNT_TOO_LARGE'],
    ['1000000000.00', 'AMOUNT_TOO_LARGE'],
  ])('%j in EUR has the problem %s', (text, problem) => {
    expect(parseAmountIn(text, 'EUR')).toEqual({ problem });
  });

  test.each([
    ['EUR', '1.000', '1000000000.00', '999999999.99'],
    ['JPY', '1.0', '9007199254740992', '9007199254740991'],
    ['KWD', '1.0000', '9007199254740.992', '9007199254740.991'],
    ['CLF', '1.00000', '900719925474.0992', '900719925474.0991'],
    ['USD', '1.000', '90071992547409.92', '90071992547409.91'],
  ])(
    'gets a message with the fraction digits and the largest amount of %s',
    (currency, tooFine, tooLarge, max) => {
      expect([tooFine, tooLarge, max].map((text) => parseAmountIn(text, currency).problem)).toEqual(
        ['TOO_MANY_FRACTION_DIGITS', 'AMOUNT_TOO_LARGE', undefined],
      );
      expect(
        amountProblem('AMOUNT_TOO_LARGE', { field: 'amount', text: tooLarge, currency, index: 3 }),
      ).toEqual({
        index: 3,
        field: 'amount',
        code: 'AMOUNT_TOO_LARGE',
        message: `"${tooLarge}" is more than ${max} ${currency}, the largest amount.`,
      });
    },
  );

  test.each(['IDR', 'VND', 'JPY'])('of 1,500,000,000 is valid in %s', (currency) => {
    expect(parseAmountIn('1500000000', currency).problem).toBeUndefined();
  });

  test('is never accepted: an amount has only digits and at most one point between them', () => {
    fc.assert(
      fc.property(
        fc.oneof(anyText, nearlyAnAmount),
        fc.integer({ min: 0, max: 4 }),
        (text, digits) => {
          const { minorUnits, problem } = parseAmount(text, digits, MINOR_UNITS_MAX);
          const parts = text.split('.');
          const isPlain =
            [...text].every((character) => '0123456789.'.includes(character)) &&
            parts.length <= 2 &&
            parts.every((part) => part !== '');
          expect(problem !== undefined || (isPlain && minorUnits > 0n)).toBe(true);
        },
      ),
      { numRuns: 5_000 },
    );
  });

  test.each([
    ['zeros', '0'.repeat(10_000_000), 'AMOUNT_NOT_POSITIVE'],
    ['zeros after the point', `0.${'0'.repeat(10_000_000)}`, 'TOO_MANY_FRACTION_DIGITS'],
    ['nines', '9'.repeat(10_000_000), 'AMOUNT_TOO_LARGE'],
    ['zeros and a letter', `${'0'.repeat(10_000_000)}x`, 'INVALID_AMOUNT'],
    ['points', '.'.repeat(10_000_000), 'INVALID_AMOUNT'],
    // A parser that takes more than linear time exceeds the time limit of the test.
  ])('is refused in linear time, with ten million %s', (_, text, problem) => {
    expect(parseAmountIn(text, 'EUR')).toEqual({ problem });
  });
});

describe('the text of an amount', () => {
  test.each([
    [1450n, 'EUR', '14.50'],
    [5n, 'EUR', '0.05'],
    [0n, 'EUR', '0.00'],
    [-5n, 'EUR', '-0.05'],
    [-145_000n, 'EUR', '-1450.00'],
    [1450n, 'JPY', '1450'],
    [-1n, 'JPY', '-1'],
    [1450n, 'KWD', '1.450'],
    [1450n, 'CLF', '0.1450'],
    [9_007_199_254_740_991n, 'EUR', '90071992547409.91'],
    [999_999_999_990_000n, 'EUR', '9999999999900.00'],
  ])('of %i minor units of %s is %s', (minorUnits, currency, text) => {
    expect(formatAmount(minorUnits, currency)).toBe(text);
  });

  test.each(CURRENCIES)(
    'has exactly $fractionDigits fraction digits in $currency, negative or not',
    ({ currency, fractionDigits }) => {
      fc.assert(
        fc.property(fc.bigInt(0n, 10n ** 18n), fc.boolean(), (absolute, isNegative) => {
          const minorUnits = isNegative ? -absolute : absolute;
          const sign = minorUnits < 0n ? '-' : '';
          expect(formatAmount(minorUnits, currency)).toBe(sign + written(absolute, fractionDigits));
        }),
      );
    },
  );

  test('does not exist in a currency that ISO 4217 does not list', () => {
    expect(() => formatAmount(1n, 'EURO')).toThrow('EURO');
  });
});
