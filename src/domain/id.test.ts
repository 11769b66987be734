import { validate, version } from 'uuid';
import { describe, expect, test } from 'vitest';
import { canonicalId, isId, makeNewId } from './id.js';

const OWNER = '01900000-0000-7000-8000-00000000000a';

const newId = makeNewId(() => new Date());

test('ids are UUIDv7 of the present time, each greater than the one before, without duplicates', () => {
  const before = Date.now();
  const ids = Array.from({ length: 20_000 }, newId);

  expect(ids.every((id) => validate(id) && version(id) === 7)).toBe(true);
  expect(ids.toSorted()).toEqual(ids);
  expect(new Set(ids).size).toBe(ids.length);
  const madeAtMs = Number.parseInt((ids[0] ?? '').replaceAll('-', '').slice(0, 12), 16);
  expect(madeAtMs).toBeGreaterThanOrEqual(before);
  expect(madeAtMs).toBeLessThanOrEqual(Date.now());
});

test('ids of one millisecond differ in more than their counter', () => {
  const tails = Array.from({ length: 1_000 }, () => newId().slice(-12));

  expect(new Set(tails).size).toBe(tails.length);
});

test('ids are dated by the clock of their generator and never go back with it', () => {
  let now = 2_000;
  const newIdAt = makeNewId(() => new Date(now));
  const msOf = (id: string) => Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16);
  const first = newIdAt();
  now = 1_000;
  const second = newIdAt();

  expect([msOf(first), msOf(second)]).toEqual([2_000, 2_000]);
  expect(second > first).toBe(true);
});

describe('an id', () => {
  test.each([OWNER, '00000000-0000-0000-0000-000000000000'])('is a UUID: %s', (text) => {
    expect(isId(text)).toBe(true);
  });

  test.each(['', OWNER.toUpperCase(), OWNER.replaceAll('-', ''), `${OWNER}\n`, `${OWNER}0`, '1'])(
    'is not any other text: %j',
    (text) => {
      expect(isId(text)).toBe(false);
    },
  );
});

describe('the canonical form of an id', () => {
  test.each([OWNER, OWNER.toUpperCase()])('has small letters: %s', (text) => {
    expect(canonicalId(text)).toBe(OWNER);
  });

  // U+212A KELVIN SIGN lower-cases to a k, and U+0130 lower-cases to two characters. Neither is part of an id.
  test.each(['', '1', `${OWNER} `, `\u212a${OWNER.slice(1)}`, `\u0130${OWNER.slice(1)}`])(
    'does not exist for %j',
    (text) => {
      expect(canonicalId(text)).toBeUndefined();
    },
  );
});
