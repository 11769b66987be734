/** The time in one turn of the event loop for the work of all streams together. Requests run between the turns. */
const TURN_BUDGET_MS = 4;

/**
 * The limits of one follower's turn. The events of a turn go to the client in one write, which takes as long as some ten
 * events. All followers of an account get the same number, so they stay close together and share what they read.
 */
const FOLLOWER_EVENTS_MAX = 16;
const FOLLOWER_TURN_MS = 1;

/**
 * Limits the time that all streams together take of each turn of the event loop. A mutation waits only a few
 * milliseconds at each of its steps, for any number of followers and events.
 *
 * Followers run one after the other, each for a few events. The next follower is served in a tick that a microtask
 * requests. Such a tick runs after all microtasks of the previous follower, so the time is checked between two followers.
 * A tick that a tick requests would run before any microtask, and all followers would run at once.
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

/** The turns of one follower. */
export class FollowerTurns {
  #eventsLeft = 0;
  #endsAt = 0;

  /** Waits for the follower's turn to send an event. A turn has room for several events. */
  async take(): Promise<void> {
    await sharedTurn.take();
    this.#eventsLeft = FOLLOWER_EVENTS_MAX - 1;
    this.#endsAt = performance.now() + FOLLOWER_TURN_MS;
  }

  /** Counts an event. @returns false if the event needs another turn */
  hasRoom(): boolean {
    this.#eventsLeft -= 1;
    return this.#eventsLeft >= 0 && performance.now() < this.#endsAt;
  }
}
