import { AbandonedError } from '../../domain/errors.js';
import { RoundRobin } from '../round-robin.js';

/**
 * Work is started for so long in one turn of the event loop. SQLite's reads end within the turn that
 * they begin in, with all that follows from them, so hundreds at once would let nobody in before their end.
 */
const TURN_BUDGET_MS = 4;

interface WaitingWork {
  readonly isAbandoned: (() => boolean) | undefined;
  readonly start: () => void;
  readonly fail: (error: Error) => void;
}

/**
 * A number of slots for work that is under way at once, such as reads of the database. Work that waits
 * for a slot is served round robin by key, so one key's backlog delays another key by one piece of work.
 *
 * The queues have no limit of their own: every read is paid for from its caller's rate limit before it
 * comes here, and dropped when its request has timed out. A second limit would refuse what the first one
 * has just admitted.
 */
export class FairSlots {
  readonly #waiting = new RoundRobin<WaitingWork>();
  #underWay = 0;
  #isPutOff = false;
  /** When the first work was started in this turn of the event loop. */
  #turnStartedAt: number | undefined;

  /**
   * @param slotsMax pieces of work under way at once, at least 1
   * @param turnBudgetMs time for which work is started in one turn of the event loop
   */
  constructor(
    private readonly slotsMax: number,
    private readonly turnBudgetMs = TURN_BUDGET_MS,
  ) {}

  /**
   * Runs work as soon as it has a slot: at once where one is free, and the event loop has time.
   * @param isAbandoned whether nobody waits for the result any more
   * @throws AbandonedError for work that was abandoned before it had a slot; whatever the work throws
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

  /** Starts what has a slot, as long as this turn of the event loop has time for it. */
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
      // Before the work that is put off to the next turn, for it is asked for earlier.
      setImmediate(() => {
        this.#turnStartedAt = undefined;
      });
    }
    return now - this.#turnStartedAt <= this.turnBudgetMs;
  }
}
