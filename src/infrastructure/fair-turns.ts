import { setImmediate as turnOfTheLoop } from 'node:timers/promises';
import type { FairTurns } from '../application/ports/fair-turns.js';
import { RoundRobin } from './round-robin.js';

/**
 * The rest after a slice is this many times as long as the slice while small requests are in progress, so large
 * requests slow them down little.
 */
const REST_FACTOR = 2;

/**
 * Divides long work on the event loop into slices. One slice runs at a time, round robin by key, and the loop serves
 * everything else in between. While small requests are in progress, a rest follows each slice. Otherwise one turn of
 * the loop follows, so large requests lose no time while they are alone.
 */
export class EventLoopTurns implements FairTurns {
  /** Waiting slices. Each function starts one slice. */
  readonly #waiting = new RoundRobin<() => void>();
  #smallRequestsUnderWay = 0;
  #isServing = false;

  /**
   * Records the start of a small request.
   * @returns a function that records its end, to be called once
   */
  beginSmallRequest(): () => void {
    this.#smallRequestsUnderWay += 1;
    return () => {
      this.#smallRequestsUnderWay -= 1;
    };
  }

  take(key: string): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.add(key, resolve);
      if (!this.#isServing) void this.#serve();
    });
  }

  async #serve(): Promise<void> {
    this.#isServing = true;
    for (let next = this.#waiting.next(); next; next = this.#waiting.next()) {
      const startedAt = performance.now();
      next();
      // The slice and its immediate continuations end before the next turn of the loop.
      await turnOfTheLoop();
      await this.#rest((performance.now() - startedAt) * REST_FACTOR);
    }
    this.#isServing = false;
  }

  async #rest(restMs: number): Promise<void> {
    const until = performance.now() + restMs;
    while (this.#smallRequestsUnderWay > 0 && performance.now() < until) await turnOfTheLoop();
  }
}
