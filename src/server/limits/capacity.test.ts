import { expect, test } from 'vitest';
import { Capacity } from './capacity.js';

test('each caller has its own number of places', () => {
  const places = new Capacity(1);

  expect(places.take('a')).toBeDefined();
  expect(places.take('a')).toBeUndefined();
  expect(places.take('b')).toBeDefined();
});

test('the number of all places is limited, whoever has them', () => {
  const places = new Capacity(2, 2);
  places.take('a');
  places.take('b');

  expect(places.take('c')).toBeUndefined();
});

test('a place that is released twice is one place', () => {
  const places = new Capacity(2);
  const release = places.take('a');
  places.take('a');
  release?.();
  release?.();

  expect(places.take('a')).toBeDefined();
  expect(places.take('a')).toBeUndefined();
});

test('several places are taken and released together', () => {
  const places = new Capacity(10, 15);
  const release = places.take('one', 8);

  expect(places.take('one', 3)).toBeUndefined();
  expect(places.take('other', 8)).toBeUndefined();
  expect(places.take('other', 7)).toBeDefined();

  release?.();
  release?.();
  expect(places.take('one', 8)).toBeDefined();
  expect(places.take('one', 1)).toBeUndefined();
});
