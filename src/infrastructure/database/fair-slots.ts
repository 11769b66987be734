import { AbandonedError } from '../../domain/errors.js';
import { RoundRobin } from '../round-robin.js';

/**
 * Limits the time for which work is started in one turn of the event loop. SQLite's reads, and everything that follows
 * from them, end within the turn in which they begin. Without this limit, hundreds of reads would block the loop until
 * the last one ends.
 */
const TURN_BUDGET_MS = 4;

interface WaitingWork {
  readonly isAbandoned: (() => boolean) | undefined;
  readonly start: () => void;
  readonly fail: (error: Error) => void;
}

/**
 * Slots for work in progress, such as reads of the database. Waiting work is served round robin by key, so the backlog
 * of one key delays another key by one piece of work.
 *
 * The queues need no limit of their own. Every read is paid for from its caller's rate limit before it is queued, and
 * is dropped when its request has timed out. A second limit would refuse reads that the rate limit has just admitted.
 */
export class FairSlots {
  readonly #waiting = new RoundRobin<WaitingWork>();
  #underWay = 0;
  #isPutOff = false;
  /** The time at which the first work was started in this turn of the event loop. */
  #turnStartedAt: number | undefined;

  /**
   * @param slotsMax pieces of work in progress at once, at least 1
   * @param turnBudgetMs time for which work is started in one turn of the event loop
   */
  constructor(
    private readonly slotsMax: number,
    private readonly turnBudgetMs = TURN_BUDGET_MS,
  ) {}

  /**
   * Runs work as soon as a slot is free and the event loop has time, which may be at once.
   * @param isAbandoned tells whether no caller waits for the result any more
   * @throws AbandonedError if the work was abandoned before it had a slot; otherwise whatever the work throws
   */
  async run<Result>(
    key: string,
    work: () => Promise<Result>,
    isAbandoned?: () => boolean,
  ): Promise<Result> {
    if (this.#underWay < this.slotsMax && this.#hasTimeLeft()) this.#underWay += 1;
    else await this.#wait(key, isAbandoned);
    try {
      return await work();
    } finally {
      this.#underWay -= 1;
      this.#startWaiting();
    }
  }

  #wait(key: string, isAbandoned: (() => boolean) | undefined): Promise<void> {
    return new Promise((start, fail) => {
      this.#waiting.add(key, { isAbandoned, start, fail });
      this.#startWaiting();
    });
  }

  /** Starts waiting work while a slot is free and this turn of the event loop has time left. */
  readonly #startWaiting = (): void => {
    while (this.#underWay < this.slotsMax && !this.#waiting.isEmpty) {
      if (!this.#hasTimeLeft()) {
        this.#startInNextTurn();
        return;
      }
      const next = this.#waiting.next();
      if (next?.isAbandoned?.()) next.fail(new AbandonedError());
      else if (next) {
        this.#underWay += 1;
        next.start();
      }
    }
  };

  #startInNextTurn(): void {
    if (this.#isPutOff) return;
    this.#isPutOff = true;
    setImmediate(() => {
      this.#isPutOff = false;
      this.#startWaiting();
    });
  }

  #hasTimeLeft(): boolean {
    const now = performance.now();
    if (this.#turnStartedAt === undefined) {
      this.#turnStartedAt = now;
      // This callback is scheduled before the work that is put off to the next turn, so it runs first.
      setImmediate(() => {
        this.#turnStartedAt = undefined;
      });
    }
    return now - this.#turnStartedAt <= this.turnBudgetMs;
  }
}
