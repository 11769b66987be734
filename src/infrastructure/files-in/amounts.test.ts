import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  DecimalConvention,
  type DecimalSign,
  isSpreadsheetNumber,
  plainAmount,
  splitCurrency,
} from './amounts.js';

/** Returns the decimal sign of a file with these amounts. */
function signOf(amounts: readonly string[], currency = 'EUR'): DecimalSign | undefined {
  const convention = new DecimalConvention();
  for (const [index, amount] of amounts.entries()) convention.note(amount, currency, index + 2);
  return convention.decimalSign();
}

describe('an amount', () => {
  test.each([
    ['1450', '1450', '1450'],
    ['014.50', '014.50', undefined],
    ['14,50', undefined, '14.50'],
    ['1.234,50', undefined, '1234.50'],
    ['1,234.50', '1234.50', undefined],
    ['1,234', '1234', '1.234'],
    ['1.234', '1.234', '1234'],
    ['1.234.567', undefined, '1234567'],
    ['1,234,567.8', '1234567.8', undefined],
    ["1'234.50", '1234.50', undefined],
    ['1’234', '1234', '1234'],
    ['1 234,50', undefined, '1234.50'],
    ['1\u00a0234', '1234', '1234'],
    ['1\u202f234\u202f567', '1234567', '1234567'],
    ['-3.50', '-3.50', undefined],
    ['0.001', '0.001', undefined],
    ['0,001', undefined, '0.001'],
    ['12,34,567', undefined, undefined],
    ['1,23', undefined, '1.23'],
    ['1 234 56', undefined, undefined],
    ["1'234 567", undefined, undefined],
    ['1.234,567.8', undefined, undefined],
    ['1..5', undefined, undefined],
    ['.5', undefined, undefined],
    ['5.', undefined, undefined],
    ['', undefined, undefined],
    ['١٢', undefined, undefined],
    ['1e3', undefined, undefined],
    ['9'.repeat(65), undefined, undefined],
  ])('%j is %j with a point and %j with a comma', (text, withPoint, withComma) => {
    expect(plainAmount(text, '.')).toBe(withPoint);
    expect(plainAmount(text, ',')).toBe(withComma);
  });

  test('keeps all its digits', () => {
    const digits = fc.stringMatching(/^[1-9][0-9]{0,20}$/);
    const fraction = fc.option(fc.stringMatching(/^[0-9]{1,5}$/), { nil: undefined });
    const grouping = fc.constantFrom('', ' ', '\u00a0', '\u202f', "'", '.', ',');
    fc.assert(
      fc.property(
        digits,
        fraction,
        grouping,
        fc.constantFrom<DecimalSign>('.', ','),
        (whole, cents, separator, sign) => {
          fc.pre(separator !== sign);
          const grouped = whole.replace(/(?<=[0-9])(?=(?:[0-9]{3})+$)/g, separator);
          const written = cents === undefined ? grouped : grouped + sign + cents;
          expect(plainAmount(written, sign)).toBe(
            cents === undefined ? whole : `${whole}.${cents}`,
          );
        },
      ),
    );
  });
});

describe('the currency beside an amount', () => {
  test.each([
    ['12,50 €', '12,50', 'EUR'],
    ['€ 12.50', '12.50', 'EUR'],
    ['€12.50', '12.50', 'EUR'],
    ['EUR 12.50', '12.50', 'EUR'],
    ['1 234,50\u202fCHF', '1 234,50', 'CHF'],
    [' 12.50 ', '12.50', undefined],
    ['-12.50 EUR', '-12.50', 'EUR'],
  ])('of %j is split off', (cell, text, currency) => {
    expect(splitCurrency(cell)).toEqual({ text, currency });
  });

  test.each(['$ 12.50', '12.50 kr', '12.50 eur', 'EUR 12.50 EUR', '+5', '(5)', 'twelve', ''])(
    'is not read in %j, which stays as it is',
    (cell) => {
      expect(splitCurrency(cell)).toEqual({ text: cell });
    },
  );
});

describe('the decimal sign of a file', () => {
  test.each([
    [['14.50', '1450'], '.'],
    [['14,50', '1450'], ','],
    [['14', '1 450'], '.'],
    [['1.234,56', '1.234'], ','],
    [['1,234.56', '1,234'], '.'],
    [['0.001'], '.'],
    [['twelve'], '.'],
    [[], '.'],
  ])('is found from all amounts: %j', (amounts, sign) => {
    expect(signOf(amounts)).toBe(sign);
    expect(signOf(amounts.toReversed())).toBe(sign);
  });

  test.each([[['1.234,56', '1,234.56']], [['14.50', '14,50']], [['1,234']], [['1.234', '500']]])(
    'is not guessed: %j',
    (amounts) => {
      expect(signOf(amounts)).toBeUndefined();
      expect(signOf(amounts.toReversed())).toBeUndefined();
    },
  );

  test('is the point where the currency has three fraction digits and all amounts have them', () => {
    expect(signOf(['1.234', '12.500'], 'KWD')).toBe('.');
    expect(signOf(['1.234', '12,500'], 'KWD')).toBeUndefined();
    expect(signOf(['1.234', '12,5'], 'KWD')).toBeUndefined();
    expect(signOf(['12,500'], 'KWD')).toBeUndefined();
  });

  test('that is ambiguous is a problem with both amounts and their lines', () => {
    const convention = new DecimalConvention();
    convention.note('1.234,56', 'EUR', 2);
    convention.note('7', 'EUR', 3);
    convention.note('1,234.56', 'EUR', 4);

    const problem = convention.problem('Amount');
    expect(problem).toMatchObject({
      field: 'amount',
      code: 'AMBIGUOUS_AMOUNTS',
      column: 'Amount',
      line: 4,
    });
    expect(problem?.message).toContain('"1,234.56" in line 4');
    expect(problem?.message).toContain('"1.234,56" in line 2');
  });
});

describe('a number that a spreadsheet made', () => {
  test.each(['8.9E+19', '8,9E+19', '1E5', '1.2e-3', ' 8.93704E+21 '])('is %j', (text) => {
    expect(isSpreadsheetNumber(text)).toBe(true);
  });

  test.each(['DE89370400440532013000', 'E+19', '12.50', '8.9E', ''])('is not %j', (text) => {
    expect(isSpreadsheetNumber(text)).toBe(false);
  });
});
