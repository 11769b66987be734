/**
 * Units of work, and their group commit: those that wait are taken together.
 *
 * 1. Each waits in line, until a few turns of the event loop have brought nobody else: less than a
 *    millisecond where nothing else is going on.
 * 2. A group takes those who wait and whose accounts no other group of this process has, up to a number
 *    of members and of rows; organizations take turns: see WaitingLine. Two groups are under way at once,
 *    so that one is judged while the other is written.
 * 3. One transaction locks every account that any of them touches, ascending, and reads what their
 *    idempotency keys stand for. It waits for nobody: those whose accounts another server has locked
 *    are set aside, and wait for their lock in a transaction of their own. So a busy account holds up
 *    no other.
 * 4. Each is judged in its turn on the balance that the one before left: see GroupLedger.
 * 5. The rows of all go out in few statements, one commit makes them durable, each gets its answer, and
 *    the publisher gets the messages.
 *
 * The outcome is that of one at a time in the same order. Where the database gave way to another
 * transaction, the group is run again; where it refused what the group wrote, each member is tried
 * alone, so that none fails for another's sake. So it is where the database has no room, a table or a
 * privilege: a small member may fit, and another may write elsewhere. Where the database is away or read-only before the commit, or a statement was interrupted,
 * nothing was done and the group is run again as well, until one group gave up: from then on until the
 * database answers, each group has one attempt. Where the commit itself failed nobody knows whether it was
 * done, unless its error tells (transaction.ts), and every member is told just that.
 */
import { setTimeout as sleep, setImmediate as turnOfTheLoop } from 'node:timers/promises';
import { UniqueConstraintViolationException } from '@mikro-orm/core';
import type { EntityManager } from '@mikro-orm/sql';
import { E_TIMEOUT, Semaphore, withTimeout } from 'async-mutex';
import type { AccountHead } from '../../application/ports/account-head.js';
import type {
  LockedLedger,
  LockRequest,
  UnitOfWork,
} from '../../application/ports/unit-of-work.js';
import { type DomainError, UnavailableError } from '../../domain/errors.js';
import { rejected } from '../../domain/mutations.js';
import { Account } from '../../entities/account.entity.js';
import { BulkTransfer } from '../../entities/bulk-transfer.entity.js';
import { LedgerEntry } from '../../entities/ledger-entry.entity.js';
import { backoffMs } from '../backoff.js';
import type { Database } from '../database/dialect.js';
import { commit, isOutcomeUnknown, rollBack } from '../database/transaction.js';
import { mayPassSoon, unavailabilityOf } from '../database/unavailability.js';
import { currentTraceparent } from '../observability/request-scope.js';
import {
  type CommittedMessage,
  lastHeads,
  type Publisher,
  type Reservation,
} from '../outbox/outbox.js';
import { lockAccounts, type WhenLocked } from './account-lock.js';
import {
  type EarlierRows,
  GroupLedger,
  type GroupMember,
  type Opening,
  type Outcome,
} from './group-ledger.js';
import { LedgerTables } from './ledger-tables.js';
import type { PendingMember } from './organization-queue.js';
import { accountsOf, busy, WaitingLine } from './waiting-line.js';

/** How often work is run in all before a client hears of contention. */
const ATTEMPTS_MAX = 20;

/** A client that is accepted in one turn of the event loop stands in line some turns later. */
const QUIET_TURNS = 4;

/** However many come, nobody waits longer for others to stand in line. */
const GATHERING_MAX_MS = 5;

const BACKOFF = { firstMs: 5, maxMs: 250 };

export class MikroOrmUnitOfWork implements UnitOfWork {
  readonly #line = new WaitingLine(() => this.#unavailable ?? busy());
  readonly #tables: LedgerTables;
  /** Of those who wait for a lock that another server has. */
  readonly #lockTurns: Semaphore;
  #groupsUnderWay = 0;
  #isTaking = false;
  /** What the last group came to that gave up because of the database; undefined since one succeeded. */
  #unavailable: UnavailableError | undefined;

  constructor(
    private readonly database: Database,
    private readonly lockTimeoutMs: number,
    private readonly publisher: Publisher,
    /** Hears which accounts have something new. Never throws. */
    private readonly onCommit: (heads: readonly AccountHead[]) => void = () => {},
  ) {
    this.#lockTurns = new Semaphore(database.lockWaitersMax);
    this.#tables = new LedgerTables(database);
  }

  run<Result>(request: LockRequest, work: (ledger: LockedLedger) => Result): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#line.add({
        request,
        work,
        traceparent: currentTraceparent(),
        deadline: Date.now() + this.lockTimeoutMs,
        settle: (outcome) => {
          if ('error' in outcome) reject(outcome.error);
          else resolve(outcome.result as Result);
        },
      });
      this.#takeSoon();
    });
  }

  /** Once all who have come stand in line. */
  #takeSoon(): void {
    if (this.#isTaking) return;
    this.#isTaking = true;
    void this.#whileTheyCome().then(() => {
      this.#isTaking = false;
      this.#take();
    });
  }

  /**
   * Turns of the event loop, as long as they bring someone. Each accepts one connection, and reads what
   * those before it sent: were each followed by a commit, a hundred new clients would wait for a hundred
   * commits.
   */
  async #whileTheyCome(): Promise<void> {
    const startedAt = performance.now();
    let turnsWithNobody = 0;
    while (turnsWithNobody < QUIET_TURNS && performance.now() - startedAt < GATHERING_MAX_MS) {
      const { arrivals } = this.#line;
      await turnOfTheLoop();
      turnsWithNobody = this.#line.arrivals === arrivals ? turnsWithNobody + 1 : 0;
    }
  }

  #take(): void {
    while (this.#groupsUnderWay < this.database.groupsMax) {
      const group = this.#line.take();
      if (group.length === 0) return;
      this.#groupsUnderWay += 1;
      void this.#runTogether(group).finally(() => {
        this.#groupsUnderWay -= 1;
        this.#takeSoon();
      });
    }
  }

  /** Runs a group of any accounts; who would have to wait for a lock does so aside. */
  async #runTogether(group: readonly PendingMember[]): Promise<void> {
    const setAside = await this.#runGroup(group, 'skip');
    const byDebtor = Map.groupBy(setAside, ({ request }) => request.accountIds[0]);
    // Held on, each for its own wait, before the group lets go.
    for (const members of byDebtor.values()) this.#line.hold(members);
    this.#line.letGo(group);
    for (const members of byDebtor.values()) void this.#waitForLock(members);
  }

  /** Those of one account, in a transaction that waits for the account's lock. */
  async #waitForLock(members: readonly PendingMember[]): Promise<void> {
    const leftMs = Math.max(...members.map(({ deadline }) => deadline)) - Date.now();
    try {
      await withTimeout(this.#lockTurns, Math.max(leftMs, 1)).runExclusive(() =>
        this.#runGroup(members, 'wait'),
      );
    } catch (error) {
      const cause = error === E_TIMEOUT ? (this.#unavailable ?? busy()) : error;
      for (const member of members) member.settle({ error: cause });
    } finally {
      this.#line.letGo(members);
      this.#takeSoon();
    }
  }

  /**
   * Runs a group until each member has its outcome.
   * @returns those whose accounts are locked by another, where it does not wait
   */
  async #runGroup(
    group: readonly PendingMember[],
    whenLocked: WhenLocked,
    attempt = 1,
  ): Promise<readonly PendingMember[]> {
    let committed: Committed;
    try {
      committed = await this.#commitTogether(group, whenLocked);
    } catch (error) {
      if (this.database.isContention(error)) {
        return this.#runAgain(group, { whenLocked, attempt, lateError: busy() });
      }
      const reason = error instanceof SharedFailure ? undefined : unavailabilityOf(error);
      const unavailable = reason && new UnavailableError(reason, { cause: error });
      // No disk has room again in a moment; a smaller group may fit, or write to other tables.
      if (unavailable && mayPassSoon(reason)) {
        return this.#runAgain(group, { whenLocked, attempt, lateError: unavailable });
      }
      if (group.length > 1 && !(error instanceof SharedFailure)) {
        return this.#runEachAlone(group, whenLocked);
      }
      const cause = error instanceof SharedFailure ? error.cause : (unavailable ?? error);
      for (const member of group) member.settle({ error: cause });
      if (error instanceof CommitInDoubt) await error.reservation.doubt(error.messages);
      return [];
    }
    // A group that wrote nothing says nothing of a server that is read-only.
    const isWritable = committed.reservation !== undefined;
    if (isWritable || this.#unavailable?.reason === 'DATABASE_AWAY') this.#unavailable = undefined;
    // What is committed stands, whatever those who hear of it do.
    for (const [member, outcome] of committed.outcomes) member.settle(outcome);
    const { messages, reservation, setAside } = committed;
    reservation?.take(messages);
    this.onCommit(lastHeads(messages.flatMap(({ heads }) => heads)));
    return setAside;
  }

  /** So that none fails for another's sake. */
  async #runEachAlone(
    group: readonly PendingMember[],
    whenLocked: WhenLocked,
  ): Promise<readonly PendingMember[]> {
    const setAside: PendingMember[] = [];
    for (const member of group) {
      if (member.deadline < Date.now()) member.settle({ error: this.#unavailable ?? busy() });
      else setAside.push(...(await this.#runGroup([member], whenLocked)));
    }
    return setAside;
  }

  /** Runs a group after a pause. Members that would be late by then are told why. */
  async #runAgain(
    group: readonly PendingMember[],
    { whenLocked, attempt, lateError }: FailedAttempt,
  ): Promise<readonly PendingMember[]> {
    const pauseMs = backoffMs(attempt, BACKOFF);
    const again = Date.now() + pauseMs;
    const isUnavailable = lateError instanceof UnavailableError;
    const attemptsMax = isUnavailable && this.#unavailable ? 1 : ATTEMPTS_MAX;
    const inTime = group.filter((member) => attempt < attemptsMax && member.deadline > again);
    for (const member of group) if (!inTime.includes(member)) member.settle({ error: lateError });
    if (inTime.length === 0) {
      if (isUnavailable) this.#unavailable = lateError;
      return [];
    }
    await sleep(pauseMs);
    return this.#runGroup(inTime, whenLocked, attempt + 1);
  }

  async #begin(em: EntityManager): Promise<void> {
    try {
      await em.begin();
    } catch (error) {
      if (this.database.isContention(error) || unavailabilityOf(error) !== undefined) throw error;
      throw new SharedFailure('No transaction could be begun', { cause: error });
    }
  }

  /**
   * One transaction.
   * @throws SharedFailure where it never began; CommitInDoubt where it is unknown whether it was committed;
   *   anything else was rolled back
   */
  async #commitTogether(
    group: readonly PendingMember[],
    whenLocked: WhenLocked,
  ): Promise<Committed> {
    const em = this.database.orm.em.fork();
    await this.#begin(em);
    let committed: Committed;
    let reservation: Reservation | undefined;
    try {
      const accounts = await lockAccounts(em, accountsOf(group), whenLocked);
      const { isLocked = [], isSetAside = [] } = Object.groupBy(group, ({ request }) =>
        request.accountIds.every((id) => accounts.has(id)) ? 'isLocked' : 'isSetAside',
      );
      const ledger = new GroupLedger(accounts, await readEarlier(em, isLocked));
      const outcomes = isLocked.map((member) => [member, ledger.judge(member)] as const);
      const { messages } = ledger;
      if (ledger.isEmpty) {
        await em.rollback();
        return { outcomes, setAside: isSetAside, messages };
      }
      reservation = this.publisher.reserve(messages.length);
      const { lease } = reservation;
      if (lease) for (const { message } of messages) message.lease(lease.holder, lease.end);
      await openAccounts(em, ledger.openings);
      await em.flush();
      await this.#tables.append(em, ledger);
      committed = { outcomes, setAside: isSetAside, messages, reservation };
    } catch (error) {
      reservation?.cancel();
      await rollBack(em);
      throw error;
    }
    try {
      await commit(em);
    } catch (error) {
      if (isOutcomeUnknown(error)) {
        throw new CommitInDoubt(reservation, committed.messages, { cause: error });
      }
      reservation.cancel();
      throw error;
    }
    return committed;
  }
}

/** How an attempt at a group ended that may be made again. */
interface FailedAttempt {
  readonly whenLocked: WhenLocked;
  /** 1 for the first one. */
  readonly attempt: number;
  /** What a member is told that has no time for another. */
  readonly lateError: DomainError | UnavailableError;
}

/** What a group came to. */
interface Committed {
  readonly outcomes: readonly (readonly [PendingMember, Outcome])[];
  /** Those whose accounts another has locked: nothing was done for them. */
  readonly setAside: readonly PendingMember[];
  readonly messages: readonly CommittedMessage[];
  /** Of the messages, where anything was written. */
  readonly reservation?: Reservation;
}

/** What failed is the whole group's: there was no connection, or whether it was committed is unknown. */
class SharedFailure extends Error {}

class CommitInDoubt extends SharedFailure {
  constructor(
    readonly reservation: Reservation,
    readonly messages: readonly CommittedMessage[],
    options: ErrorOptions,
  ) {
    super('The commit failed', options);
  }
}

/** What the keys of a group stand for already: one statement for bulks, one for credits. */
async function readEarlier(em: EntityManager, group: readonly GroupMember[]): Promise<EarlierRows> {
  const whereOf = (name: 'bulkTransferKey' | 'creditKey') => {
    const withKey = group.filter(({ request }) => request[name] !== undefined);
    const byAccount = Map.groupBy(withKey, ({ request }) => request.accountIds[0] ?? '');
    return [...byAccount].map(([accountId, members]) => ({
      accountId,
      idempotencyKey: { $in: members.flatMap(({ request }) => request[name] ?? []) },
    }));
  };
  const bulks = whereOf('bulkTransferKey');
  const credits = whereOf('creditKey');
  return {
    bulkTransfers: bulks.length === 0 ? [] : await em.find(BulkTransfer, { $or: bulks }),
    credits: credits.length === 0 ? [] : await em.find(LedgerEntry, { $or: credits }),
  };
}

/** @throws DomainError ACCOUNT_EXISTS where another took the IBAN meanwhile */
async function openAccounts(em: EntityManager, openings: readonly Opening[]): Promise<void> {
  for (const { account, organization } of openings) {
    try {
      await em.persist(organization ? [organization, account] : account).flush();
    } catch (error) {
      if (!(error instanceof UniqueConstraintViolationException)) throw error;
      const { iban } = account;
      // On the same connection: SQLite has no other.
      const reader = em.fork({ clear: true, keepTransactionContext: true });
      const existing = await reader.findOneOrFail(Account, { iban });
      throw rejected('openAccount', { code: 'ACCOUNT_EXISTS', accountId: existing.id, iban });
    }
  }
}
