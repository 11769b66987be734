import { expect, test } from 'vitest';
import { startConsumer } from '../support/client-consumer.js';
import { anAccount, anEvent, eventsOf, makeEventQueue } from '../support/event-queue.js';
import { startBrokerProxy } from '../support/proxy.js';

/** Starts a consumer that keeps the order of each account. */
const start: typeof startConsumer = (options, handler) =>
  startConsumer({ order: 'account', ...options }, handler);

test('the account of a failing event waits, its order is kept, and other accounts go on', async () => {
  const queue = await makeEventQueue();
  const accounts = [queue.account, anAccount(), anAccount()];
  const done: string[] = [];
  let [running, most] = [0, 0];
  await start(
    { queue: queue.name, accounts, concurrency: 2, retry: { delaysMs: [200, 200], jitter: 0 } },
    async ({ subject, data }, { attempt }) => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
      if (subject === queue.account && data.sequence === '2' && attempt < 3) {
        throw new Error('Not yet');
      }
      done.push(`${subject} ${data.sequence}`);
    },
  );

  await queue.publish(
    [1, 2, 3, 4, 5].flatMap((sequence) => accounts.map((account) => anEvent(account, sequence))),
  );
  await expect.poll(() => done.length).toBe(15);

  expect(most).toBe(2);
  for (const account of accounts) {
    expect(done.filter((entry) => entry.startsWith(account))).toEqual(
      [1, 2, 3, 4, 5].map((sequence) => `${account} ${sequence}`),
    );
  }
  // The others were done while the first account waited after its first event.
  expect(done.slice(-4)).toEqual([2, 3, 4, 5].map((sequence) => `${queue.account} ${sequence}`));
});

test('an event that never succeeds is a dead letter after its last attempt, and its account goes on', async () => {
  const queue = await makeEventQueue();
  const done: string[] = [];
  await start(
    { queue: queue.name, accounts: [queue.account], retry: { delaysMs: [10, 10] } },
    ({ data }) => {
      if (data.sequence === '2') throw new Error('Never');
      done.push(data.sequence);
    },
  );

  await queue.publish(eventsOf(queue.account, 3));

  await expect.poll(() => done).toEqual(['1', '3']);
  expect(queue.deadLetters.map(({ headers }) => headers)).toMatchObject([
    { 'x-virement-reason': 'ATTEMPTS_EXHAUSTED', 'x-virement-attempts': 3 },
  ]);
});

test('one process has all events of an ordered queue; after its stop another one goes on in order', async () => {
  const queue = await makeEventQueue();
  const done: string[] = [];
  const options = {
    queue: queue.name,
    accounts: [queue.account],
    retry: { delaysMs: [600_000], jitter: 0 },
  };
  const started = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  const first = await start(options, async ({ data }) => {
    if (data.sequence === '3') {
      started.resolve();
      await gate.promise;
    }
    done.push(`first ${data.sequence}`);
  });
  await start(options, ({ data }) => {
    done.push(`second ${data.sequence}`);
  });
  await queue.publish(eventsOf(queue.account, 6));
  await started.promise;

  const stopped = first.stop();
  // The other process must not get this event while the first one still has an earlier one.
  await queue.publish([anEvent(queue.account, 7)]);
  await expect.poll(() => queue.depth()).toBe(0);
  gate.resolve();
  await stopped;

  await expect
    .poll(() => done)
    .toEqual([
      ...['first 1', 'first 2', 'first 3'],
      ...['second 4', 'second 5', 'second 6', 'second 7'],
    ]);
});

test('a stop hands an event back that waits for its next attempt', async () => {
  const queue = await makeEventQueue();
  const options = { queue: queue.name, accounts: [queue.account] };
  let failures = 0;
  const first = await start({ ...options, retry: { delaysMs: [600_000], jitter: 0 } }, () => {
    failures += 1;
    throw new Error('Not yet');
  });
  await queue.publish(eventsOf(queue.account, 3));
  await expect.poll(() => failures).toBe(1);

  await first.stop();

  const done: string[] = [];
  await start({ ...options, retry: { delaysMs: [600_000], jitter: 0 } }, ({ data }, context) => {
    done.push(`${data.sequence}, attempt ${context.attempt}`);
  });
  await expect.poll(() => done).toEqual(['1, attempt 1', '2, attempt 1', '3, attempt 1']);
});

test('after a disconnect events are repeated in order, and never two of an account at once', async () => {
  const queue = await makeEventQueue();
  const { proxy, amqpUrl } = await startBrokerProxy();
  const done: number[] = [];
  let [running, most] = [0, 0];
  await start(
    { url: amqpUrl, queue: queue.name, accounts: [queue.account], prefetch: 20 },
    async ({ data }) => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setTimeout(resolve, 2));
      running -= 1;
      done.push(Number(data.sequence));
    },
  );
  await queue.publish(eventsOf(queue.account, 200));
  for (const sequence of [20, 80, 140]) {
    await expect.poll(() => done.at(-1)).toBeGreaterThan(sequence);
    proxy.cut();
  }
  await expect.poll(() => done.at(-1)).toBe(200);

  // Each number is the next one, or a repetition of the last one that was not acknowledged.
  const leaps = done.filter((sequence, index) => sequence > (done[index - 1] ?? 0) + 1);
  expect(leaps).toEqual([]);
  expect(most).toBe(1);
  expect(queue.deadLetters).toEqual([]);
});
