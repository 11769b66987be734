/** The time in one turn of the event loop for the work of all streams together. Requests run between the turns. */
const TURN_BUDGET_MS = 4;

/**
 * The time of one follower's turn. Its events go to the client in one write, and a write takes as long as some ten
 * events.
 */
const FOLLOWER_TURN_MS = 0.25;

/**
 * Limits the time that all streams together take of each turn of the event loop. A mutation waits only a few
 * milliseconds at each of its steps, for any number of followers and events.
 *
 * Followers run one after the other, each for the events of a quarter of a millisecond, and for one event at least. The
 * next follower is served in a tick that a microtask requests. Such a tick runs after all microtasks of the previous
 * follower, so the time is checked between two followers. Node runs ticks that ticks request before any microtask.
 */
class EventLoopTurn {
  #waiting: ((turnEnd: number) => void)[] = [];
  #next = 0;
  #isServing = false;
  /** The time at which the first follower was served in this turn of the loop. */
  #startedAt: number | undefined;

  /** Waits for the caller's turn. @returns the end of the turn, by the clock of performance.now() */
  take(): Promise<number> {
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
      serveNext(performance.now() + FOLLOWER_TURN_MS);
      queueMicrotask(() => process.nextTick(this.#serve));
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
