import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  characterCount,
  DESCRIPTION,
  END_TO_END_ID,
  foldName,
  isStoredText,
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
  '❤️ Love & Co.',
  '🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f} Pub',
  'דוד כהן',
  'ח״כ ‏דוד‎ (ACME)',
  'می\u200cخواهم',
  'क्\u200dष और क्\u200cष',
  'শ্রী\u200d',
  '\ufeffZoë',
  ' padded ',
];

describe('a text', () => {
  test.each(WELCOME)('in any script is valid: %s', (text) => {
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
    ['a line separator', '\u2028'],
    ['a paragraph separator', '\u2029'],
    ['an embedding', '\u202b'],
    ['a pop of direction', '\u202c'],
    ['an override', '\u202e'],
    ['an isolate', '\u2068'],
    ['a pop of an isolate', '\u2069'],
    ['a swapped byte order mark', '\ufffe'],
    ['the last code point of its plane', '\uffff'],
    ['a noncharacter', '\ufdd0'],
    ['a noncharacter of another plane', '\u{1fffe}'],
  ])('with %s has characters that are not allowed', (_, character) => {
    expect(codesOf(`a${character}b`, 'description', DESCRIPTION)).toEqual(['INVALID_CHARACTERS']);
  });

  test.each([
    ['abc\u202edef', '"abc\\u202edef" contains U+202E, which is not allowed here.'],
    ['a\nb', '"a\\nb" contains U+000A, which is not allowed here.'],
    ['\u{1fffe}', '"\u{1fffe}" contains U+1FFFE, which is not allowed here.'],
    ['a\ud83d', '"a\ufffd" contains U+D83D, which is not allowed here.'],
  ])('gets a message that names the character that is not allowed: %j', (text, message) => {
    expect(textProblems(text, 'description', DESCRIPTION)).toMatchObject([{ message }]);
  });

  test('is refused for its characters if and only if one of them does not belong in text', () => {
    const units = fc.array(
      fc.oneof(
        fc.integer({ min: 0, max: 0xff }),
        fc.integer({ min: 0x2000, max: 0x20ff }),
        fc.integer({ min: 0xfd00, max: 0xffff }),
        fc.integer({ min: 0xd800, max: 0xdfff }),
        fc.integer({ min: 0, max: 0xffff }),
      ),
      { maxLength: 20 },
    );
    fc.assert(
      fc.property(units, (codes) => {
        const text = String.fromCharCode(...codes);
        const isOfNoText = [...text].some((character) => {
          const code = character.codePointAt(0) ?? 0;
          return (
            code < 0x20 ||
            (code >= 0x7f && code <= 0x9f) ||
            (code >= 0x2028 && code <= 0x202e) ||
            (code >= 0x2066 && code <= 0x2069) ||
            (code >= 0xfdd0 && code <= 0xfdef) ||
            (code & 0xfffe) === 0xfffe
          );
        });
        const isRefused = codesOf(text, 'description', DESCRIPTION).includes('INVALID_CHARACTERS');
        expect(isRefused).toBe(isOfNoText || !text.isWellFormed());
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

  test.each(['', ' ', '   ', '\u00a0', '\t'])('that is a name is required; %j is blank', (text) => {
    expect(textProblems(text, 'counterpartyName', NAME, 7)).toEqual([
      { index: 7, field: 'counterpartyName', code: 'REQUIRED', message: expect.any(String) },
    ]);
  });

  test.each([
    ['\u200b', 'U+200B'],
    ['\u2060', 'U+2060'],
    ['\u3164', 'U+3164'],
    ['\uffa0', 'U+FFA0'],
    ['\u00ad', 'U+00AD'],
    ['\u2800', 'U+2800'],
    ['\ufeff', 'U+FEFF'],
    ['\u034f', 'U+034F'],
    ['\u180e', 'U+180E'],
    ['\u1680', 'U+1680'],
    ['\u202f', 'U+202F'],
    ['\ufe0f', 'U+FE0F'],
    ['\u{1d159}', 'U+1D159'],
    ['\u{e0020}', 'U+E0020'],
    ['\u200d', 'U+200D'],
    [' \u200b \u2060', 'U+200B'],
    ['\u202e', 'U+202E'],
    ['\u0000', 'U+0000'],
  ])('that is a name needs a visible character; %j has none', (text, named) => {
    expect(textProblems(text, 'counterpartyName', NAME)).toMatchObject([
      {
        code: 'REQUIRED',
        message: `A value is required: the text has only invisible characters, such as ${named}.`,
      },
    ]);
  });

  test('that is a blank name gets a message without a character', () => {
    expect(textProblems('  ', 'counterpartyName', NAME)).toMatchObject([
      { code: 'REQUIRED', message: 'A value is required.' },
    ]);
  });

  test('of ten million invisible characters is blank', () => {
    expect(codesOf('\u200b'.repeat(10_000_000), 'counterpartyName', NAME)).toEqual(['REQUIRED']);
  });

  test.each(['a\u202eb', '\u200b', 'a\uffffb'])(
    'that an earlier release accepted may be stored: %j',
    (text) => {
      expect(isStoredText(text, NAME)).toBe(true);
    },
  );

  test.each(['a\nb', '\ud83d', ' ', 'a'.repeat(141)])(
    'that no release accepted is not stored: %j',
    (text) => {
      expect(isStoredText(text, NAME)).toBe(false);
    },
  );

  test.each(['', ' '])('that is a description may be blank: %j', (text) => {
    expect(textProblems(text, 'description', DESCRIPTION)).toEqual([]);
  });

  test('that is invalid gets a problem with its row and field', () => {
    expect(textProblems('\u0000'.repeat(141), 'description', DESCRIPTION, 3)).toMatchObject([
      { index: 3, field: 'description' },
      { index: 3, field: 'description' },
    ]);
  });

  test('of ten million characters is too long', () => {
    expect(codesOf('😀'.repeat(5_000_000), 'description', DESCRIPTION)).toEqual(['TOO_LONG']);
  });
});

describe('the number of characters', () => {
  test.each([
    ['', 0],
    ['abc', 3],
    ['é', 1],
    ['e\u0301', 2],
    ['😀', 1],
    ['👩‍👧', 3],
    ['\ud83d', 1],
  ])('is the one of the databases: %j has %i', (text, count) => {
    expect(characterCount(text)).toBe(count);
  });

  test('is the number of code points, for any text', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary', minLength: 1, maxLength: 1 })), (points) => {
        expect(characterCount(points.join(''))).toBe(points.length);
      }),
    );
  });
});

describe('the comparison of names', () => {
  test.each([
    ['ACME Corp', 'acme CORP'],
    ['Zoë', 'ZOË'],
    ['Zoë', 'Zoe\u0308'],
    ['ẖ', 'H\u0331'],
    ['ØRSTED', 'ørsted'],
    ['ΑΘΗΝΆ', 'αθηνά'],
    ['ИВАН', 'иван'],
  ])('ignores case and composition: %s is %s', (one, other) => {
    expect(foldName(one)).toBe(foldName(other));
  });

  test.each([
    ['Zoë', 'Zoe'],
    ['ACME', 'ACME '],
    ['Müller', 'Mueller'],
  ])('distinguishes other letters: %j is not %j', (one, other) => {
    expect(foldName(one)).not.toBe(foldName(other));
  });

  test('uses lower case and composed characters', () => {
    expect(foldName('ZOE\u0308')).toBe('zo\u00eb');
  });

  test('uses a form that a second folding does not change', () => {
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

  test('uses a form of at most three times the characters, which its column can hold', () => {
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
  ])('compares the beginnings: %s begins %s', (prefix, name) => {
    expect(foldName(name).startsWith(foldName(prefix))).toBe(true);
  });
});
