/** Limits work at once: a number of organizations, each with one piece of work at a time. */
import { Mutex, Semaphore } from 'async-mutex';

export class OrganizationTurns {
  readonly #slots: Semaphore;
  readonly #queues = new Map<string, Mutex>();

  /** @param workMax the number of organizations that are served at once */
  constructor(workMax: number) {
    this.#slots = new Semaphore(workMax);
  }

  /** Runs work after all work of the organization that waited before. */
  async run<Result>(organizationId: string, work: () => Promise<Result>): Promise<Result> {
    const queue = this.#queues.get(organizationId) ?? new Mutex();
    this.#queues.set(organizationId, queue);
    const leaveQueue = await queue.acquire();
    try {
      return await this.#slots.runExclusive(work);
    } finally {
      leaveQueue();
      if (!queue.isLocked()) this.#queues.delete(organizationId);
    }
  }
}
