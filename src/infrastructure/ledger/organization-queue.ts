import type { Context, Span } from '../observability/tracing.js';
import type { GroupMember, Outcome } from './group-ledger.js';

/** A unit of work until it is settled. */
export interface PendingMember extends GroupMember {
  /** The time after which the client receives the answer that the account is busy. */
  readonly deadline: number;
  /** The time at which the unit of work joined the line, in milliseconds since the start of the process. */
  readonly joinedAt: number;
  /** The span of its wait in line, which ends when a group takes it or when it is settled. */
  readonly wait: Span;
  /** The context of the request that the unit of work serves. */
  readonly context: Context;
  /** Settles the unit of work with its outcome. Call this once. */
  settle(outcome: Outcome): void;
}

/** A unit of work in the waiting line. */
export interface QueueEntry {
  readonly member: PendingMember;
  readonly timeout: NodeJS.Timeout;
  /** False after the entry has left the waiting line. */
  isWaiting: boolean;
}

/**
 * The waiting units of work of one organization, in order of arrival. Adding and removing take constant time on
 * average.
 */
export class OrganizationQueue {
  /** The entries in order of arrival. Entries that left stay in the list until they are half of the list. */
  #entries: QueueEntry[] = [];
  #memberCount = 0;
  #rowCount = 0;

  /**
   * @param servedAt the number of the organization's last turn; 0 for an organization that was not served recently
   */
  constructor(
    readonly organizationId: string,
    public servedAt: number,
  ) {}

  get memberCount(): number {
    return this.#memberCount;
  }

  get rowCount(): number {
    return this.#rowCount;
  }

  add(entry: QueueEntry): void {
    this.#entries.push(entry);
    this.#memberCount += 1;
    this.#rowCount += entry.member.request.rowCount;
  }

  remove(entry: QueueEntry): void {
    entry.isWaiting = false;
    this.#memberCount -= 1;
    this.#rowCount -= entry.member.request.rowCount;
    if (this.#entries.length > 2 * this.#memberCount) {
      this.#entries = this.#entries.filter(({ isWaiting }) => isWaiting);
    }
  }

  /** Returns the entry that arrived last. */
  newest(): QueueEntry | undefined {
    while (this.#entries.at(-1)?.isWaiting === false) this.#entries.pop();
    return this.#entries.at(-1);
  }

  /** Yields the waiting entries in order of arrival. Entries may be removed during the iteration. */
  *[Symbol.iterator](): Iterator<QueueEntry> {
    for (const entry of this.#entries) if (entry.isWaiting) yield entry;
  }
}
