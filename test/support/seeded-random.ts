import { randomInt } from 'node:crypto';

/** Minimum duration of each fault test in seconds; 0 for the short form. */
export const CHAOS_SECONDS = Number(process.env.CHAOS_SECONDS || 0);

/** The seed of a run. The same seed gives the same requests and the same faults, in the same order. */
export const CHAOS_SEED = Number(process.env.CHAOS_SEED || randomInt(2 ** 31));

/** Timeout of a test that runs for CHAOS_SECONDS and then checks its results. */
export const CHAOS_TIMEOUT_MS = 300_000 + 3_000 * CHAOS_SECONDS;

/** A seeded generator of pseudo-random numbers: mulberry32. */
export class Random {
  #state: number;

  /** @param name makes a sequence of its own for each name */
  constructor(name: string, seed = CHAOS_SEED) {
    this.#state = seed;
    for (const letter of name) {
      this.#state = Math.imul(this.#state ^ letter.charCodeAt(0), 0x9e3779b1);
    }
  }

  /** Returns an integer from 0 up to, not including, the bound. */
  below(bound: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * bound);
  }

  /** Returns an integer between both bounds, inclusive. */
  between(min: number, max: number): number {
    return min + this.below(max - min + 1);
  }

  pick<Item>(items: readonly Item[]): Item {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new Error('There is nothing to pick');
    return item;
  }
}

/** Counts rounds up to the minimum, and then on until CHAOS_SECONDS have passed. */
export function* rounds(min: number): Generator<number> {
  const end = Date.now() + CHAOS_SECONDS * 1_000;
  for (let round = 0; round < min || Date.now() < end; round += 1) yield round;
}
