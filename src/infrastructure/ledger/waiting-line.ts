/**
 * The units of work that wait for a group commit. Every organization has a queue of its own, and the
 * organizations take turns, so one organization's load delays another by one group at most.
 *
 * Turns. The least recently served organization comes first; the first one with a member whose accounts
 * are free leads the group. Where no other organization waits, the leader fills the group. Otherwise the
 * group is shared: each organization first contributes up to its share of members and rows, then the room
 * that is left is filled in the same order. A shared group is small in rows. A large member is therefore
 * only taken when its organization leads, in a group of that organization alone: a small bulk never has to
 * be written together with somebody else's large one.
 *
 * Order. One account's units of work keep their order within an organization. Whoever waits for an account
 * is not overtaken by members that are examined later. An organization that was not served, or whose next
 * member is large, keeps its place in front, so it leads soon.
 *
 * Capacity. One organization may use the whole line. When the line is full, the organization that waits
 * with most gives up its newest member for an organization that waits with less.
 */
import { LRUCache } from 'lru-cache';
import { AbandonedError, DomainError } from '../../domain/errors.js';
import type { GroupMember } from './group-ledger.js';
import { OrganizationQueue, type PendingMember, type QueueEntry } from './organization-queue.js';

/** What one commit may carry: locks are held for some tens of milliseconds at most. */
export const GROUP_MEMBERS_MAX = 256;
const GROUP_ROWS_MAX = 10_000;

/**
 * Rows of a group that several organizations share; a member with more rows is large. Writing them takes
 * some 20 ms, beside which the cost of one more commit is small.
 */
const SHARED_GROUP_ROWS_MAX = 1_000;

/** What may wait: some 100 MB of rows at most. */
export const WAITING_MEMBERS_MAX = 2_000;
export const WAITING_ROWS_MAX = 200_000;

/** Organizations whose last turn is kept; one that was evicted counts as never served. */
const TURNS_REMEMBERED_MAX = 1_000;

export function busy(): DomainError {
  return new DomainError({ code: 'ACCOUNT_BUSY' });
}

/** The line of units of work that wait to be taken into a group; the file's head says who comes when. */
export class WaitingLine {
  /** Queues of the organizations that have members waiting. */
  readonly #queues = new Map<string, OrganizationQueue>();
  /** The number of each organization's last turn. */
  readonly #servedAt = new LRUCache<string, number>({ max: TURNS_REMEMBERED_MAX });
  #turnCount = 0;
  #memberCount = 0;
  #rowCount = 0;
  #arrivals = 0;
  /** Accounts of those who were taken and are not done, and of how many groups. */
  readonly #held = new Map<string, number>();

  /** @param lateError what a member is told whose time is over before its turn came */
  constructor(private readonly lateError: () => Error = busy) {}

  /** How many have come so far. */
  get arrivals(): number {
    return this.#arrivals;
  }

  /** Adds a unit of work. Where there is no room for it, settles it, or another one, as busy. */
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
   * Takes the members of the next group; their accounts are held until they are let go of. An abandoned
   * member that comes up is settled, and not taken.
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

  /** The accounts of a group are free again. */
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
   * Makes room at the expense of the organization that waits with most.
   * @returns false where the newcomer's own organization is that one
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

  /** The turns of the organizations that have a member to take, the least recently served first. */
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

  /** Yields the entries whose accounts are free, and nobody's who was examined before. */
  *#freeEntries(queue: OrganizationQueue, wanted: Set<string>): Generator<QueueEntry, undefined> {
    for (const entry of queue) {
      const { accountIds, isAbandoned } = entry.member.request;
      if (isAbandoned?.()) {
        this.#refuse(queue, entry, new AbandonedError());
      } else if (accountIds.some((id) => this.#held.has(id) || wanted.has(id))) {
        // Whoever comes later for one of these does not overtake it.
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

  /** The member that is taken next; undefined where there is none. */
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

/** A group of one organization. Its first member is taken whatever its rows. */
function takeOf(turn: Turn): PendingMember[] {
  const group: PendingMember[] = [];
  while (turn.next && group.length < GROUP_MEMBERS_MAX) {
    const isTooMuch = turn.rowCount + turn.next.request.rowCount > GROUP_ROWS_MAX;
    if (isTooMuch && group.length > 0) break;
    group.push(...turn.takeNext());
  }
  return group;
}

/** A group of several organizations: each contributes its share, then the group is filled in their order. */
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

/** Each account that any of them touches, once. */
export function accountsOf(group: readonly GroupMember[]): string[] {
  return [...new Set(group.flatMap(({ request }) => request.accountIds))];
}
