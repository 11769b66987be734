import { DomainError } from '../../domain/errors.js';
import type { GroupMember, Outcome } from './group-ledger.js';

/** What one commit may carry: a lock is held for some tens of milliseconds at most. */
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

/** Those who wait for one account, in the order in which they came, each until its deadline. */
export class AccountQueue {
  readonly #timeouts = new Map<PendingMember, NodeJS.Timeout>();

  get isEmpty(): boolean {
    return this.#timeouts.size === 0;
  }

  add(member: PendingMember): void {
    const giveUp = () => {
      this.#timeouts.delete(member);
      member.settle({ error: busy() });
    };
    this.#timeouts.set(member, setTimeout(giveUp, Math.max(member.deadline - Date.now(), 1)));
  }

  /** Takes the first who wait: at least one where there is any, and as many as one commit may carry. */
  take(): PendingMember[] {
    const group: PendingMember[] = [];
    let rowCount = 0;
    for (const [member, timeout] of this.#timeouts) {
      rowCount += member.request.rowCount;
      const isFull = group.length === GROUP_MEMBERS_MAX || rowCount > GROUP_ROWS_MAX;
      if (isFull && group.length > 0) break;
      clearTimeout(timeout);
      this.#timeouts.delete(member);
      group.push(member);
    }
    return group;
  }
}
