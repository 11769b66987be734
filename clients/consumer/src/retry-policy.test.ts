import { expect, test } from 'vitest';
import { MalformedEventError } from './event.js';
import { RetryPolicy } from './retry-policy.js';

const FAILURE = new Error('The other service is down');

test('each attempt has its delay, and the last one has none', () => {
  const policy = new RetryPolicy({ delaysMs: [10, 20], jitter: 0 });

  expect([1, 2, 3].map((attempt) => policy.verdictOn(FAILURE, attempt))).toEqual([
    { kind: 'retry', delayMs: 10 },
    { kind: 'retry', delayMs: 20 },
    { kind: 'dead-letter', reason: 'ATTEMPTS_EXHAUSTED' },
  ]);
});

test('jitter chooses one of three delays, and each one has its queue', () => {
  const policy = new RetryPolicy({ delaysMs: [1_000, 10_000], jitter: 0.2 });

  const delays = [0, 0.34, 0.99].map((random) => policy.verdictOn(FAILURE, 1, random));

  expect(delays).toEqual([800, 1_000, 1_200].map((delayMs) => ({ kind: 'retry', delayMs })));
  expect(policy.allDelaysMs).toEqual([800, 1_000, 1_200, 8_000, 10_000, 12_000]);
});

test('a failure that is permanent, or a message that is no event, is not tried again', () => {
  const policy = new RetryPolicy({ isPermanent: (error) => error === FAILURE });

  for (const error of [FAILURE, new MalformedEventError('No JSON')]) {
    expect(policy.verdictOn(error, 1)).toEqual({ kind: 'dead-letter', reason: 'PERMANENT' });
  }
  expect(policy.verdictOn(new Error('Another one'), 1)).toMatchObject({ kind: 'retry' });
});

test('a failure on which the classifier fails is tried again', () => {
  const policy = new RetryPolicy({
    isPermanent: () => {
      throw new Error('A fault of the classifier');
    },
  });

  expect(policy.verdictOn(FAILURE, 1)).toMatchObject({ kind: 'retry' });
});
