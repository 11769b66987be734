import { expect, test } from 'vitest';
import { ORDER_STATUSES } from './kinds.js';
import {
  bulkCountOf,
  bulkKeyOf,
  failureFromJson,
  failureToJson,
  isFinal,
  ORDER_ACTIONS,
  ORDER_TRANSITIONS,
} from './order.js';

/** Yields every sequence of actions up to a length that the transitions allow, with the states on its way. */
function* histories(length: number): Generator<readonly (typeof ORDER_STATUSES)[number][]> {
  const unfinished = [['DRAFT' as (typeof ORDER_STATUSES)[number]]];
  for (const states of unfinished) {
    yield states;
    const last = states.at(-1);
    if (!last || states.length > length) continue;
    for (const action of ORDER_ACTIONS) {
      const next = ORDER_TRANSITIONS[last][action];
      if (next) unfinished.push([...states, next]);
    }
  }
}

test('no sequence of actions performs an order twice, or changes an order that has ended', () => {
  let count = 0;
  for (const states of histories(7)) {
    count += 1;
    expect(states.filter((state) => state === 'PERFORMED').length).toBeLessThanOrEqual(1);
    expect(states.slice(0, -1).filter(isFinal)).toEqual([]);
    // Only a submitted order is performed, and only a submitted one fails.
    for (const [index, state] of states.entries()) {
      if (state === 'PERFORMED' || state === 'FAILED') expect(states[index - 1]).toBe('SUBMITTED');
    }
  }
  expect(count).toBeGreaterThan(100);
});

test('each state can be reached, and an end from each state', () => {
  const reached = new Set([...histories(4)].flat());
  expect([...reached].toSorted()).toEqual([...ORDER_STATUSES].toSorted());
  expect(ORDER_STATUSES.filter(isFinal)).toEqual(['PERFORMED', 'CANCELLED', 'EXPIRED']);
});

test('the bulks of an order have different keys, and the only bulk has the key of the order', () => {
  expect(bulkCountOf(100_000, 100_000)).toBe(1);
  expect(bulkCountOf(100_001, 100_000)).toBe(2);
  expect(bulkKeyOf('key', 0, 1)).toBe('key');
  expect([0, 1].map((part) => bulkKeyOf('key', part, 2))).toEqual(['key/1', 'key/2']);
});

test('a failure is the same after it was stored', () => {
  const failure = {
    code: 'INSUFFICIENT_FUNDS',
    balanceMinor: 2n ** 62n,
    totalAmountMinor: 2n ** 62n + 1n,
    currency: 'EUR',
  } as const;
  expect(failureFromJson(failureToJson(failure))).toEqual(failure);
});
