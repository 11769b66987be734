/** Of one turn of the event loop, for the work of all streams together: requests come in between. */
const TURN_BUDGET_MS = 4;

/**
 * The time that streams may take of each turn of the event loop, all of them together: however many
 * followers have however much to read, a mutation waits for a few milliseconds at each of its steps.
 *
 * Followers come one after the other, each for one event. A tick begins when all that the one before
 * did without waiting is done, so the time is looked at between two events.
 */
class EventLoopTurn {
  #waiting: (() => void)[] = [];
  #next = 0;
  #isRunning = false;
  #startedAt = 0;

  /** Waits for the caller's turn. */
  take(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      if (this.#isRunning) return;
      this.#isRunning = true;
      this.#begin();
    });
  }

  #begin(): void {
    this.#startedAt = performance.now();
    process.nextTick(this.#serve);
  }

  readonly #serve = (): void => {
    const serveNext = this.#waiting[this.#next];
    if (serveNext === undefined) {
      this.#waiting = [];
      this.#next = 0;
      this.#isRunning = false;
      return;
    }
    if (performance.now() - this.#startedAt > TURN_BUDGET_MS) {
      this.#waiting = this.#waiting.slice(this.#next);
      this.#next = 0;
      setImmediate(() => this.#begin());
      return;
    }
    this.#next += 1;
    serveNext();
    process.nextTick(this.#serve);
  };
}

/** One process has one event loop. */
export const sharedTurn = new EventLoopTurn();
