import { setImmediate as nextTurn } from 'node:timers/promises';

/** Of one turn of the event loop, for the work of all streams together: requests come in between. */
const TURN_BUDGET_MS = 4;

/**
 * The time that streams may take of each turn of the event loop, all of them together: however many
 * followers have however much to read, a mutation waits for a few milliseconds at each of its steps.
 */
class EventLoopTurn {
  #startedAt = 0;
  #isRunning = false;

  /** Waits for a turn that has time left. */
  async take(): Promise<void> {
    this.#begin();
    while (performance.now() - this.#startedAt > TURN_BUDGET_MS) {
      await nextTurn();
      this.#begin();
    }
  }

  /** The first who asks in a turn begins it; it ends by itself. */
  #begin(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#startedAt = performance.now();
    setImmediate(() => {
      this.#isRunning = false;
    });
  }
}

/** One process has one event loop. */
export const sharedTurn = new EventLoopTurn();
