import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  fingerprintOf,
  fingerprintVersionOf,
  hasSameContent,
  idempotencyKeyProblems,
} from './idempotency.js';

const codesOf = (key: string | undefined) => idempotencyKeyProblems(key).map(({ code }) => code);

describe('an idempotency key', () => {
  test.each([
    ['key\u3164', 'U+3164'],
    ['key\u200b', 'U+200B'],
    ['é🦊', 'U+00E9'],
    ['🦊', 'U+1F98A'],
  ])('%j is refused with the name of its first character that is not ASCII: %s', (key, name) => {
    expect(idempotencyKeyProblems(key)).toMatchObject([
      { message: `"${key}" has ${name}; a key may have printable ASCII characters only.` },
    ]);
  });

  test.each([undefined, ' ', 'a', '~', 'payroll-2026-11', '"quoted"', 'k'.repeat(255)])(
    'of 1 to 255 printable ASCII characters, or absent, is valid: %j',
    (key) => {
      expect(idempotencyKeyProblems(key)).toEqual([]);
    },
  );

  test.each([
    ['', ['TOO_SHORT']],
    ['k'.repeat(256), ['TOO_LONG']],
    ['a\nb', ['INVALID_CHARACTERS']],
    ['payroll\n', ['INVALID_CHARACTERS']],
    ['\u0000', ['INVALID_CHARACTERS']],
    ['\u001f', ['INVALID_CHARACTERS']],
    ['\u007f', ['INVALID_CHARACTERS']],
    ['é', ['INVALID_CHARACTERS']],
    ['🦊', ['INVALID_CHARACTERS']],
    ['\ud83d', ['INVALID_CHARACTERS']],
    ['é'.repeat(256), ['TOO_LONG', 'INVALID_CHARACTERS']],
  ])('%j has the problems %j', (key, codes) => {
    expect(codesOf(key)).toEqual(codes);
  });

  test('that is invalid is a problem of the request, not of a row', () => {
    expect(idempotencyKeyProblems('')).toEqual([
      { field: 'idempotencyKey', code: 'TOO_SHORT', message: 'The idempotency key is empty.' },
    ]);
  });
});

describe('a fingerprint', () => {
  const content = ['DE89', ['14.5', null]];

  // printf '["DE89",["14.5",null]]' | sha256sum; version 2 is in base64url. Ledgers keep fingerprints forever, so
  // these must never change. A change of the hashed content, or of the hash, needs a new version with its own line
  // here.
  test.each([
    [1, '3d7690d88ef73d97e262ead9a64d977bbd2b79e8e15f5316e45e9ac849ae9a11'],
    [2, '2:PXaQ2I73PZfiYurZpk2Xe70reejhX1MW5F6ayEmumhE'],
  ] as const)('of version %i is the SHA-256 of the content as JSON', (version, expected) => {
    expect(fingerprintOf(version, content)).toBe(expected);
  });

  test('leaves out absent fields, so that a new optional field does not change the fingerprint of other content', () => {
    const given = { amount: '14.5', description: '' };

    expect(fingerprintOf(2, { ...given, purpose: undefined })).toBe(fingerprintOf(2, given));
    expect(fingerprintOf(2, { ...given, purpose: '' })).not.toBe(fingerprintOf(2, given));
  });

  test.each([1, 2] as const)('starts with its version: %i', (version) => {
    expect(fingerprintVersionOf(fingerprintOf(version, content))).toBe(version);
  });

  test('fits its column of 64 characters', () => {
    expect(fingerprintOf(1, content)).toHaveLength(64);
    expect(fingerprintOf(2, content)).toHaveLength(45);
  });

  test.each([
    '',
    'A'.repeat(64),
    `3:${'a'.repeat(43)}`,
    `2:${'a'.repeat(44)}`,
    `2:${'a'.repeat(43)}\n`,
    `${'a'.repeat(64)}\n`,
  ])('of an unknown version matches nothing: %j', (stored) => {
    expect(fingerprintVersionOf(stored)).toBeUndefined();
    expect(() => hasSameContent(stored, () => stored)).toThrow('Unknown fingerprint version');
  });

  test.each([1, 2] as const)(
    'of version %i is compared with a fingerprint of the same version',
    (version) => {
      const fingerprintAs = (other: 1 | 2) => fingerprintOf(other, content);

      expect(hasSameContent(fingerprintOf(version, content), fingerprintAs)).toBe(true);
      expect(hasSameContent(fingerprintOf(version, ['DE89']), fingerprintAs)).toBe(false);
    },
  );

  test.each([
    [
      ['ab', 'c'],
      ['a', 'bc'],
    ],
    [[null], ['null']],
    [[''], [null]],
    [[['a'], ['b']], [['a', 'b']]],
    [
      ['a', 'b'],
      ['b', 'a'],
    ],
    [['a","b'], ['a', 'b']],
    [['\ud83d'], ['\ufffd']],
  ])('differs between %j and %j', (one, other) => {
    expect(fingerprintOf(2, one)).not.toBe(fingerprintOf(2, other));
  });

  test('is the same for the same content and differs for other content', () => {
    const content = fc.array(
      fc.oneof(
        fc.constant(null),
        fc.string({ maxLength: 2 }),
        fc.array(fc.string({ maxLength: 2 })),
      ),
      { maxLength: 3 },
    );
    fc.assert(
      fc.property(content, content, (one, other) => {
        const isSameContent = new Set([one, other].map((each) => JSON.stringify(each))).size === 1;
        expect(fingerprintOf(2, one) === fingerprintOf(2, other)).toBe(isSameContent);
      }),
      { numRuns: 1_000 },
    );
  });
});
