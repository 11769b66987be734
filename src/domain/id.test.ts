import { validate, version } from 'uuid';
import { expect, test } from 'vitest';
import { newId } from './id.js';

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
