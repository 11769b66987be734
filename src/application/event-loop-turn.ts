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
  #isServing = false;
  /** When the first was served in this turn of the loop. */
  #startedAt: number | undefined;

  /** Waits for the caller's turn. */
  take(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      if (this.#isServing) return;
      this.#isServing = true;
      process.nextTick(this.#serve);
    });
  }

  readonly #serve = (): void => {
    const serveNext = this.#waiting[this.#next];
    if (serveNext === undefined) {
      this.#forgetServed();
      this.#isServing = false;
    } else if (this.#hasTimeLeft()) {
      this.#next += 1;
      serveNext();
      process.nextTick(this.#serve);
    } else {
      this.#forgetServed();
      setImmediate(this.#serve);
    }
  };

  #hasTimeLeft(): boolean {
    const now = performance.now();
    if (this.#startedAt === undefined) {
      this.#startedAt = now;
      // Before those who are put off to the next turn, for it is asked for earlier.
      setImmediate(() => {
        this.#startedAt = undefined;
      });
    }
    return now - this.#startedAt <= TURN_BUDGET_MS;
  }

  #forgetServed(): void {
    this.#waiting = this.#waiting.slice(this.#next);
    this.#next = 0;
  }
}

/** One process has one event loop. */
export const sharedTurn = new EventLoopTurn();
