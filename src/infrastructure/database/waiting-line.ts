import { DomainError } from '../../domain/errors.js';
import type { GroupMember, Outcome } from './group-ledger.js';

/** What one commit may carry: locks are held for some tens of milliseconds at most. */
const GROUP_MEMBERS_MAX = 256;
const GROUP_ROWS_MAX = 10_000;

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
  /** Accounts of those who were taken and are not done. */
  readonly #held = new Set<string>();

  add(member: PendingMember): void {
    const giveUp = () => {
      this.#timeouts.delete(member);
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
      this.#timeouts.delete(member);
      group.push(member);
      rowCount += rows;
    }
    this.hold(group);
    return group;
  }

  hold(group: readonly GroupMember[]): void {
    for (const id of accountsOf(group)) this.#held.add(id);
  }

  /** The accounts of a group are free again. */
  letGo(group: readonly GroupMember[]): void {
    for (const id of accountsOf(group)) this.#held.delete(id);
  }
}

/** Each account that any of them touches, once. */
export function accountsOf(group: readonly GroupMember[]): string[] {
  return [...new Set(group.flatMap(({ request }) => request.accountIds))];
}
