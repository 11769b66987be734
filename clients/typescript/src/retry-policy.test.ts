import fc from 'fast-check';
import { expect, test } from 'vitest';
import { backoffMs } from './backoff.js';
import { VirementError } from './errors.js';
import { RetryPolicy } from './retry-policy.js';

const down = new VirementError('NETWORK_ERROR', 'down');
const rejected = new VirementError('UNAUTHENTICATED', 'rejected');

test('delays double up to 30 s, less a random half', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 10_000 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (failures, random) => {
        const full = Math.min(250 * 2 ** (failures - 1), 30_000);
        const delayMs = backoffMs(failures, random);
        expect(delayMs).toBeGreaterThanOrEqual(full / 2);
        expect(delayMs).toBeLessThanOrEqual(full);
      },
    ),
  );
});

test('a retry waits at least as long as the server says', () => {
  const busy = new VirementError('RATE_LIMITED', 'busy', { retryAfterMs: 5_000 });

  expect(new RetryPolicy(false).delayAfter(busy)).toBe(5_000);
});

test('a received event makes the next delay short again', () => {
  const policy = new RetryPolicy(false);
  for (let failure = 0; failure < 10; failure += 1) policy.delayAfter(down);

  expect(policy.delayAfter(down)).toBeGreaterThan(1_000);
  policy.succeeded();
  expect(policy.delayAfter(down)).toBeLessThanOrEqual(250);
});

test('a rejected token is replaced once, and again after one was accepted', () => {
  const policy = new RetryPolicy(true);

  expect(policy.delayAfter(rejected)).toBe(0);
  policy.accepted();
  expect(policy.delayAfter(rejected)).toBe(0);
  expect(() => policy.delayAfter(rejected)).toThrow(rejected);
  expect(() => new RetryPolicy(false).delayAfter(rejected)).toThrow(rejected);
});

test('an error that is not retryable is thrown', () => {
  const definite = new VirementError('FORBIDDEN', 'no');

  expect(() => new RetryPolicy(true).delayAfter(definite)).toThrow(definite);
});
