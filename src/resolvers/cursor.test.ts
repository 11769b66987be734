import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BadUserInputError } from '../domain/errors.js';
import { type CursorScope, decodeCursor, encodeCursor, parseId, parseNumber } from './cursor.js';

const OWNER = '01900000-0000-7000-8000-00000000000a';
const TRANSFERS: CursorScope<bigint> = {
  kind: 'transfer',
  ownerId: OWNER,
  parse: parseNumber,
  isVerified: true,
};
const ACCOUNTS: CursorScope<string> = {
  kind: 'account',
  ownerId: '',
  parse: parseId,
  isVerified: true,
};

const kind = fc.constantFrom('bulk-transfer', 'transfer', 'ledger-entry');
const numberScope = fc.record({
  kind,
  ownerId: fc.uuid(),
  parse: fc.constant(parseNumber),
  isVerified: fc.constant(true),
});
/** A position up to the largest possible one: 2^33 ledger entries of 2^20 transfers. */
const place = fc.record({
  position: fc.bigInt(0n, 2n ** 53n - 1n),
  rowId: fc.option(fc.uuid(), { nil: undefined }),
});

const base64url = (text: string) => Buffer.from(text).toString('base64url');

describe('a cursor', () => {
  test('is decoded to the position that it was made from', () => {
    fc.assert(
      fc.property(numberScope, place, (scope, at) => {
        expect(decodeCursor(scope, encodeCursor(scope, at))).toEqual(at);
      }),
    );
  });

  test('is decoded to the id that it was made from', () => {
    fc.assert(
      fc.property(fc.uuid(), (id) => {
        expect(decodeCursor(ACCOUNTS, encodeCursor(ACCOUNTS, { position: id }))).toEqual({
          position: id,
        });
      }),
    );
  });

  test('needs no escaping in a URL', () => {
    fc.assert(
      fc.property(numberScope, place, (scope, at) => {
        const cursor = encodeCursor(scope, at);
        expect(encodeURIComponent(cursor)).toBe(cursor);
      }),
    );
  });

  test('is refused by a list of another kind or another account', () => {
    fc.assert(
      fc.property(numberScope, numberScope, place, fc.boolean(), (one, other, at, sameKind) => {
        const scope = sameKind ? { ...other, kind: one.kind } : { ...other, ownerId: one.ownerId };
        fc.pre(scope.kind !== one.kind || scope.ownerId !== one.ownerId);
        expect(() => decodeCursor(scope, encodeCursor(one, at))).toThrow(BadUserInputError);
      }),
    );
  });

  test('of one account is refused by the list of all accounts', () => {
    expect(() => decodeCursor(ACCOUNTS, encodeCursor(TRANSFERS, { position: 1n }))).toThrow(
      BadUserInputError,
    );
  });

  test('is refused if it is any other text', () => {
    const units = fc.array(fc.nat(0xffff)).map((codes) => String.fromCharCode(...codes));
    fc.assert(
      fc.property(fc.oneof(units, units.map(base64url), fc.base64String()), (text) => {
        expect(() => decodeCursor(TRANSFERS, text)).toThrow(BadUserInputError);
      }),
      { numRuns: 1_000 },
    );
  });

  test.each([
    ['an empty text', ''],
    ['no position', base64url(`transfer~${OWNER}`)],
    ['an empty position', base64url(`transfer~${OWNER}~`)],
    ['a negative position', base64url(`transfer~${OWNER}~-1`)],
    ['a position with a leading zero', base64url(`transfer~${OWNER}~01`)],
    ['a position that is not a number', base64url(`transfer~${OWNER}~1e3`)],
    ['a position of 17 digits', base64url(`transfer~${OWNER}~${'1'.repeat(17)}`)],
    ['a row that is not an id', base64url(`transfer~${OWNER}~1~2`)],
    ['an empty row', base64url(`transfer~${OWNER}~1~`)],
    ['a row in capitals', base64url(`transfer~${OWNER}~1~${OWNER.toUpperCase()}`)],
    ['a row and more', base64url(`transfer~${OWNER}~1~${OWNER}~2`)],
    ['an id in the place of a number', base64url(`transfer~${OWNER}~${OWNER}`)],
    ['padding', `${base64url(`transfer~${OWNER}~1`)}=`],
    ['a space', ` ${base64url(`transfer~${OWNER}~1`)}`],
  ])('is refused with %s', (_, cursor) => {
    expect(() => decodeCursor(TRANSFERS, cursor)).toThrow(BadUserInputError);
  });

  test('that is refused differs from an accepted one in that part alone', () => {
    expect(decodeCursor(TRANSFERS, base64url(`transfer~${OWNER}~1~${OWNER}`))).toEqual({
      position: 1n,
      rowId: OWNER,
    });
  });

  test('of an earlier version, without a row, is decoded', () => {
    expect(decodeCursor(TRANSFERS, base64url(`transfer~${OWNER}~1`))).toEqual({ position: 1n });
  });

  test('with a row is refused by a list whose cursors have no row', () => {
    const cursor = encodeCursor(TRANSFERS, { position: 1n, rowId: OWNER });
    const scope = { ...TRANSFERS, isVerified: false };

    expect(() => decodeCursor(scope, cursor)).toThrow(BadUserInputError);
  });

  test('with an id in capitals is refused', () => {
    const cursor = base64url(`account~~${OWNER.toUpperCase()}`);

    expect(() => decodeCursor(ACCOUNTS, cursor)).toThrow(BadUserInputError);
  });
});
