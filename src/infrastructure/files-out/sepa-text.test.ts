import fc from 'fast-check';
import { expect, test } from 'vitest';
import { toSepaId, toSepaText } from './sepa-text.js';

const WITHIN_SET = /^[A-Za-z0-9/\-?:().,'+ ]*$/;

test.each([
  ['Müller & Söhne GmbH', 'Mueller + Soehne GmbH'],
  ['Mu\u0308ller', 'Mueller'],
  ['Ærø Ångström', 'Aeroe Aangstroem'],
  ['Straße 5 € @ 10_2', 'Strasse 5 EUR (at) 10-2'],
  ['Łódź', 'Lodz'],
  ['Ωμέγα', 'Omega'],
  ['北京', 'BeiJing'],
  ['a\tb\r\n c\u0000', 'a b c'],
  ['"x" <y> [z]; 5%', "'x' (y) (z), 5."],
  ['already plain, 1/2', 'already plain, 1/2'],
])('%j is written as %j', (text, written) => {
  expect(toSepaText(text, 140)).toBe(written);
});

test.each([
  ['//Invoice//12/', 'Invoice/12'],
  ['/', ''],
  ['E'.repeat(40), 'E'.repeat(35)],
  ['Prüfung', 'Pruefung'],
])('the identifier %j is written as %j', (text, written) => {
  expect(toSepaId(text)).toBe(written);
});

const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 200 }),
  fc.string({ unit: 'grapheme', maxLength: 200 }),
  fc.string({ unit: fc.constantFrom(...'\ud800\udc00ä€@&<>"\'\\/| \t\n\u0000\u0308') }),
);

test('every text is written in the character set of SEPA, within its length, without outer spaces', () => {
  fc.assert(
    fc.property(anyText, fc.integer({ min: 1, max: 140 }), (text, charactersMax) => {
      const written = toSepaText(text, charactersMax);
      expect(written).toMatch(WITHIN_SET);
      expect(written.length).toBeLessThanOrEqual(charactersMax);
      expect(written).toBe(written.trim());
      const id = toSepaId(text);
      expect(id).toMatch(WITHIN_SET);
      expect(id).not.toMatch(/^\/|\/$|\/\//);
    }),
    { numRuns: 2_000 },
  );
});

test('a text that was written is written in the same way again', () => {
  fc.assert(
    fc.property(anyText, (text) => {
      const written = toSepaText(text, 140);
      expect(toSepaText(written, 140)).toBe(written);
    }),
  );
});
