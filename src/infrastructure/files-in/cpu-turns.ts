import { setImmediate as nextTurn } from 'node:timers/promises';

/** The longest time that a reader works before requests run, in milliseconds. */
const TURN_MS = 8;

/** Divides the work of one reader into turns of the event loop, because requests run on the same thread. */
export class CpuTurns {
  #startedAt = performance.now();

  /** Waits for the next turn of the event loop if this turn has lasted long enough. Call this every millisecond. */
  async pause(): Promise<void> {
    if (performance.now() - this.#startedAt < TURN_MS) return;
    await nextTurn();
    this.#startedAt = performance.now();
  }
}
