import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ControlSum, plainDecimal } from './control-sum.js';

const sumOf = (...amounts: readonly string[]) => {
  const sum = new ControlSum();
  for (const amount of amounts) sum.add(amount);
  return sum;
};

describe('a control sum', () => {
  test.each([
    [['0.1', '0.2'], '0.3'],
    [['14.50', '1000', '0.001'], '1014.501'],
    [['999999999.99', '0.01'], '1000000000'],
    [[], '0'],
    [['.5', '5.'], '5.50'],
  ])('of %j is %s exactly', (amounts, expected) => {
    expect(sumOf(...amounts).differsFrom(expected)).toBe(false);
    expect(sumOf(...amounts).differsFrom(`${expected}1`)).toBe(true);
  });

  test('is compared by value, not by its spelling', () => {
    expect(sumOf('14.5').differsFrom('+0014.500')).toBe(false);
  });

  test.each(['', 'x', '-1', '1,5', '1e3'])('differs from %j, which is no decimal', (text) => {
    expect(sumOf('1').differsFrom(text)).toBe(true);
  });

  test('of an amount that cannot be read is compared with nothing', () => {
    const sum = sumOf('14.50', 'x');
    expect([sum.differsFrom('14.50'), sum.differsFrom('99'), sum.count]).toEqual([false, false, 2]);
  });

  test('is the sum of the minor units', () => {
    fc.assert(
      fc.property(fc.array(fc.bigInt({ min: 0n, max: 10n ** 15n })), (cents) => {
        const written = cents.map(
          (each) => `${each / 100n}.${String(each % 100n).padStart(2, '0')}`,
        );
        const total = cents.reduce((one, other) => one + other, 0n);
        const sum = sumOf(...written);
        expect(sum.differsFrom(sum.toString())).toBe(false);
        expect(sum.differsFrom(`${total / 100n}.${String(total % 100n).padStart(2, '0')}`)).toBe(
          false,
        );
      }),
    );
  });
});

describe('a decimal of XML Schema', () => {
  test.each([
    ['.5', '0.5'],
    ['5.', '5'],
    ['+5', '5'],
    ['014.50', '014.50'],
    ['-5', '-5'],
    ['x', 'x'],
    ['.', '.'],
    ['', ''],
  ])('%j is %j', (text, plain) => {
    expect(plainDecimal(text)).toBe(plain);
  });
});
