import { setImmediate as turnOfTheLoop } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { EventLoopTurns } from './fair-turns.js';

/** Slices that record their name and the turn of the event loop in which they ran. */
function aLoop() {
  const turns = new EventLoopTurns();
  const ran: { readonly name: string; readonly turn: number }[] = [];
  const isOver = { value: false };
  let turn = 0;
  const count = async () => {
    while (!isOver.value) {
      await turnOfTheLoop();
      turn += 1;
    }
  };
  void count();
  const slice = async (name: string) => {
    await turns.take(name.charAt(0));
    ran.push({ name, turn });
  };
  return { turns, ran, slice, end: () => void Object.assign(isOver, { value: true }) };
}

test('slices are served round robin by key, and in order for each key', async () => {
  const { ran, slice, end } = aLoop();

  await Promise.all(['a1', 'a2', 'a3', 'b1', 'c1', 'b2'].map(slice));
  end();

  expect(ran.map(({ name }) => name)).toEqual(['a1', 'a2', 'b1', 'c1', 'a3', 'b2']);
});

test('each slice has its own turn of the event loop', async () => {
  const { ran, slice, end } = aLoop();

  await Promise.all(['a1', 'a2', 'a3', 'b1', 'b2'].map(slice));
  end();

  expect(new Set(ran.map(({ turn }) => turn)).size).toBe(5);
});

test('slices continue when the small requests that they waited for are answered', async () => {
  const { turns, ran, slice, end } = aLoop();
  const ends = [turns.beginSmallRequest(), turns.beginSmallRequest()];

  await Promise.all(['a1', 'a2'].map(slice));
  for (const endOne of ends) endOne();
  await Promise.all(['a3', 'a4'].map(slice));
  end();

  expect(ran.map(({ name }) => name)).toEqual(['a1', 'a2', 'a3', 'a4']);
});
