import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { quote, requiredProblem, valueProblem } from './problem.js';

/** Any text that is long enough to be cut, lone surrogates and control characters included. */
const anyText = fc
  .array(
    fc.oneof(
      fc.integer({ min: 0, max: 0xff }),
      fc.integer({ min: 0xd800, max: 0xdfff }),
      fc.integer({ min: 0, max: 0xffff }),
    ),
    { maxLength: 120, size: 'max' },
  )
  .map((units) => String.fromCharCode(...units));

describe('the quotation of a value', () => {
  test.each([
    ['14.5x', '"14.5x"'],
    ['', '""'],
    ['Zoë 🦊', '"Zoë 🦊"'],
    ['say "no"', '"say \\"no\\""'],
    ['one\ntwo\u0000', '"one\\ntwo\\u0000"'],
    ['\ud83d!', '"\ufffd!"'],
    ['a\u202eb\u2069', '"a\\u202eb\\u2069"'],
    ['\ufeff\uffff', '"\\ufeff\\uffff"'],
  ])('of %j is %s', (value, quoted) => {
    expect(quote(value)).toBe(quoted);
  });

  test.each([
    ['letters', 'a'],
    ['emoji', '😀'],
  ])('is whole with 50 %s and cut with 51', (_, character) => {
    expect([quote(character.repeat(50)), quote(character.repeat(51))]).toEqual([
      `"${character.repeat(50)}"`,
      `"${character.repeat(50)}…"`,
    ]);
  });

  test('has its first characters, 50 at most, as they were sent', () => {
    fc.assert(
      fc.property(anyText, (value) => {
        const characters = [...value].map((character) =>
          character.isWellFormed() ? character : '\ufffd',
        );
        const expected =
          characters.length > 50 ? `${characters.slice(0, 50).join('')}…` : characters.join('');
        expect(JSON.parse(quote(value))).toBe(expected);
      }),
      { numRuns: 1_000 },
    );
  });

  test('is well-formed text', () => {
    fc.assert(
      fc.property(anyText, (value) => {
        expect(quote(value).isWellFormed()).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });

  test.each([
    ['a line feed', '\n'],
    ['an escape', '\u001b'],
    ['a delete', '\u007f'],
    ['a next line', '\u0085'],
    ['a control sequence introducer', '\u009b'],
    ['a line separator', '\u2028'],
    ['a paragraph separator', '\u2029'],
  ])('escapes %s', (_, character) => {
    expect(quote(`a${character}b`)).not.toContain(character);
  });

  test('is cut, even for fifty million characters', () => {
    expect(quote('a'.repeat(50_000_000)).length).toBeLessThan(100);
  });
});

describe('a problem', () => {
  test('has the row, the field, the code and a message with the value', () => {
    expect(valueProblem('INVALID_AMOUNT', 'amount', '1e3', 4)).toEqual({
      index: 4,
      field: 'amount',
      code: 'INVALID_AMOUNT',
      message: '"1e3" is not a plain decimal number such as 14.50.',
    });
  });

  test('with a name is about the organization, with a BIC about the account', () => {
    expect(valueProblem('MISMATCH', 'organizationName', 'Other').message).toBe(
      '"Other" is not the name of the organization.',
    );
    expect(valueProblem('MISMATCH', 'organizationBic', 'DEUTDEFF').message).toBe(
      '"DEUTDEFF" differs from the value of the account.',
    );
  });

  test('of the bulk itself has no row', () => {
    expect(valueProblem('MISMATCH', 'organizationBic', 'DEUTDEFF').index).toBeUndefined();
  });

  test('of an absent value has no quotation', () => {
    expect(requiredProblem('counterpartyName', 2)).toEqual({
      index: 2,
      field: 'counterpartyName',
      code: 'REQUIRED',
      message: 'A value is required.',
    });
  });
});
