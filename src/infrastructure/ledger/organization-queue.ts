import type { GroupMember, Outcome } from './group-ledger.js';

/** A unit of work, until it is settled. */
export interface PendingMember extends GroupMember {
  /** After which its client is told that the account is busy. */
  readonly deadline: number;
  /** To be called once. */
  settle(outcome: Outcome): void;
}

/** A unit of work in the line. */
export interface QueueEntry {
  readonly member: PendingMember;
  readonly timeout: NodeJS.Timeout;
  /** False once it has left the line. */
  isWaiting: boolean;
}

/** The waiting units of work of one organization, first come first. Adding and removing take constant time on average. */
export class OrganizationQueue {
  /** In order of arrival. Entries that left stay until they are half of the list. */
  #entries: QueueEntry[] = [];
  #memberCount = 0;
  #rowCount = 0;

  /** @param servedAt number of the organization's last service; 0 for one that was not served lately */
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

  /** The entry that came last. */
  newest(): QueueEntry | undefined {
    while (this.#entries.at(-1)?.isWaiting === false) this.#entries.pop();
    return this.#entries.at(-1);
  }

  /** Yields the waiting entries, first come first; entries may be removed meanwhile. */
  *[Symbol.iterator](): Iterator<QueueEntry> {
    for (const entry of this.#entries) if (entry.isWaiting) yield entry;
  }
}
