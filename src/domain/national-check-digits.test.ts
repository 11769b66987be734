import { describe, expect, test } from 'vitest';
import { hasRightNationalCheckDigits } from './national-check-digits.js';

/**
 * Examples of the SWIFT IBAN registry for countries with a rule, and the position of a digit that the rule covers.
 */
const RULES = [
  ['BA391290079401028494', 19],
  ['BE68539007547034', 15],
  ['CZ6508000000192000145399', 23],
  ['EE382200221020145685', 19],
  ['ES9121000418450200051332', 13],
  ['FI2112345600000785', 17],
  ['FR1420041010050500013M02606', 26],
  ['HR1210010051863000160', 20],
  ['HU42117730161111101800000000', 19],
  ['IT60X0542811101000000123456', 26],
  ['MC5811222000010123456789030', 26],
  ['ME25505000012345678951', 21],
  ['MK07250120000058984', 18],
  ['NO9386011117947', 14],
  ['PL61109010140000071219812874', 11],
  ['PT50000201231234567890154', 24],
  ['RS35260005601001611379', 21],
  ['SI56263300012039086', 18],
  ['SK3112000000198742637541', 23],
  ['SM86U0322509800000000270100', 26],
] as const;

describe('national check digits', () => {
  test.each(RULES)(
    'of the example are right, and wrong with one digit changed: %s',
    (iban, place) => {
      const changed = (Number(iban.charAt(place)) + 1) % 10;
      const other = iban.slice(0, place) + changed + iban.slice(place + 1);

      expect([hasRightNationalCheckDigits(iban), hasRightNationalCheckDigits(other)]).toEqual([
        true,
        false,
      ]);
    },
  );

  test.each(['DE89370400440532013000', 'NL91ABNA0417164300', 'GB29NWBK60161331926819'])(
    'are right in a country without a known rule: %s',
    (iban) => {
      expect(hasRightNationalCheckDigits(iban)).toBe(true);
    },
  );

  test('may be a letter, as in Italy', () => {
    expect(hasRightNationalCheckDigits('IT60Y0542811101000000123456')).toBe(false);
  });
});
