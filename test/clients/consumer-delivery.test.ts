/** Tests how the consumer package retries, gives up, shares the work, stops and reconnects, with a real RabbitMQ. */
import { consume, type VirementEvent } from '@virement/consumer';
import { expect, onTestFinished, test } from 'vitest';
import { AMQP_URL } from '../support/amqp-url.js';
import { type Handler, SILENT, startConsumer } from '../support/client-consumer.js';
import { anAccount, anEvent, bodyOf, eventsOf, makeEventQueue } from '../support/event-queue.js';
import { startBrokerProxy } from '../support/proxy.js';

const idsOf = (events: readonly { readonly id: string }[]) => events.map(({ id }) => id);

/** Returns a handler that notes the ids of the events that it gets, and the notes. */
function noting(): { readonly seen: string[]; readonly handler: Handler } {
  const seen: string[] = [];
  return {
    seen,
    handler: async ({ id }) => {
      seen.push(id);
    },
  };
}

test('an event is tried again after each delay until its handler succeeds', async () => {
  const queue = await makeEventQueue([100, 400]);
  const attempts: { attempt: number; at: number }[] = [];
  await startConsumer(
    { queue: queue.name, accounts: [queue.account], retry: { delaysMs: [100, 400], jitter: 0 } },
    async (_event, { attempt }) => {
      attempts.push({ attempt, at: performance.now() });
      if (attempt < 3) throw new Error('The other service is down');
    },
  );

  await queue.publish([anEvent(queue.account)]);
  await expect.poll(() => attempts.length).toBe(3);

  const [first, second, third] = attempts.map(({ at }) => at);
  expect(attempts.map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
  expect(Number(second) - Number(first)).toBeGreaterThanOrEqual(99);
  expect(Number(third) - Number(second)).toBeGreaterThanOrEqual(399);
  expect(await queue.depth()).toBe(0);
  expect(queue.deadLetters).toEqual([]);
});

test('an event that fails in every attempt is a dead letter with the consumer, the attempts and the last error', async () => {
  const queue = await makeEventQueue([8, 10, 12]);
  let attempts = 0;
  await startConsumer(
    { queue: queue.name, accounts: [queue.account], retry: { delaysMs: [10, 10], jitter: 0.2 } },
    async () => {
      attempts += 1;
      throw new Error(`Attempt ${attempts}: ${'é'.repeat(2_000)}`);
    },
  );
  const event = anEvent(queue.account);

  await queue.publish([event]);
  await expect.poll(() => queue.deadLetters.length).toBe(1);

  const [letter] = queue.deadLetters;
  expect(letter?.body).toBe(bodyOf(event).toString());
  expect(letter?.properties).toMatchObject({
    messageId: event.id,
    type: event.type,
    contentType: 'application/cloudevents+json',
    deliveryMode: 2,
  });
  expect(letter?.headers).toEqual({
    traceparent: 'trace',
    'x-virement-consumer': queue.name,
    'x-virement-reason': 'ATTEMPTS_EXHAUSTED',
    'x-virement-attempts': 3,
    'x-virement-error': `Attempt 3: ${'é'.repeat(989)}`,
    'x-virement-first-failed-at': expect.stringMatching(ISO_TIME),
    'x-virement-last-failed-at': expect.stringMatching(ISO_TIME),
  });
  const [firstAt, lastAt] = ['x-virement-first-failed-at', 'x-virement-last-failed-at'].map(
    (name) => Date.parse(String(letter?.headers[name])),
  );
  const waitedMs = Number(lastAt) - Number(firstAt);
  expect(waitedMs).toBeGreaterThanOrEqual(15);
  await expect.poll(() => queue.depth('virement.dead-letters')).toBe(1);
  expect(await queue.depth()).toBe(0);
});

const ISO_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

test('a failure that the service calls permanent is a dead letter at once', async () => {
  const queue = await makeEventQueue([60_000]);
  await startConsumer(
    {
      queue: queue.name,
      accounts: [queue.account],
      retry: {
        delaysMs: [60_000],
        jitter: 0,
        isPermanent: (error) => error instanceof RangeError,
      },
    },
    () => {
      throw new RangeError('There is no such employee');
    },
  );

  await queue.publish([anEvent(queue.account)]);

  await expect.poll(() => queue.deadLetters.length).toBe(1);
  expect(queue.deadLetters[0]?.headers).toMatchObject({
    'x-virement-reason': 'PERMANENT',
    'x-virement-attempts': 1,
    'x-virement-error': 'There is no such employee',
  });
});

test('a message that is no event is a dead letter, and the handler does not see it', async () => {
  const queue = await makeEventQueue();
  const { seen, handler } = noting();
  await startConsumer(
    { queue: queue.name, accounts: [queue.account], retry: { delaysMs: [] } },
    handler,
  );

  await queue.send(Buffer.from([0xff, 0x00]));
  await queue.send(Buffer.from('null'));
  await queue.send(Buffer.from('{"id":"1"}'), 'x');

  await expect.poll(() => queue.deadLetters.length).toBe(3);
  expect(queue.deadLetters.map(({ headers }) => headers['x-virement-reason'])).toEqual(
    Array(3).fill('PERMANENT'),
  );
  expect(queue.deadLetters[2]?.properties.messageId).toBe('x');
  expect(seen).toEqual([]);
});

test('events that fail for long delay no others, even in a process that takes one at a time', async () => {
  const queue = await makeEventQueue([60_000]);
  const { seen, handler } = noting();
  const poison = eventsOf(queue.account, 10);
  const good = eventsOf(queue.account, 20);
  await startConsumer(
    {
      queue: queue.name,
      accounts: [queue.account],
      prefetch: 1,
      concurrency: 1,
      retry: { delaysMs: [60_000], jitter: 0 },
    },
    (event, context) => {
      if (idsOf(poison).includes(event.id)) throw new Error('Poison');
      return handler(event, context);
    },
  );

  await queue.publish([...poison, ...good]);

  await expect.poll(() => seen).toEqual(idsOf(good));
  expect(await queue.depth(`${queue.name}.retry.60000`)).toBe(10);
});

test('a dead letter that an operator sends to the queue again starts at its first attempt', async () => {
  const queue = await makeEventQueue([10]);
  const attempts: number[] = [];
  let isRepaired = false;
  await startConsumer(
    { queue: queue.name, accounts: [queue.account], retry: { delaysMs: [10], jitter: 0 } },
    (_event, { attempt }) => {
      attempts.push(attempt);
      if (!isRepaired) throw new Error('Not repaired');
    },
  );
  const event = anEvent(queue.account);
  await queue.publish([event]);
  await expect.poll(() => queue.deadLetters.length).toBe(1);

  isRepaired = true;
  await queue.send(bodyOf(event), event.id);

  await expect.poll(() => attempts).toEqual([1, 2, 1]);
  await expect.poll(() => queue.depth()).toBe(0);
});

test('a consumer gets the types and accounts that it asks for, and consumers of another queue get them as well', async () => {
  const [payroll, audit] = [await makeEventQueue(), await makeEventQueue()];
  const [mine, foreign] = [payroll.account, anAccount()];
  const [ofPayroll, ofAudit] = [noting(), noting()];
  const retry = { delaysMs: [] };
  await startConsumer(
    {
      queue: payroll.name,
      events: ['virement.account.credited.v1', 'virement.transfer.received.v1'],
      accounts: [mine],
      retry,
    },
    ofPayroll.handler,
  );
  await startConsumer({ queue: audit.name, accounts: [mine, foreign], retry }, ofAudit.handler);
  const wanted = anEvent(mine, 1, 'virement.account.credited.v1');
  const otherType = anEvent(mine);
  const otherAccount = anEvent(foreign, 1, 'virement.account.credited.v1');

  await payroll.publish([otherType, otherAccount, wanted]);

  await expect.poll(() => ofPayroll.seen).toEqual([wanted.id]);
  await expect.poll(() => ofAudit.seen).toHaveLength(3);
});

test('two processes share the events of a queue, and each event is processed once', async () => {
  const queue = await makeEventQueue();
  const options = {
    queue: queue.name,
    accounts: [queue.account],
    prefetch: 10,
    retry: { delaysMs: [] },
  };
  const [a, b] = [noting(), noting()];
  await startConsumer(options, a.handler);
  await startConsumer(options, b.handler);
  const events = eventsOf(queue.account, 200);

  await queue.publish(events);

  await expect.poll(() => a.seen.length + b.seen.length).toBe(200);
  expect([...a.seen, ...b.seen].sort()).toEqual(idsOf(events).sort());
  expect(a.seen.length).toBeGreaterThan(0);
  expect(b.seen.length).toBeGreaterThan(0);
});

test('no more handlers run at once than the concurrency', async () => {
  const queue = await makeEventQueue();
  let [running, most, done] = [0, 0, 0];
  await startConsumer(
    {
      queue: queue.name,
      accounts: [queue.account],
      concurrency: 3,
      retry: { delaysMs: [] },
    },
    async () => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
      done += 1;
    },
  );

  await queue.publish(eventsOf(queue.account, 100));

  await expect.poll(() => done).toBe(100);
  expect(most).toBe(3);
});

test('a stop waits for the handlers that run, and hands the other events back at once', async () => {
  const queue = await makeEventQueue();
  const { seen, handler } = noting();
  const gate = Promise.withResolvers<void>();
  const options = { queue: queue.name, accounts: [queue.account], retry: { delaysMs: [] } };
  const started: string[] = [];
  const consumer = await startConsumer({ ...options, concurrency: 2 }, async (event, context) => {
    started.push(event.id);
    await gate.promise;
    await handler(event, context);
  });
  const events = eventsOf(queue.account, 10);
  await queue.publish(events);
  await expect.poll(() => started).toHaveLength(2);

  const next = noting();
  await startConsumer(options, next.handler);

  const stopped = consumer.stop();
  const late = eventsOf(queue.account, 6);
  await queue.publish(late);
  // The process that stops gets none of them, and hands back what waits.
  const expected = idsOf([...late, ...events.slice(2)]).sort();
  await expect.poll(() => next.seen.toSorted()).toEqual(expected);
  gate.resolve();
  await stopped;

  expect(consumer.isReady).toBe(false);
  expect(seen).toEqual(idsOf(events.slice(0, 2)));
  expect(await queue.depth()).toBe(0);
  expect(next.seen.toSorted()).toEqual(expected);
});

test('a stop hands events back whose handlers do not end in time, and tells these handlers', async () => {
  const queue = await makeEventQueue();
  const options = { queue: queue.name, accounts: [queue.account], retry: { delaysMs: [] } };
  const signals: AbortSignal[] = [];
  const consumer = await startConsumer(
    { ...options, concurrency: 2, stopTimeoutMs: 100 },
    async (_event, { signal }) => {
      signals.push(signal);
      await new Promise(() => {});
    },
  );
  const events = eventsOf(queue.account, 5);
  await queue.publish(events);
  await expect.poll(() => signals).toHaveLength(2);

  await consumer.stop();

  expect(signals.map(({ aborted }) => aborted)).toEqual([true, true]);
  const { seen, handler } = noting();
  await startConsumer(options, handler);
  await expect.poll(() => seen.toSorted()).toEqual(idsOf(events).sort());
});

test('a consumer goes on after its connection was cut and the broker was away, and no event is lost', async () => {
  const queue = await makeEventQueue([10]);
  const { proxy, amqpUrl } = await startBrokerProxy();
  const seen = new Set<string>();
  const consumer = await startConsumer(
    {
      url: amqpUrl,
      queue: queue.name,
      accounts: [queue.account],
      retry: { delaysMs: [10], jitter: 0 },
    },
    async ({ id }, { attempt }) => {
      if (attempt === 1 && id.startsWith('0')) throw new Error('Once more');
      await new Promise((resolve) => setTimeout(resolve, 1));
      seen.add(id);
    },
  );
  const events = eventsOf(queue.account, 1_000);
  for (let part = 0; part < 5; part += 1) {
    await queue.publish(events.slice(part * 200, (part + 1) * 200));
    await expect.poll(() => seen.size).toBeGreaterThan(part * 200);
    proxy.cut();
  }
  await proxy.goDown();
  await expect.poll(() => consumer.isReady).toBe(false);
  const late = anEvent(queue.account);
  await queue.publish([late]);
  await proxy.goUp();

  await expect.poll(() => seen.size).toBe(1_001);
  expect(seen).toEqual(new Set(idsOf([...events, late])));
  expect(consumer.isReady).toBe(true);
  expect(queue.deadLetters).toEqual([]);
});

test('a service starts while the broker is away, and a stop ends its waiting', async () => {
  const queue = await makeEventQueue();
  const { proxy, amqpUrl } = await startBrokerProxy();
  await proxy.goDown();
  const options = {
    url: amqpUrl,
    queue: queue.name,
    accounts: [queue.account],
    retry: { delaysMs: [] },
    logger: SILENT,
  };
  const { seen, handler } = noting();
  const stopped = await consume(options, handler);
  const waiting = await consume(options, handler);
  onTestFinished(() => waiting.stop());
  expect(waiting.isReady).toBe(false);

  await stopped.stop();
  await proxy.goUp();

  await expect(stopped.ready).rejects.toThrow('stopped before it was ready');
  await waiting.ready;
  const event = anEvent(queue.account);
  await queue.publish([event]);
  await expect.poll(() => seen).toEqual([event.id]);
});

test('a queue that someone deletes is declared again', async () => {
  const queue = await makeEventQueue();
  const { seen, handler } = noting();
  const consumer = await startConsumer(
    { queue: queue.name, accounts: [queue.account], retry: { delaysMs: [] } },
    handler,
  );

  await queue.remove();
  await expect.poll(() => consumer.isReady).toBe(false);
  await expect.poll(() => consumer.isReady).toBe(true);

  const event = anEvent(queue.account);
  await queue.publish([event]);
  await expect.poll(() => seen).toEqual([event.id]);
});

test('an event stays in the queue if its delay queue is missing, until the consumer has declared it again', async () => {
  const queue = await makeEventQueue([50]);
  const attempts: number[] = [];
  await startConsumer(
    { queue: queue.name, accounts: [queue.account], retry: { delaysMs: [50], jitter: 0 } },
    (_event: VirementEvent, { attempt }) => {
      attempts.push(attempt);
      if (attempt === 1) throw new Error('Once more');
    },
  );
  await queue.remove(`${queue.name}.retry.50`);

  await queue.publish([anEvent(queue.account)]);

  await expect.poll(() => attempts).toEqual([1, 1, 2]);
});

test.each([
  ['does not reach the broker', 'before', [1, 1]],
  ['is stored, but not confirmed,', 'answered', [1, 1, 2]],
] as const)(
  'an event whose next attempt %s when the connection breaks is delivered again',
  async (_name, moment, expected) => {
    const queue = await makeEventQueue([300]);
    const { proxy, amqpUrl } = await startBrokerProxy();
    const attempts: number[] = [];
    await startConsumer(
      {
        url: amqpUrl,
        queue: queue.name,
        accounts: [queue.account],
        retry: { delaysMs: [300], jitter: 0 },
      },
      (_event, { attempt }) => {
        attempts.push(attempt);
        if (attempts.length === 1) throw new Error('Once more');
      },
    );
    const cut = proxy.cutAt('x-virement-attempt', moment);

    await queue.publish([anEvent(queue.account)]);
    await cut;

    await expect.poll(() => attempts.toSorted()).toEqual(expected);
    await expect.poll(() => queue.depth()).toBe(0);
    expect(await queue.depth(`${queue.name}.retry.300`)).toBe(0);
  },
);

test('a queue that exists with other arguments is reported, and consumed once it is gone', async () => {
  const queue = await makeEventQueue();
  await queue.declare();
  const errors: object[] = [];
  const { seen, handler } = noting();
  const consumer = await consume(
    {
      url: AMQP_URL,
      queue: queue.name,
      accounts: [queue.account],
      retry: { delaysMs: [] },
      logger: { ...SILENT, error: (fields) => errors.push(fields) },
    },
    handler,
  );
  onTestFinished(() => consumer.stop());
  await expect.poll(() => errors.length).toBeGreaterThan(1);
  expect(errors[0]).toMatchObject({
    queue: queue.name,
    reason: expect.stringContaining('PRECONDITION_FAILED'),
  });
  expect(consumer.isReady).toBe(false);

  await queue.remove();
  await consumer.ready;

  const event = anEvent(queue.account);
  await queue.publish([event]);
  await expect.poll(() => seen).toEqual([event.id]);
});

test('a logger and a classifier that fail stop nothing', async () => {
  const queue = await makeEventQueue([10]);
  const attempts: number[] = [];
  const fail = () => {
    throw new Error('A fault of the service');
  };
  await startConsumer(
    {
      queue: queue.name,
      accounts: [queue.account],
      retry: { delaysMs: [10], jitter: 0, isPermanent: fail },
      logger: { debug: fail, info: fail, warn: fail, error: fail },
    },
    (_event, { attempt }) => {
      attempts.push(attempt);
      // Anything can be thrown.
      throw Object.create(null);
    },
  );

  await queue.publish([anEvent(queue.account)]);

  await expect.poll(() => queue.deadLetters.length).toBe(1);
  expect(attempts).toEqual([1, 2]);
  expect(queue.deadLetters[0]?.headers['x-virement-error']).toBe('an error without a text');
});

test('options that cannot be used are refused', async () => {
  const valid = { url: AMQP_URL, queue: 'payroll' };
  const refused = {
    'url is no URL': { ...valid, url: 'http://127.0.0.1' },
    'queue is no name': { ...valid, queue: 'virement.dead-letters' },
    'events is empty': { ...valid, events: [] },
    'accounts has an entry': { ...valid, accounts: ['DE*'] },
    'prefetch is not': { ...valid, prefetch: 0 },
    'concurrency is not': { ...valid, concurrency: 0.5 },
    'retry.jitter is not': { ...valid, retry: { jitter: 1 } },
    'retry.delaysMs has a delay': { ...valid, retry: { delaysMs: [0] } },
    'retry.delaysMs adds up': {
      ...valid,
      order: 'account' as const,
      retry: { delaysMs: [1_200_001], jitter: 0 },
    },
  };

  for (const [fault, options] of Object.entries(refused)) {
    await expect(consume(options, () => {})).rejects.toThrow(fault);
  }
});
