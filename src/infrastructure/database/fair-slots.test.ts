import { expect, test } from 'vitest';
import { AbandonedError } from '../../domain/errors.js';
import { FairSlots } from './fair-slots.js';

/** Work that records its name when it starts, and ends when the test says so. */
function aWorkplace(slotsMax: number) {
  // Without a time budget, no clock decides when work starts.
  const slots = new FairSlots(slotsMax, Number.POSITIVE_INFINITY);
  const started: string[] = [];
  const ends: (() => void)[] = [];
  const run = (name: string, isAbandoned?: () => boolean) =>
    slots.run(
      name.charAt(0),
      () => {
        started.push(name);
        return new Promise<string>((resolve) => ends.push(() => resolve(name)));
      },
      isAbandoned,
    );
  /** Ends the work that started first, and lets its consequences run. */
  const endOne = async () => {
    ends.shift()?.();
    await new Promise(setImmediate);
  };
  return { run, started, endOne };
}

test('work starts at once while slots are free, and never exceeds the number of slots', async () => {
  const { run, started, endOne } = aWorkplace(2);

  const results = ['a1', 'a2', 'a3'].map((name) => run(name));
  expect(started).toEqual(['a1', 'a2']);

  await endOne();
  expect(started).toEqual(['a1', 'a2', 'a3']);
  await endOne();
  await endOne();
  expect(await Promise.all(results)).toEqual(['a1', 'a2', 'a3']);
});

test('waiting work is served round robin by key, and in order for each key', async () => {
  const { run, started, endOne } = aWorkplace(1);

  for (const name of ['a1', 'a2', 'a3', 'a4', 'b1', 'b2', 'c1']) void run(name);
  for (let count = 0; count < 7; count += 1) await endOne();

  expect(started).toEqual(['a1', 'a2', 'b1', 'c1', 'a3', 'b2', 'a4']);
});

test('abandoned work is dropped when its turn comes, and its slot goes to the next', async () => {
  const { run, started, endOne } = aWorkplace(1);
  let isGone = false;
  const first = run('a1');
  const gone = run('a2', () => isGone).catch((error: unknown) => error);
  const last = run('a3', () => false);

  isGone = true;
  await endOne();

  expect(await gone).toBeInstanceOf(AbandonedError);
  expect(started).toEqual(['a1', 'a3']);
  await endOne();
  expect(await Promise.all([first, last])).toEqual(['a1', 'a3']);
});

test('work that fails gives its slot back', async () => {
  const slots = new FairSlots(1);

  await expect(slots.run('a', () => Promise.reject(new Error('no')))).rejects.toThrow('no');

  expect(await slots.run('a', async () => 'done')).toBe('done');
});
