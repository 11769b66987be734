import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type EndpointKey, Endpoints } from './endpoints.js';
import type { WebhookOutcome } from './webhook-sender.js';

const DELIVERED: WebhookOutcome = {
  httpStatus: 204,
  error: null,
  responseBody: '',
  durationMs: 10,
  retryAfterMs: null,
  isOwnFailure: false,
};
const LATE = { ...DELIVERED, durationMs: 9_900 };
const FAILED = { ...DELIVERED, httpStatus: 500 };

const keyOf = (webhookId: string, organizationId = webhookId): EndpointKey => ({
  webhookId,
  organizationId,
});

/** Returns the number of calls that may begin for each webhook. */
const freeOf = (endpoints: Endpoints, ...keys: EndpointKey[]) => {
  const free = endpoints.freeCalls(keys, keys.length);
  return keys.map(
    ({ webhookId }) => free.find(({ key }) => key.webhookId === webhookId)?.count ?? 0,
  );
};

/** Makes a call that has ended. */
const call = (endpoints: Endpoints, key: EndpointKey, outcome: WebhookOutcome) =>
  endpoints.occupy(key, async (send) => {
    await send(async () => outcome);
  });

/** Begins calls, as many as are free for a webhook. @returns the function that ends them */
function begin(endpoints: Endpoints, key: EndpointKey, outcome: WebhookOutcome): () => void {
  const { promise, resolve } = Promise.withResolvers<WebhookOutcome>();
  const [count = 0] = freeOf(endpoints, key);
  for (let n = 0; n < count; n += 1) {
    void endpoints.occupy(key, async (send) => {
      await send(() => promise);
    });
  }
  return () => resolve(outcome);
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('a webhook', () => {
  test('has five calls at first, and twenty after a quick answer', async () => {
    const endpoints = new Endpoints();
    const key = keyOf('a');
    expect(freeOf(endpoints, key)).toEqual([5]);

    await call(endpoints, key, DELIVERED);
    expect(freeOf(endpoints, key)).toEqual([20]);

    await call(endpoints, key, LATE);
    expect(freeOf(endpoints, key)).toEqual([5]);
  });

  test('has no call beyond those of its organization', async () => {
    const endpoints = new Endpoints();
    const keys = ['a', 'b', 'c'].map((id) => keyOf(id, 'company'));
    for (const key of keys) await call(endpoints, key, DELIVERED);

    expect(freeOf(endpoints, ...keys)).toEqual([20, 20, 0]);
  });

  test('is left alone after five failures, and then tried with one call', async () => {
    const endpoints = new Endpoints();
    for (let n = 0; n < 5; n += 1) await call(endpoints, keyOf('a'), FAILED);
    expect(freeOf(endpoints, keyOf('a'))).toEqual([0]);

    await vi.advanceTimersByTimeAsync(5_100);
    expect(freeOf(endpoints, keyOf('a'))).toEqual([1]);
  });

  test('is left alone for a minute at most on request', async () => {
    const endpoints = new Endpoints();
    await call(endpoints, keyOf('a'), DELIVERED);
    endpoints.leaveAlone(keyOf('a'), 86_400_000);
    expect(freeOf(endpoints, keyOf('a'))).toEqual([0]);

    await vi.advanceTimersByTimeAsync(60_100);
    expect(freeOf(endpoints, keyOf('a'))).toEqual([20]);
  });

  test('occupies no call of its organization after work that threw', async () => {
    const endpoints = new Endpoints();
    const keys = ['a', 'b'].map((id) => keyOf(id, 'company'));
    for (const key of keys) await call(endpoints, key, DELIVERED);
    for (let n = 0; n < 40; n += 1) {
      const work = () => Promise.reject(new Error('failed'));
      await expect(endpoints.occupy(keyOf('a', 'company'), work)).rejects.toThrow('failed');
    }

    expect(freeOf(endpoints, ...keys)).toEqual([20, 20]);
  });
});

test('receivers that answer late have a quarter of the calls, however many they are', async () => {
  const endpoints = new Endpoints();
  const late = Array.from({ length: 100 }, (_, n) => keyOf(`late ${n}`));
  for (const key of late) await call(endpoints, key, LATE);
  const ends = late.map((key) => begin(endpoints, key, LATE));

  const healthy = keyOf('healthy');
  expect(freeOf(endpoints, ...late).every((count) => count === 0)).toBe(true);
  expect(freeOf(endpoints, healthy)).toEqual([5]);
  await call(endpoints, healthy, DELIVERED);
  expect(freeOf(endpoints, healthy)).toEqual([20]);

  for (const end of ends) end();
  await vi.advanceTimersByTimeAsync(0);
  expect(freeOf(endpoints, ...late).reduce((sum, count) => sum + count)).toBe(100);
});

test('a slow receiver is remembered for ten minutes, and a healthy one not at all', async () => {
  const endpoints = new Endpoints();
  const [slow, healthy] = [keyOf('slow'), keyOf('healthy')];
  await call(endpoints, slow, LATE);
  await call(endpoints, healthy, DELIVERED);

  endpoints.forgetIdle();
  expect(freeOf(endpoints, healthy)).toEqual([5]);
  // A late call holds one of the calls for slow receivers.
  const ends = Array.from({ length: 20 }, (_, n) => keyOf(`late ${n}`));
  for (const key of ends) await call(endpoints, key, LATE);
  for (const key of ends) begin(endpoints, key, LATE);
  expect(freeOf(endpoints, slow)).toEqual([0]);

  await vi.advanceTimersByTimeAsync(600_100);
  endpoints.forgetIdle();
  expect(freeOf(endpoints, slow)).toEqual([5]);
});
