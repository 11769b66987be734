/**
 * The units of work that wait for a group commit. Every organization has its own queue. The organizations take turns,
 * so one organization's load delays another organization by one group at most.
 *
 * Turns. The least recently served organization comes first. The first organization with a member whose accounts are
 * free leads the group. If no other organization waits, the leader fills the group. Otherwise the group is shared.
 * Each organization first contributes up to its share of members and rows. Then the remaining room is filled in the
 * same order. A shared group has few rows. A large member is therefore only taken when its organization leads, in a
 * group of that organization alone. A small bulk is never written together with a large bulk of another organization.
 *
 * Order. The units of work of one account keep their order within an organization. A unit that waits for an account
 * is not overtaken by members that are examined later. An organization that was not served, or whose next member is
 * large, keeps its place in front, so it leads soon.
 *
 * Capacity. One organization may use the whole line. When the line is full, the organization with the most waiting
 * work gives up its newest member for an organization with less.
 */
import { LRUCache } from 'lru-cache';
import { AbandonedError, DomainError } from '../../domain/errors.js';
import type { GroupMember } from './group-ledger.js';
import { OrganizationQueue, type PendingMember, type QueueEntry } from './organization-queue.js';

/** The limits of one commit, in members and rows. They limit the time of its locks to a few tens of milliseconds. */
export const GROUP_MEMBERS_MAX = 256;
const GROUP_ROWS_MAX = 10_000;

/**
 * The largest number of rows in a group that several organizations share; a member with more rows is large. Writing
 * these rows takes about 20 ms. The cost of one more commit is small in comparison.
 */
const SHARED_GROUP_ROWS_MAX = 1_000;

/** The limits of the waiting line, in members and rows. The rows take about 100 MB at most. */
export const WAITING_MEMBERS_MAX = 2_000;
export const WAITING_ROWS_MAX = 200_000;

/** The number of organizations whose last turn is remembered. An evicted organization counts as never served. */
const TURNS_REMEMBERED_MAX = 1_000;

export function busy(): DomainError {
  return new DomainError({ code: 'ACCOUNT_BUSY' });
}

/** The line of units of work that wait for a group. The contract at the top of this file defines their order. */
export class WaitingLine {
  /** The queues of the organizations that have waiting members. */
  readonly #queues = new Map<string, OrganizationQueue>();
  /** The number of each organization's last turn. */
  readonly #servedAt = new LRUCache<string, number>({ max: TURNS_REMEMBERED_MAX });
  #turnCount = 0;
  #memberCount = 0;
  #rowCount = 0;
  #arrivals = 0;
  /** The accounts of taken members that are not done, with the number of groups that hold each account. */
  readonly #held = new Map<string, number>();

  /** @param lateError makes the error for a member whose deadline passes before its turn */
  constructor(private readonly lateError: () => Error = busy) {}

  /** The number of arrivals so far. */
  get arrivals(): number {
    return this.#arrivals;
  }

  /** Adds a unit of work. If the line is full, this unit or another unit is settled as busy. */
  add(member: PendingMember): void {
    this.#arrivals += 1;
    const { organizationId } = member.request;
    if (!this.#makeRoomFor(organizationId)) {
      member.settle({ error: busy() });
      return;
    }
    const queue = this.#queueOf(organizationId);
    const entry: QueueEntry = {
      member,
      timeout: setTimeout(
        () => this.#refuse(queue, entry, this.lateError()),
        Math.max(member.deadline - Date.now(), 1),
      ),
      isWaiting: true,
    };
    queue.add(entry);
    this.#memberCount += 1;
    this.#rowCount += member.request.rowCount;
  }

  /**
   * Takes the members of the next group, and holds their accounts until letGo. An abandoned member is settled instead
   * of taken.
   */
  take(): PendingMember[] {
    const turns = this.#openTurns();
    const [leader, ...others] = turns;
    if (!leader) return [];
    const isAlone = others.length === 0 || isLarge(leader.next);
    const group = isAlone ? takeOf(leader) : takeShared(leader, turns);
    for (const turn of [...others, leader]) {
      const isOwedALead = turn !== leader && isLarge(turn.next);
      if (turn.memberCount > 0 && !isOwedALead) this.#noteTurn(turn.queue);
    }
    this.hold(group);
    return group;
  }

  hold(group: readonly GroupMember[]): void {
    for (const id of accountsOf(group)) this.#held.set(id, (this.#held.get(id) ?? 0) + 1);
  }

  /** Frees the accounts of a group. */
  letGo(group: readonly GroupMember[]): void {
    for (const id of accountsOf(group)) {
      const others = (this.#held.get(id) ?? 0) - 1;
      if (others > 0) this.#held.set(id, others);
      else this.#held.delete(id);
    }
  }

  #queueOf(organizationId: string): OrganizationQueue {
    const known = this.#queues.get(organizationId);
    if (known) return known;
    const servedAt = this.#servedAt.get(organizationId) ?? 0;
    const queue = new OrganizationQueue(organizationId, servedAt);
    this.#queues.set(organizationId, queue);
    return queue;
  }

  /**
   * Makes room by removing the newest members of the organization with the most waiting work.
   * @returns false if no organization has more waiting work than the organization of the new member
   */
  #makeRoomFor(organizationId: string): boolean {
    for (;;) {
      const hasMembersMax = this.#memberCount >= WAITING_MEMBERS_MAX;
      if (!hasMembersMax && this.#rowCount < WAITING_ROWS_MAX) return true;
      const amountOf = (queue: OrganizationQueue | undefined) =>
        (hasMembersMax ? queue?.memberCount : queue?.rowCount) ?? 0;
      let longest: OrganizationQueue | undefined;
      for (const queue of this.#queues.values()) {
        if (amountOf(queue) > amountOf(longest)) longest = queue;
      }
      const newest = longest?.newest();
      const isOwn = amountOf(this.#queues.get(organizationId)) >= amountOf(longest);
      if (!longest || !newest || isOwn) return false;
      this.#refuse(longest, newest, busy());
    }
  }

  #refuse(queue: OrganizationQueue, entry: QueueEntry, error: Error): void {
    this.#remove(queue, entry);
    entry.member.settle({ error });
  }

  #remove(queue: OrganizationQueue, entry: QueueEntry): void {
    clearTimeout(entry.timeout);
    queue.remove(entry);
    this.#memberCount -= 1;
    this.#rowCount -= entry.member.request.rowCount;
    if (queue.memberCount === 0) this.#queues.delete(queue.organizationId);
  }

  /** Returns the turns of the organizations with a member to take, the least recently served organization first. */
  #openTurns(): Turn[] {
    const wanted = new Set<string>();
    const queues = [...this.#queues.values()].sort((one, other) => one.servedAt - other.servedAt);
    return queues
      .map((queue) => new Turn(queue, this.#freeEntries(queue, wanted), this.#removal(queue)))
      .filter(({ next }) => next !== undefined);
  }

  #removal(queue: OrganizationQueue): (entry: QueueEntry) => void {
    return (entry) => this.#remove(queue, entry);
  }

  /** Yields the entries whose accounts are free and are not wanted by an entry that was examined before. */
  *#freeEntries(queue: OrganizationQueue, wanted: Set<string>): Generator<QueueEntry, undefined> {
    for (const entry of queue) {
      const { accountIds, isAbandoned } = entry.member.request;
      if (isAbandoned?.()) {
        this.#refuse(queue, entry, new AbandonedError());
      } else if (accountIds.some((id) => this.#held.has(id) || wanted.has(id))) {
        // Later entries for one of these accounts do not overtake this entry.
        for (const id of accountIds) wanted.add(id);
      } else {
        yield entry;
      }
    }
    return undefined;
  }

  #noteTurn(queue: OrganizationQueue): void {
    const { organizationId } = queue;
    this.#turnCount += 1;
    queue.servedAt = this.#turnCount;
    this.#servedAt.set(organizationId, this.#turnCount);
  }
}

/** The share that one organization contributes to one group. */
class Turn {
  memberCount = 0;
  rowCount = 0;
  #next: QueueEntry | undefined;

  constructor(
    readonly queue: OrganizationQueue,
    private readonly entries: Generator<QueueEntry, undefined>,
    private readonly remove: (entry: QueueEntry) => void,
  ) {
    this.#next = entries.next().value;
  }

  /** The member that is taken next; undefined if there is none. */
  get next(): PendingMember | undefined {
    return this.#next?.member;
  }

  takeNext(): PendingMember[] {
    const entry = this.#next;
    if (!entry) return [];
    this.remove(entry);
    this.memberCount += 1;
    this.rowCount += entry.member.request.rowCount;
    this.#next = this.entries.next().value;
    return [entry.member];
  }
}

function isLarge(member: PendingMember | undefined): boolean {
  return member !== undefined && member.request.rowCount > SHARED_GROUP_ROWS_MAX;
}

/** Takes a group of one organization. Its first member is taken for any number of rows. */
function takeOf(turn: Turn): PendingMember[] {
  const group: PendingMember[] = [];
  while (turn.next && group.length < GROUP_MEMBERS_MAX) {
    const isTooMuch = turn.rowCount + turn.next.request.rowCount > GROUP_ROWS_MAX;
    if (isTooMuch && group.length > 0) break;
    group.push(...turn.takeNext());
  }
  return group;
}

/**
 * Takes a group of several organizations. Each organization contributes its share, then the group is filled in the
 * order of the organizations.
 */
function takeShared(leader: Turn, turns: readonly Turn[]): PendingMember[] {
  const group: PendingMember[] = [];
  const membersShare = Math.max(Math.floor(GROUP_MEMBERS_MAX / turns.length), 1);
  const rowsShare = Math.max(Math.floor(SHARED_GROUP_ROWS_MAX / turns.length), 1);
  let rowCount = 0;
  const takeWhile = (turn: Turn, isWithin: (rows: number) => boolean) => {
    while (turn.next && group.length < GROUP_MEMBERS_MAX) {
      const rows = turn.next.request.rowCount;
      if (rowCount + rows > SHARED_GROUP_ROWS_MAX || !isWithin(rows)) return;
      rowCount += rows;
      group.push(...turn.takeNext());
    }
  };
  for (const turn of turns) {
    takeWhile(turn, (rows) => {
      const isLeadersFirst = turn === leader && turn.memberCount === 0;
      const isWithinShare = turn.memberCount < membersShare && turn.rowCount + rows <= rowsShare;
      return isLeadersFirst || isWithinShare;
    });
  }
  for (const turn of turns) takeWhile(turn, () => true);
  return group;
}

/** Returns the accounts of all members, without duplicates. */
export function accountsOf(group: readonly GroupMember[]): string[] {
  return [...new Set(group.flatMap(({ request }) => request.accountIds))];
}
