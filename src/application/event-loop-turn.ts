/** The time in one turn of the event loop for the work of all streams together. Requests run between the turns. */
const TURN_BUDGET_MS = 4;

/**
 * Limits the time that all streams together take of each turn of the event loop. A mutation waits only a few
 * milliseconds at each of its steps, for any number of followers and events.
 *
 * Followers run one after the other, each for one event. A tick begins after all synchronous work of the previous
 * follower, so the time is checked between two events.
 */
class EventLoopTurn {
  #waiting: (() => void)[] = [];
  #next = 0;
  #isServing = false;
  /** The time at which the first follower was served in this turn of the loop. */
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
      // This callback is registered first, so it runs before the followers that were put off to the next turn.
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

/** The turns of this process, which has one event loop. */
export const sharedTurn = new EventLoopTurn();
