import { DomainError } from '../../domain/errors.js';
import type { GroupMember, Outcome } from './group-ledger.js';

/** What one commit may carry: locks are held for some tens of milliseconds at most. */
export const GROUP_MEMBERS_MAX = 256;
const GROUP_ROWS_MAX = 10_000;

/** What may wait: some 100 MB of rows at most. */
const WAITING_MEMBERS_MAX = 2_000;
const WAITING_ROWS_MAX = 200_000;

/** A unit of work, until it is settled. */
export interface PendingMember extends GroupMember {
  /** After which its client is told that the account is busy. */
  readonly deadline: number;
  /** To be called once. */
  settle(outcome: Outcome): void;
}

export function busy(): DomainError {
  return new DomainError({ code: 'ACCOUNT_BUSY' });
}

/**
 * Those who wait, in the order in which they came, each until its deadline. For one account they are
 * served in that order; one whose accounts are free does not wait for one whose accounts are not.
 */
export class WaitingLine {
  readonly #timeouts = new Map<PendingMember, NodeJS.Timeout>();
  #waitingRows = 0;
  #arrivals = 0;
  /** Accounts of those who were taken and are not done, and of how many groups. */
  readonly #held = new Map<string, number>();

  /** How many have come so far. */
  get arrivals(): number {
    return this.#arrivals;
  }

  /** Whether no more may wait: they would hold memory for what comes too late anyway. */
  get isFull(): boolean {
    return this.#timeouts.size >= WAITING_MEMBERS_MAX || this.#waitingRows >= WAITING_ROWS_MAX;
  }

  add(member: PendingMember): void {
    this.#arrivals += 1;
    this.#waitingRows += member.request.rowCount;
    const giveUp = () => {
      this.#remove(member);
      member.settle({ error: busy() });
    };
    this.#timeouts.set(member, setTimeout(giveUp, Math.max(member.deadline - Date.now(), 1)));
  }

  /**
   * Takes the first whose accounts are free, as many as one commit may carry; their accounts are held
   * until they are let go of.
   */
  take(): PendingMember[] {
    const group: PendingMember[] = [];
    const wanted = new Set<string>();
    let rowCount = 0;
    for (const [member, timeout] of this.#timeouts) {
      const { accountIds, rowCount: rows } = member.request;
      const isFull = group.length === GROUP_MEMBERS_MAX || rowCount + rows > GROUP_ROWS_MAX;
      if (isFull && group.length > 0) break;
      if (accountIds.some((id) => this.#held.has(id) || wanted.has(id))) {
        // Whoever comes later for one of these does not overtake it.
        for (const id of accountIds) wanted.add(id);
        continue;
      }
      clearTimeout(timeout);
      this.#remove(member);
      group.push(member);
      rowCount += rows;
    }
    this.hold(group);
    return group;
  }

  #remove(member: PendingMember): void {
    this.#timeouts.delete(member);
    this.#waitingRows -= member.request.rowCount;
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
}

/** Each account that any of them touches, once. */
export function accountsOf(group: readonly GroupMember[]): string[] {
  return [...new Set(group.flatMap(({ request }) => request.accountIds))];
}
