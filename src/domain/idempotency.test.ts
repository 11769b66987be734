import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fingerprintOf, idempotencyKeyProblems } from './idempotency.js';

const codesOf = (key: string | undefined) => idempotencyKeyProblems(key).map(({ code }) => code);

describe('an idempotency key', () => {
  test.each([undefined, ' ', 'a', '~', 'payroll-2026-11', '"quoted"', 'k'.repeat(255)])(
    'of 1 to 255 printable ASCII characters, or none, is fine: %j',
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

  test('that is wrong is a problem of the request, not of a row', () => {
    expect(idempotencyKeyProblems('')).toEqual([
      { field: 'idempotencyKey', code: 'TOO_SHORT', message: 'The key has no characters.' },
    ]);
  });
});

describe('a fingerprint', () => {
  test('is the SHA-256 of the content as JSON', () => {
    // printf '["DE89",["14.5",null]]' | sha256sum
    expect(fingerprintOf(['DE89', ['14.5', null]])).toBe(
      '3d7690d88ef73d97e262ead9a64d977bbd2b79e8e15f5316e45e9ac849ae9a11',
    );
  });

  test('takes a bigint by its digits', () => {
    // printf '["12345678901234567890"]' | sha256sum
    expect(fingerprintOf([12_345_678_901_234_567_890n])).toBe(
      'dc8f6bb05291a956558356ad10eea35e7772de196baab6b47b123a33f3a2f65e',
    );
  });

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
  ])('tells %j from %j', (one, other) => {
    expect(fingerprintOf(one)).not.toBe(fingerprintOf(other));
  });

  test('is the same for the same content, and for no other', () => {
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
        expect(fingerprintOf(one) === fingerprintOf(other)).toBe(isSameContent);
      }),
      { numRuns: 1_000 },
    );
  });
});
