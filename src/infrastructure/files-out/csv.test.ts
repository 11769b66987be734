import fc from 'fast-check';
import { expect, test } from 'vitest';
import { csvLine } from './csv.js';

/** Reads a line as RFC 4180 says, and takes the apostrophe from each cell that was escaped. */
function read(line: string): string[] {
  const cells = [...line.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(?:,|\r\n$)/g)].map(
    ([, quoted, plain = '']) => quoted?.replaceAll('""', '"') ?? plain,
  );
  return cells.map((cell) => (/^'+[=+\-@\t\r\n]/.test(cell) ? cell.slice(1) : cell));
}

test.each([
  ['=1+1', "'=1+1"],
  ['+49 30 1', "'+49 30 1"],
  ['-x', "'-x"],
  ['@sum', "'@sum"],
  ["'=x", "''=x"],
  ['\ttab', '"\'\ttab"'],
  ['\rreturn', '"\'\rreturn"'],
  ['-14.50', '-14.50'],
  ['-5', '-5'],
  ['-5=', "'-5="],
  ['DE89370400440532013000', 'DE89370400440532013000'],
  ['a;=b', '"a;=b"'],
  ['say "hi", twice', '"say ""hi"", twice"'],
  ["it's", "it's"],
])('the cell %j is written as %j', (cell, written) => {
  expect(csvLine([cell])).toBe(`${written}\r\n`);
});

test('an absent value is an empty cell', () => {
  expect(csvLine([null, 'a', null])).toBe(',a,\r\n');
});

test('no cell is a formula, and every cell is read back as it was', () => {
  const cell = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string({ unit: fc.constantFrom(...'=+-@\t\r\n\'",;| a1.') }),
  );
  fc.assert(
    fc.property(fc.array(cell, { minLength: 1, maxLength: 5 }), (cells) => {
      const line = csvLine(cells);
      expect(read(line)).toEqual(cells);
      for (const text of line.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(?:,|\r\n$)/g)) {
        const shown = text[1] ?? text[2] ?? '';
        if (!/^-?[0-9]+(\.[0-9]+)?$/.test(shown)) expect(shown).not.toMatch(/^[=+\-@\t\r\n]/);
      }
    }),
    { numRuns: 1_000 },
  );
});
