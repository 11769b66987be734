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
  test('has one call at first, twenty after a quick answer, and five after a late one', async () => {
    const endpoints = new Endpoints();
    const key = keyOf('a');
    expect(freeOf(endpoints, key)).toEqual([1]);

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

  test('that is slow takes no call of the quick ones of its organization', async () => {
    const endpoints = new Endpoints();
    const late = ['a', 'b', 'c'].map((id) => keyOf(id, 'company'));
    const quick = keyOf('quick', 'company');
    for (const key of late) await call(endpoints, key, LATE);
    await call(endpoints, quick, DELIVERED);

    expect(freeOf(endpoints, ...late, keyOf('new', 'company'), quick)).toEqual([5, 5, 0, 0, 20]);
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

/** Makes the webhooks of as many organizations. */
const webhooks = (count: number, name: string) =>
  Array.from({ length: count }, (_, n) => keyOf(`${name} ${n}`));

const sumOf = (counts: readonly number[]) => counts.reduce((sum, count) => sum + count, 0);

test('receivers that answer late have a quarter of the calls, however many they are', async () => {
  const endpoints = new Endpoints();
  const late = webhooks(100, 'late');
  for (const key of late) await call(endpoints, key, LATE);
  const ends = late.map((key) => begin(endpoints, key, LATE));

  const healthy = keyOf('healthy');
  expect(sumOf(freeOf(endpoints, ...late))).toBe(0);
  expect(freeOf(endpoints, healthy)).toEqual([1]);
  await call(endpoints, healthy, DELIVERED);
  expect(freeOf(endpoints, healthy)).toEqual([20]);

  for (const end of ends) end();
  await vi.advanceTimersByTimeAsync(0);
  expect(sumOf(freeOf(endpoints, ...late))).toBe(100);
});

test('receivers that have not answered yet leave half of the calls to the others', async () => {
  const endpoints = new Endpoints();
  const healthy = webhooks(10, 'healthy');
  for (const key of healthy) await call(endpoints, key, DELIVERED);
  const ends = webhooks(300, 'new').map((key) => begin(endpoints, key, LATE));

  expect(freeOf(endpoints, keyOf('next'))).toEqual([0]);
  expect(sumOf(freeOf(endpoints, ...healthy))).toBe(200);

  for (const end of ends) end();
  await vi.advanceTimersByTimeAsync(0);
  expect(freeOf(endpoints, keyOf('next'))).toEqual([1]);
});

test('the pace of a receiver is remembered for ten minutes', async () => {
  const endpoints = new Endpoints();
  const [slow, healthy] = [keyOf('slow'), keyOf('healthy')];
  await call(endpoints, slow, LATE);
  await call(endpoints, healthy, DELIVERED);

  await vi.advanceTimersByTimeAsync(599_000);
  endpoints.forgetIdle();
  expect(freeOf(endpoints, slow, healthy)).toEqual([5, 20]);

  await vi.advanceTimersByTimeAsync(1_100);
  endpoints.forgetIdle();
  expect(freeOf(endpoints, slow, healthy)).toEqual([1, 1]);
});
