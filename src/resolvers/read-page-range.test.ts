import { describe, expect, test } from 'vitest';
import { BadUserInputError } from '../domain/errors.js';
import { type CursorScope, encodeCursor, parseNumber } from './cursor.js';
import { pageRange } from './read-page-range.js';

const OWNER = '01900000-0000-7000-8000-00000000000a';
const TRANSFERS: CursorScope<bigint> = {
  kind: 'transfer',
  ownerId: OWNER,
  parse: parseNumber,
  isVerified: true,
};

describe('the arguments of a connection', () => {
  test.each([
    [{}, { size: 20, fromEnd: false }],
    [
      { first: null, last: null, after: null, before: null },
      { size: 20, fromEnd: false },
    ],
    [{ first: 1 }, { size: 1, fromEnd: false }],
    [{ first: 100 }, { size: 100, fromEnd: false }],
    [{ last: 1 }, { size: 1, fromEnd: true }],
    [{ last: 100 }, { size: 100, fromEnd: true }],
    [
      { first: null, last: 5 },
      { size: 5, fromEnd: true },
    ],
    [
      { first: 5, last: null },
      { size: 5, fromEnd: false },
    ],
  ])('%j give %j', (request, range) => {
    expect(pageRange(request, TRANSFERS)).toEqual(range);
  });

  test.each([
    { first: 0 },
    { first: -1 },
    { first: 101 },
    { first: 2_147_483_647 },
    { last: 0 },
    { last: -1 },
    { last: 101 },
    { first: 1, last: 1 },
    { first: 0, last: null },
    { after: 'x' },
    { before: 'x' },
    { after: '' },
    { first: 1, before: '' },
  ])('%j are refused', (request) => {
    expect(() => pageRange(request, TRANSFERS)).toThrow(BadUserInputError);
  });

  test('give the positions of both cursors', () => {
    const request = {
      after: encodeCursor(TRANSFERS, { position: 3n }),
      before: encodeCursor(TRANSFERS, { position: 9n }),
    };

    expect(pageRange(request, TRANSFERS)).toEqual({
      size: 20,
      fromEnd: false,
      after: 3n,
      before: 9n,
    });
  });

  test.each(['after', 'before'])('with a cursor of another account as %s are refused', (name) => {
    const cursor = encodeCursor({ ...TRANSFERS, ownerId: crypto.randomUUID() }, { position: 3n });

    expect(() => pageRange({ [name]: cursor }, TRANSFERS)).toThrow(BadUserInputError);
  });
});
