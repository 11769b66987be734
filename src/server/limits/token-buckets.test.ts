import { expect, test } from 'vitest';
import { TokenBuckets } from './token-buckets.js';

function bucketsAt(clock: { nowMs: number }, callersMax?: number): TokenBuckets {
  const limit = { rateLimitCostPerSecond: 10, rateLimitBurst: 100 };
  return new TokenBuckets(limit, () => clock.nowMs, callersMax);
}

test('a caller may spend its burst at once, and then its refill', () => {
  const clock = { nowMs: 0 };
  const buckets = bucketsAt(clock);

  expect(buckets.take('a', 60)).toEqual({ isTaken: true, left: 40 });
  expect(buckets.take('a', 60)).toEqual({ isTaken: false, retryAfterSeconds: 2 });
  clock.nowMs = 1_999;
  expect(buckets.take('a', 60)).toEqual({ isTaken: false, retryAfterSeconds: 1 });
  clock.nowMs = 2_000;
  expect(buckets.take('a', 60)).toEqual({ isTaken: true, left: 0 });
});

test('an idle caller never has more than its burst', () => {
  const clock = { nowMs: 0 };
  const buckets = bucketsAt(clock);
  buckets.take('a', 1);
  clock.nowMs = 1e9;

  expect(buckets.take('a', 100)).toEqual({ isTaken: true, left: 0 });
});

test('a refusal costs nothing', () => {
  const buckets = bucketsAt({ nowMs: 0 });
  buckets.take('a', 50);
  buckets.take('a', 51);

  expect(buckets.take('a', 50)).toEqual({ isTaken: true, left: 0 });
});

test('callers have separate buckets', () => {
  const buckets = bucketsAt({ nowMs: 0 });
  buckets.take('a', 100);

  expect(buckets.take('b', 100)).toEqual({ isTaken: true, left: 0 });
});

test('the bucket that was idle longest is evicted when there are too many callers', () => {
  const buckets = bucketsAt({ nowMs: 0 }, 2);
  buckets.take('a', 100);
  buckets.take('b', 50);
  buckets.take('b', 50);
  buckets.take('c', 100);

  expect(buckets.take('b', 1).isTaken).toBe(false);
  expect(buckets.take('a', 100).isTaken).toBe(true);
});
