import { AbandonedError } from '../../domain/errors.js';

interface WaitingWork {
  readonly isAbandoned: (() => boolean) | undefined;
  start(): void;
  fail(error: Error): void;
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
  /** Waiting work by key; the first key is served next. */
  readonly #queues = new Map<string, WaitingWork[]>();
  #underWay = 0;

  /** @param slotsMax pieces of work under way at once, at least 1 */
  constructor(private readonly slotsMax: number) {}

  /**
   * Runs work as soon as it has a slot: at once where one is free.
   * @param isAbandoned whether nobody waits for the result any more
   * @throws AbandonedError for work that was abandoned before it had a slot; whatever the work throws
   */
  async run<Result>(
    key: string,
    work: () => Promise<Result>,
    isAbandoned?: () => boolean,
  ): Promise<Result> {
    if (this.#underWay < this.slotsMax) this.#underWay += 1;
    else await this.#wait(key, isAbandoned);
    try {
      return await work();
    } finally {
      this.#passOn();
    }
  }

  #wait(key: string, isAbandoned: (() => boolean) | undefined): Promise<void> {
    return new Promise((start, fail) => {
      const waiting = { isAbandoned, start, fail };
      const queue = this.#queues.get(key);
      if (queue) queue.push(waiting);
      else this.#queues.set(key, [waiting]);
    });
  }

  /**
   * Gives a slot to the work that is next, or frees it. The next begins in another turn of the event loop: an
   * embedded database does each piece within one turn, and requests shall come in between.
   */
  #passOn(): void {
    for (let next = this.#next(); next; next = this.#next()) {
      if (!next.isAbandoned?.()) {
        setImmediate(next.start);
        return;
      }
      next.fail(new AbandonedError());
    }
    this.#underWay -= 1;
  }

  #next(): WaitingWork | undefined {
    const [first] = this.#queues;
    if (!first) return undefined;
    const [key, queue] = first;
    const next = queue.shift();
    this.#queues.delete(key);
    if (queue.length > 0) this.#queues.set(key, queue);
    return next;
  }
}
