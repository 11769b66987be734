import { setImmediate as turnOfTheLoop } from 'node:timers/promises';
import type { FairTurns } from '../application/ports/fair-turns.js';
import { RoundRobin } from './round-robin.js';

/** Small requests under way get this many times a slice's time after it, so large ones slow them down little. */
const REST_FACTOR = 2;

/**
 * Long work on the event loop, cut into slices: one slice at a time, round robin by key, with the loop
 * left to everyone else in between. While small requests are under way, a slice is followed by a rest;
 * otherwise by one turn of the loop, so large requests lose nothing where they are alone.
 */
export class EventLoopTurns implements FairTurns {
  /** Waiting slices: each is begun by its function. */
  readonly #waiting = new RoundRobin<() => void>();
  #smallRequestsUnderWay = 0;
  #isServing = false;

  /** Notes a small request. @returns notes its end; to be called once */
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
      // The slice, and whatever follows from it at once, is done before the loop's next turn.
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
