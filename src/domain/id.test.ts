import { validate, version } from 'uuid';
import { expect, test } from 'vitest';
import { makeNewId } from './id.js';

const newId = makeNewId(() => new Date());

test('ids are UUIDv7 of now, each greater than the one before, and none twice', () => {
  const before = Date.now();
  const ids = Array.from({ length: 20_000 }, newId);

  expect(ids.every((id) => validate(id) && version(id) === 7)).toBe(true);
  expect(ids.toSorted()).toEqual(ids);
  expect(new Set(ids).size).toBe(ids.length);
  const madeAtMs = Number.parseInt((ids[0] ?? '').replaceAll('-', '').slice(0, 12), 16);
  expect(madeAtMs).toBeGreaterThanOrEqual(before);
  expect(madeAtMs).toBeLessThanOrEqual(Date.now());
});

test('ids of one moment differ in more than their count', () => {
  const tails = Array.from({ length: 1_000 }, () => newId().slice(-12));

  expect(new Set(tails).size).toBe(tails.length);
});

test('ids are dated by the clock of their maker, and never go back with it', () => {
  let now = 2_000;
  const newIdAt = makeNewId(() => new Date(now));
  const msOf = (id: string) => Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16);
  const first = newIdAt();
  now = 1_000;
  const second = newIdAt();

  expect([msOf(first), msOf(second)]).toEqual([2_000, 2_000]);
  expect(second > first).toBe(true);
});
