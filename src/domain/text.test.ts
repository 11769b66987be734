import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  characterCount,
  DESCRIPTION,
  END_TO_END_ID,
  foldName,
  NAME,
  textProblems,
} from './text.js';

const codesOf = (...args: Parameters<typeof textProblems>) =>
  textProblems(...args).map(({ code }) => code);

const WELCOME = [
  'Zoë Müller',
  'Zoe\u0308 Mu\u0308ller',
  'Ørsted A/S',
  'Αθηνά Παππά',
  'Иван Петров',
  'محمد علي',
  '株式会社',
  '🦊 Fox & Söhne',
  '👩‍👩‍👧‍👦',
  "D'Arcy, O'Neill + Co. (2)",
  ' padded ',
];

describe('a text', () => {
  test.each(WELCOME)('in any letters is welcome: %s', (text) => {
    expect(textProblems(text, 'counterpartyName', NAME)).toEqual([]);
  });

  test.each([
    ['a null', '\u0000'],
    ['a tab', '\t'],
    ['a line feed', '\n'],
    ['a carriage return', '\r'],
    ['an escape', '\u001b'],
    ['a delete', '\u007f'],
    ['a next line', '\u0085'],
    ['a high surrogate alone', '\ud83d'],
    ['a low surrogate alone', '\ude00'],
  ])('with %s has characters that are not allowed', (_, character) => {
    expect(codesOf(`a${character}b`, 'description', DESCRIPTION)).toEqual(['INVALID_CHARACTERS']);
  });

  test('is refused for its characters exactly where one is a control or half a pair', () => {
    const units = fc.array(
      fc.oneof(
        fc.integer({ min: 0, max: 0xff }),
        fc.integer({ min: 0xd800, max: 0xdfff }),
        fc.integer({ min: 0, max: 0xffff }),
      ),
      { maxLength: 20 },
    );
    fc.assert(
      fc.property(units, (codes) => {
        const text = String.fromCharCode(...codes);
        const hasControl = codes.some((code) => code < 0x20 || (code >= 0x7f && code <= 0x9f));
        const isRefused = codesOf(text, 'description', DESCRIPTION).includes('INVALID_CHARACTERS');
        expect(isRefused).toBe(hasControl || !text.isWellFormed());
      }),
      { numRuns: 2_000 },
    );
  });

  test.each([
    ['letters', 'a'],
    ['umlauts', 'ü'],
    ['emoji', '😀'],
  ])('may have 140 %s, not 141', (_, character) => {
    expect([
      codesOf(character.repeat(140), 'description', DESCRIPTION),
      codesOf(character.repeat(141), 'description', DESCRIPTION),
    ]).toEqual([[], ['TOO_LONG']]);
  });

  test.each([
    ['letters', 'a'],
    ['emoji', '😀'],
  ])('that is an end-to-end id may have 35 %s, not 36', (_, character) => {
    expect([
      codesOf(character.repeat(35), 'endToEndId', END_TO_END_ID),
      codesOf(character.repeat(36), 'endToEndId', END_TO_END_ID),
    ]).toEqual([[], ['TOO_LONG']]);
  });

  test('that is too long and has a control character has both problems', () => {
    const text = `${'a'.repeat(140)}\n`;

    expect(codesOf(text, 'description', DESCRIPTION)).toEqual(['TOO_LONG', 'INVALID_CHARACTERS']);
  });

  test.each(['', ' ', '   ', '\u00a0', '\t'])('that is a name is required: %j is none', (text) => {
    expect(textProblems(text, 'counterpartyName', NAME, 7)).toEqual([
      { index: 7, field: 'counterpartyName', code: 'REQUIRED', message: expect.any(String) },
    ]);
  });

  test.each(['', ' '])('that is a description may be blank: %j', (text) => {
    expect(textProblems(text, 'description', DESCRIPTION)).toEqual([]);
  });

  test('that is wrong is told with its row and field', () => {
    expect(textProblems('\u0000'.repeat(141), 'description', DESCRIPTION, 3)).toMatchObject([
      { index: 3, field: 'description' },
      { index: 3, field: 'description' },
    ]);
  });

  test('of ten million characters is too long', () => {
    expect(codesOf('😀'.repeat(5_000_000), 'description', DESCRIPTION)).toEqual(['TOO_LONG']);
  });
});

describe('characters are counted', () => {
  test.each([
    ['', 0],
    ['abc', 3],
    ['é', 1],
    ['e\u0301', 2],
    ['😀', 1],
    ['👩‍👧', 3],
    ['\ud83d', 1],
  ])('as the databases count them: %j has %i', (text, count) => {
    expect(characterCount(text)).toBe(count);
  });

  test('one for each code point, whatever the text', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary', minLength: 1, maxLength: 1 })), (points) => {
        expect(characterCount(points.join(''))).toBe(points.length);
      }),
    );
  });
});

describe('names are compared', () => {
  test.each([
    ['ACME Corp', 'acme CORP'],
    ['Zoë', 'ZOË'],
    ['Zoë', 'Zoe\u0308'],
    ['ẖ', 'H\u0331'],
    ['ØRSTED', 'ørsted'],
    ['ΑΘΗΝΆ', 'αθηνά'],
    ['ИВАН', 'иван'],
  ])('whatever their case and composition: %s is %s', (one, other) => {
    expect(foldName(one)).toBe(foldName(other));
  });

  test.each([
    ['Zoë', 'Zoe'],
    ['ACME', 'ACME '],
    ['Müller', 'Mueller'],
  ])('letter by letter: %j is not %j', (one, other) => {
    expect(foldName(one)).not.toBe(foldName(other));
  });

  test('in lower case and composed', () => {
    expect(foldName('ZOE\u0308')).toBe('zo\u00eb');
  });

  test('by a form that no second folding changes', () => {
    const marked = fc.constantFrom(
      ...'aAhHjJtTwWyYoOsSΣσςiIİı',
      '\u0301',
      '\u0307',
      '\u0308',
      '\u030a',
      '\u030c',
      '\u0331',
    );
    fc.assert(
      fc.property(
        fc.string({ unit: fc.oneof(marked, fc.string({ unit: 'binary', maxLength: 1 })) }),
        (name) => {
          const folded = foldName(name);
          expect(foldName(folded)).toBe(folded);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  test('by a form of at most three times the characters, which its column holds', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (name) => {
        expect([...foldName(name)].length).toBeLessThanOrEqual(3 * [...name].length);
      }),
      { numRuns: 2_000 },
    );
  });

  test.each([
    ['ac', 'ACME Corp'],
    ['ACME C', 'Acme Corp'],
    ['ΠΑΠ', 'Παπαδόπουλος'],
    ['ΑΣ', 'Αστέρας'],
  ])('by their beginnings: %s begins %s', (prefix, name) => {
    expect(foldName(name).startsWith(foldName(prefix))).toBe(true);
  });
});
