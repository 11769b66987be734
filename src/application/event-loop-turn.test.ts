import { setImmediate as turnOfTheLoop } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { sharedTurn } from './event-loop-turn.js';

function occupyTheThread(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

/** A follower that works after several microtasks, as a stream does. */
async function follow(events: number, onEvent: () => void): Promise<void> {
  for (let event = 0; event < events; event += 1) {
    await sharedTurn.take();
    for (let step = 0; step < 5; step += 1) await Promise.resolve();
    occupyTheThread(1);
    onEvent();
  }
}

test('the event loop turns after the events of four milliseconds, for any number of followers', async () => {
  let isDone = false;
  let events = 0;
  let eventsMax = 0;
  const following = Promise.all(
    Array.from({ length: 50 }, () =>
      follow(3, () => {
        events += 1;
      }),
    ),
  ).finally(() => {
    isDone = true;
  });
  while (!isDone) {
    const before = events;
    await turnOfTheLoop();
    eventsMax = Math.max(eventsMax, events - before);
  }
  await following;

  expect(events).toBe(150);
  // An event begins within the four milliseconds, and takes one millisecond at least.
  expect(eventsMax).toBeLessThanOrEqual(5);
});

test('followers take turns', async () => {
  const order: string[] = [];
  const followAs = (name: string) => follow(3, () => void order.push(name));

  await Promise.all([followAs('a'), followAs('b')]);

  expect(order).toEqual(['a', 'b', 'a', 'b', 'a', 'b']);
});
