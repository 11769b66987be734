import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BadUserInputError } from './errors.js';
import {
  type CursorScope,
  canonicalId,
  decodeCursor,
  encodeCursor,
  isId,
  type PageRange,
  pageRange,
  parseId,
  parseNumber,
  toPage,
} from './page.js';

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
  test('stands for the place that it was made of', () => {
    fc.assert(
      fc.property(numberScope, place, (scope, at) => {
        expect(decodeCursor(scope, encodeCursor(scope, at))).toEqual(at);
      }),
    );
  });

  test('stands for the id that it was made of', () => {
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

  test('is refused by the list of all accounts where it is of one account', () => {
    expect(() => decodeCursor(ACCOUNTS, encodeCursor(TRANSFERS, { position: 1n }))).toThrow(
      BadUserInputError,
    );
  });

  test('is refused where it is any other text', () => {
    const units = fc.array(fc.nat(0xffff)).map((codes) => String.fromCharCode(...codes));
    fc.assert(
      fc.property(fc.oneof(units, units.map(base64url), fc.base64String()), (text) => {
        expect(() => decodeCursor(TRANSFERS, text)).toThrow(BadUserInputError);
      }),
      { numRuns: 1_000 },
    );
  });

  test.each([
    ['nothing', ''],
    ['no position', base64url(`transfer~${OWNER}`)],
    ['an empty position', base64url(`transfer~${OWNER}~`)],
    ['a negative position', base64url(`transfer~${OWNER}~-1`)],
    ['a position with a leading zero', base64url(`transfer~${OWNER}~01`)],
    ['a position that is no number', base64url(`transfer~${OWNER}~1e3`)],
    ['a position of 17 digits', base64url(`transfer~${OWNER}~${'1'.repeat(17)}`)],
    ['a row that is no id', base64url(`transfer~${OWNER}~1~2`)],
    ['an empty row', base64url(`transfer~${OWNER}~1~`)],
    ['a row in capitals', base64url(`transfer~${OWNER}~1~${OWNER.toUpperCase()}`)],
    ['a row and more', base64url(`transfer~${OWNER}~1~${OWNER}~2`)],
    ['an id in the place of a number', base64url(`transfer~${OWNER}~${OWNER}`)],
    ['padding', `${base64url(`transfer~${OWNER}~1`)}=`],
    ['a space', ` ${base64url(`transfer~${OWNER}~1`)}`],
  ])('is refused with %s', (_, cursor) => {
    expect(() => decodeCursor(TRANSFERS, cursor)).toThrow(BadUserInputError);
  });

  test('of those refusals differs from one that is accepted in that alone', () => {
    expect(decodeCursor(TRANSFERS, base64url(`transfer~${OWNER}~1~${OWNER}`))).toEqual({
      position: 1n,
      rowId: OWNER,
    });
  });

  test('of an earlier version, without a row, is read', () => {
    expect(decodeCursor(TRANSFERS, base64url(`transfer~${OWNER}~1`))).toEqual({ position: 1n });
  });

  test('with a row is refused by a list whose cursors have none', () => {
    const cursor = encodeCursor(TRANSFERS, { position: 1n, rowId: OWNER });
    const scope = { ...TRANSFERS, isVerified: false };

    expect(() => decodeCursor(scope, cursor)).toThrow(BadUserInputError);
  });

  test('is refused with an id in capitals', () => {
    const cursor = base64url(`account~~${OWNER.toUpperCase()}`);

    expect(() => decodeCursor(ACCOUNTS, cursor)).toThrow(BadUserInputError);
  });
});

describe('an id', () => {
  test.each([OWNER, '00000000-0000-0000-0000-000000000000'])('is a UUID: %s', (text) => {
    expect(isId(text)).toBe(true);
  });

  test.each(['', OWNER.toUpperCase(), OWNER.replaceAll('-', ''), `${OWNER}\n`, `${OWNER}0`, '1'])(
    'is nothing else: %j',
    (text) => {
      expect(isId(text)).toBe(false);
    },
  );
});

describe('the canonical form of an id', () => {
  test.each([OWNER, OWNER.toUpperCase()])('is that of %s in small letters', (text) => {
    expect(canonicalId(text)).toBe(OWNER);
  });

  // U+212A KELVIN SIGN lower-cases to a k, and U+0130 lower-cases to two characters. Neither is part of an id.
  test.each(['', '1', `${OWNER} `, `\u212a${OWNER.slice(1)}`, `\u0130${OWNER.slice(1)}`])(
    'is not had of %j',
    (text) => {
      expect(canonicalId(text)).toBeUndefined();
    },
  );
});

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
  ])('%j mean %j', (request, range) => {
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

  test.each(['after', 'before'])('are refused with a cursor of another account as %s', (name) => {
    const cursor = encodeCursor({ ...TRANSFERS, ownerId: crypto.randomUUID() }, { position: 3n });

    expect(() => pageRange({ [name]: cursor }, TRANSFERS)).toThrow(BadUserInputError);
  });
});

/**
 * Returns the nodes that a database reads for a range of a list: by key, in list order or against it, one more than a
 * page.
 */
function readKeyset(list: readonly bigint[], range: PageRange<bigint>): bigint[] {
  const within = list.filter(
    (key) =>
      (range.after === undefined || key > range.after) &&
      (range.before === undefined || key < range.before),
  );
  return (range.fromEnd ? within.toReversed() : within).slice(0, range.size + 1);
}

/** Returns the page of a list that is completely in memory, by the places of its nodes. */
function pageOf(list: readonly bigint[], { size, fromEnd, after, before }: PageRange<bigint>) {
  const start = after === undefined ? 0 : list.indexOf(after) + 1;
  const end = before === undefined ? list.length : list.indexOf(before);
  const length = Math.max(0, Math.min(size, end - start));
  const from = fromEnd ? Math.max(end, start) - length : start;
  const to = from + length;
  return {
    nodes: list.slice(from, to),
    // A page that is counted towards a bound does not look beyond the bound.
    hasNextPage: fromEnd ? end < list.length : to < end,
    hasPreviousPage: fromEnd ? from > start : start > 0,
  };
}

const lists = fc
  .uniqueArray(fc.bigInt(0n, 10_000n), { maxLength: 30 })
  .map((keys) => keys.sort((one, other) => Number(one - other)));

const listsAndRanges = lists.chain((list) => {
  const bound = list.length === 0 ? fc.constant(undefined) : fc.constantFrom(undefined, ...list);
  const range = fc
    .record({
      size: fc.integer({ min: 1, max: 12 }),
      fromEnd: fc.boolean(),
      after: bound,
      before: bound,
    })
    .map(
      ({ size, fromEnd, after, before }): PageRange<bigint> => ({
        size,
        fromEnd,
        ...(after !== undefined && { after }),
        ...(before !== undefined && { before }),
      }),
    );
  return fc.tuple(fc.constant(list), range);
});

describe('a page', () => {
  test('is the part of the whole list that the arguments ask for', () => {
    fc.assert(
      fc.property(listsAndRanges, ([list, range]) => {
        expect(toPage(readKeyset(list, range), range)).toEqual(pageOf(list, range));
      }),
      { numRuns: 2_000 },
    );
  });

  test('after page shows every node once, in order, until there is no next one', () => {
    fc.assert(
      fc.property(lists, fc.integer({ min: 1, max: 12 }), (list, size) => {
        const seen: bigint[] = [];
        let page = toPage(readKeyset(list, { size, fromEnd: false }), { size, fromEnd: false });
        seen.push(...page.nodes);
        for (let turn = 0; page.hasNextPage && turn < list.length; turn += 1) {
          const range = { size, fromEnd: false, after: page.nodes.at(-1) ?? 0n };
          page = toPage(readKeyset(list, range), range);
          seen.push(...page.nodes);
        }
        expect(seen).toEqual(list);
      }),
    );
  });

  test('before page shows every node once, until there is no previous one', () => {
    fc.assert(
      fc.property(lists, fc.integer({ min: 1, max: 12 }), (list, size) => {
        const seen: bigint[] = [];
        let page = toPage(readKeyset(list, { size, fromEnd: true }), { size, fromEnd: true });
        seen.unshift(...page.nodes);
        for (let turn = 0; page.hasPreviousPage && turn < list.length; turn += 1) {
          const range = { size, fromEnd: true, before: page.nodes[0] ?? 0n };
          page = toPage(readKeyset(list, range), range);
          seen.unshift(...page.nodes);
        }
        expect(seen).toEqual(list);
      }),
    );
  });

  test('leaves what was read as it was', () => {
    const read = [3n, 2n, 1n];

    toPage(read, { size: 2, fromEnd: true });

    expect(read).toEqual([3n, 2n, 1n]);
  });
});
