import { describe, expect, test } from 'vitest';
import { fractionDigitsOf, listedCurrency, openingFaultOf } from './currency.js';

describe('a currency', () => {
  test.each([
    ['EUR', 2],
    ['JPY', 0],
    ['KWD', 3],
    ['SLE', 2],
    ['ZWG', 2],
    ['BYN', 2],
    ['VED', 2],
    ['XCG', 2],
    ['XOF', 0],
    ['XAF', 0],
    ['XPF', 0],
    ['XCD', 2],
  ])('in use has its fraction digits and may have accounts: %s', (code, digits) => {
    expect([fractionDigitsOf(code), openingFaultOf(code)]).toEqual([digits, undefined]);
  });

  test.each([
    ['ANG', 2],
    ['BGN', 2],
    ['CUC', 2],
    ['HRK', 2],
    ['SLL', 2],
    ['ZWL', 2],
    ['VEF', 2],
    ['STD', 2],
    ['MRO', 2],
    ['BYR', 0],
    ['LTL', 2],
  ])(
    'that was withdrawn keeps its amounts readable and gets no new account: %s',
    (code, digits) => {
      expect(fractionDigitsOf(code)).toBe(digits);
      expect(openingFaultOf(code)).toBe(`${code} was withdrawn from ISO 4217.`);
    },
  );

  test.each('XAG XAU XBA XBB XBC XBD XDR XPD XPT XSU XTS XUA XXX'.split(' '))(
    'that is not money gets no new account, and accounts of earlier releases stay readable: %s',
    (code) => {
      expect(fractionDigitsOf(code)).toBe(0);
      expect(openingFaultOf(code)).toBe(
        `${code} cannot be used for payments: it has no minor unit.`,
      );
    },
  );

  test.each([
    ['BOV', 2],
    ['CHE', 2],
    ['CHW', 2],
    ['CLF', 4],
    ['COU', 2],
    ['MXV', 2],
    ['USN', 2],
    ['UYI', 0],
    ['UYW', 4],
    ['XAD', 2],
  ])(
    'that is a fund or a unit of account keeps its amounts readable and gets no new account: %s',
    (code, digits) => {
      expect(fractionDigitsOf(code)).toBe(digits);
      expect(openingFaultOf(code)).toBe(
        `${code} cannot be used for payments: it is a fund or a unit of account.`,
      );
    },
  );

  test.each(['XYZ', 'eur', '', 'EURO', 'constructor'])(
    'that is not listed does not exist: %s',
    (code) => {
      expect(fractionDigitsOf(code)).toBeUndefined();
      expect(openingFaultOf(code)).toBe('The currency is not an ISO 4217 code.');
      expect(listedCurrency(code, 'EUR')).toBe('EUR');
    },
  );
});
