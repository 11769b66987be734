/**
 * Units of work and their group commit. Waiting units of work are committed together.
 *
 * 1. Each unit waits in line until a few turns of the event loop have added no other unit. This takes less than a
 *    millisecond on an idle server.
 * 2. A group takes waiting units whose accounts no other group of this process has, up to a number of members and of
 *    rows. Organizations take turns: see WaitingLine. Two groups run at once, so one group is judged while the other
 *    is written.
 * 3. One transaction locks all accounts of the group in ascending order and reads the rows of its idempotency keys.
 *    It does not wait for locks. Units whose accounts another server has locked are set aside, and wait for their
 *    lock in a transaction of their own. Therefore a busy account delays no other account.
 *    Units that perform an order lock the order too. A unit whose server lost the lease of the order is dropped, so a
 *    server that stood still performs no order that another server has taken or that was cancelled.
 * 4. Each unit is judged in its turn on the balance after the unit before it: see GroupLedger.
 * 5. The rows of all units are written in few statements, and one commit makes them durable. Then each unit gets its
 *    answer, and the publisher gets the messages.
 *
 * The outcome is the same as for one unit at a time in the same order. After an error, the next step depends on its
 * cause:
 *
 * - The database rolled the group back in favour of another transaction: the group is run again.
 * - The database refused the group's rows: each member is tried alone, so no member fails because of another member.
 * - The database has no space, or lacks a table or a privilege: each member is tried alone as well. A small member
 *   may fit, and another member may write to other tables.
 * - The database is disconnected or read-only before the commit, or a statement was interrupted: nothing was done,
 *   and the group is run again. After one group has given up, each group has one attempt until the database answers.
 * - The commit itself failed: the outcome is unknown unless the error tells it (transaction.ts). Every member
 *   receives the answer that the outcome is unknown.
 */
import { setTimeout as sleep, setImmediate as turnOfTheLoop } from 'node:timers/promises';
import { UniqueConstraintViolationException } from '@mikro-orm/core';
import type { EntityManager } from '@mikro-orm/sql';
import { E_TIMEOUT, Semaphore, withTimeout } from 'async-mutex';
import type {
  LockedLedger,
  LockRequest,
  UnitOfWork,
} from '../../application/ports/unit-of-work.js';
import { AbandonedError, type DomainError, UnavailableError } from '../../domain/errors.js';
import { rejected } from '../../domain/mutations.js';
import { Account } from '../../entities/account.entity.js';
import { BulkTransfer } from '../../entities/bulk-transfer.entity.js';
import { LedgerEntry } from '../../entities/ledger-entry.entity.js';
import { backoffMs } from '../backoff.js';
import type { Database } from '../database/dialect.js';
import { commit, isOutcomeUnknown, rollBack } from '../database/transaction.js';
import { mayPassSoon, unavailabilityOf } from '../database/unavailability.js';
import { BulkMeter } from '../observability/bulk-meter.js';
import { currentTraceparent } from '../observability/request-scope.js';
import { activeContext, inSpan, linksTo, startSpan } from '../observability/tracing.js';
import type { CommittedMessage, Publisher, Reservation } from '../outbox/outbox.js';
import { type CommitFollower, NO_FOLLOWER } from '../search/indexer.js';
import { lockAccounts, type WhenLocked } from './account-lock.js';
import {
  type EarlierRows,
  GroupLedger,
  type GroupMember,
  type Opening,
  type Outcome,
} from './group-ledger.js';
import { LedgerTables } from './ledger-tables.js';
import { lockOrders } from './order-lock.js';
import type { PendingMember } from './organization-queue.js';
import { accountsOf, busy, WaitingLine } from './waiting-line.js';

/** The largest number of attempts before a client receives an error because of contention. */
const ATTEMPTS_MAX = 20;

/**
 * The number of turns without an arrival that ends the gathering. A client that is accepted in one turn of the event
 * loop joins the line a few turns later.
 */
const QUIET_TURNS = 4;

/** The longest time that a unit of work waits for others to join the line, for any number of arrivals. */
const GATHERING_MAX_MS = 5;

const BACKOFF = { firstMs: 5, maxMs: 250 };

/** The receivers of the commits of groups: the follower takes the changed accounts, and the meter the durations. */
export interface UnitOfWorkHooks {
  readonly follower: CommitFollower;
  readonly meter: BulkMeter;
}

export class MikroOrmUnitOfWork implements UnitOfWork {
  readonly #follower: CommitFollower;
  readonly #meter: BulkMeter;
  readonly #line = new WaitingLine(() => this.#unavailable ?? busy());
  readonly #tables: LedgerTables;
  readonly #takeWhenRoom = () => this.#takeSoon();
  /** The turns of the units of work that wait for a lock that another server has. */
  readonly #lockTurns: Semaphore;
  #groupsUnderWay = 0;
  #isTaking = false;
  /** The error of the last group that gave up because of the database; undefined after a later group succeeded. */
  #unavailable: UnavailableError | undefined;

  constructor(
    private readonly database: Database,
    private readonly lockTimeoutMs: number,
    private readonly publisher: Publisher,
    { follower = NO_FOLLOWER, meter = new BulkMeter() }: Partial<UnitOfWorkHooks> = {},
  ) {
    this.#follower = follower;
    this.#meter = meter;
    this.#lockTurns = new Semaphore(database.lockWaitersMax);
    this.#tables = new LedgerTables(database);
  }

  run<Result>(request: LockRequest, work: (ledger: LockedLedger) => Result): Promise<Result> {
    return new Promise((resolve, reject) => {
      const wait = startSpan('wait');
      this.#line.add({
        request,
        work,
        traceparent: currentTraceparent(),
        joinedAt: performance.now(),
        wait,
        context: activeContext(),
        deadline: Date.now() + this.lockTimeoutMs,
        settle: (outcome) => {
          if (wait.isRecording()) wait.end();
          if ('error' in outcome) reject(outcome.error);
          else resolve(outcome.result as Result);
        },
      });
      this.#takeSoon();
    });
  }

  /** Takes groups as soon as all arrived units stand in line. */
  #takeSoon(): void {
    if (this.#isTaking) return;
    this.#isTaking = true;
    void this.#whileTheyCome().then(() => {
      this.#isTaking = false;
      this.#take();
    });
  }

  /**
   * Waits for turns of the event loop as long as they add units of work. Each turn accepts one connection and reads
   * what earlier connections sent. With a commit after each turn, a hundred new clients would wait for a hundred
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
    while (
      this.#groupsUnderWay < this.database.groupsMax &&
      this.#follower.hasRoom(this.#takeWhenRoom)
    ) {
      const group = this.#line.take();
      if (group.length === 0) return;
      this.#groupsUnderWay += 1;
      for (const member of group) this.#endWait(member);
      void this.#runTogether(group).finally(() => {
        this.#groupsUnderWay -= 1;
        this.#takeSoon();
      });
    }
  }

  #endWait({ joinedAt, wait }: PendingMember): void {
    this.#meter.noteWait(performance.now() - joinedAt);
    wait.end();
  }

  /** Runs a group of any accounts. Members that would wait for a lock are set aside and wait apart. */
  async #runTogether(group: readonly PendingMember[]): Promise<void> {
    const setAside = await this.#runGroup(group, 'skip');
    if (setAside.length > 0) this.#meter.noteLockWaits(setAside.length);
    const byDebtor = Map.groupBy(setAside, ({ request }) => request.accountIds[0]);
    // The accounts are held for each wait before the group releases them.
    for (const members of byDebtor.values()) this.#line.hold(members);
    this.#line.letGo(group);
    for (const members of byDebtor.values()) void this.#waitForLock(members);
  }

  /** Runs the members of one account in a transaction that waits for the account's lock. */
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
   * @returns the members whose accounts another transaction has locked, if the group does not wait for locks
   */
  async #runGroup(
    group: readonly PendingMember[],
    whenLocked: WhenLocked,
    attempt = 1,
  ): Promise<readonly PendingMember[]> {
    let committed: Committed;
    try {
      committed = await this.#traceGroup(group, () => this.#commitTogether(group, whenLocked));
    } catch (error) {
      if (this.database.isContention(error)) {
        return this.#runAgain(group, { whenLocked, attempt, lateError: busy() });
      }
      const reason = error instanceof SharedFailure ? undefined : unavailabilityOf(error);
      const unavailable = reason && new UnavailableError(reason, { cause: error });
      // A full disk stays full for a while, but a smaller group may fit, or write to other tables.
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
    // A group that wrote nothing does not show whether the database accepts writes.
    const isWritable = committed.reservation !== undefined;
    if (isWritable || this.#unavailable?.reason === 'DATABASE_AWAY') this.#unavailable = undefined;
    // The commit stands, even if a receiver of its outcome fails.
    for (const [member, outcome] of committed.outcomes) member.settle(outcome);
    const { messages, reservation, setAside, changedAccountIds } = committed;
    reservation?.take(messages);
    if (isWritable) this.#follower.noteCommit(changedAccountIds, rowCountOf(group));
    return setAside;
  }

  /** Runs each member alone, so that no member fails because of another member. */
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

  /** Runs a group after a pause. Members whose deadline is before the end of the pause receive the error. */
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

  /** Runs a group in a span of the trace of its first member. The span links to the other members. */
  #traceGroup<Result>(
    group: readonly PendingMember[],
    work: () => Promise<Result>,
  ): Promise<Result> {
    const [first, ...others] = group.map(({ context }) => context);
    const options = {
      ...(first && { parent: first }),
      links: linksTo(others),
      attributes: {
        'virement.group.members': group.length,
        'virement.group.rows': rowCountOf(group),
      },
    };
    return inSpan('group commit', options, work);
  }

  async #begin(em: EntityManager): Promise<void> {
    try {
      await em.begin();
    } catch (error) {
      if (this.database.isContention(error) || unavailabilityOf(error) !== undefined) throw error;
      throw new SharedFailure('The transaction could not begin', { cause: error });
    }
  }

  /**
   * Runs a group in one transaction.
   * @throws SharedFailure if the transaction never began; CommitInDoubt if it is unknown whether the transaction was
   *   committed. After any other error the transaction was rolled back
   */
  async #commitTogether(
    group: readonly PendingMember[],
    whenLocked: WhenLocked,
  ): Promise<Committed> {
    const em = this.database.orm.em.fork();
    const { runPhase } = this.#meter;
    await this.#begin(em);
    let committed: Committed;
    let reservation: Reservation | undefined;
    try {
      const { locked, setAside, ledger, isLost } = await runPhase('lock', () =>
        lockGroup(em, group, whenLocked),
      );
      const outcomes = locked.map((member) => {
        const outcome = isLost(member) ? { error: new AbandonedError() } : ledger.judge(member);
        return [member, outcome] as const;
      });
      const { messages, changedAccountIds } = ledger;
      if (ledger.isEmpty) {
        await em.rollback();
        return { outcomes, setAside, messages, changedAccountIds };
      }
      reservation = this.publisher.reserve(messages.length);
      const { lease } = reservation;
      if (lease) for (const { message } of messages) message.lease(lease.holder, lease.end);
      await runPhase('write', async () => {
        await openAccounts(em, ledger.openings);
        await em.flush();
        await this.#tables.append(em, ledger);
      });
      committed = { outcomes, setAside, messages, changedAccountIds, reservation };
    } catch (error) {
      reservation?.cancel();
      await rollBack(em);
      throw error;
    }
    try {
      await runPhase('commit', () => commit(em));
    } catch (error) {
      if (isOutcomeUnknown(error)) {
        throw new CommitInDoubt(reservation, committed.messages, { cause: error });
      }
      reservation.cancel();
      throw error;
    }
    this.#meter.noteCommit(committed.outcomes.length);
    return committed;
  }
}

/** The members of a group whose accounts are locked, the other members, and the ledger of the locked accounts. */
interface LockedGroup {
  readonly locked: readonly PendingMember[];
  readonly setAside: readonly PendingMember[];
  readonly ledger: GroupLedger;
  /** Tells whether a member performs an order without its lease. */
  readonly isLost: (member: PendingMember) => boolean;
}

async function lockGroup(
  em: EntityManager,
  group: readonly PendingMember[],
  whenLocked: WhenLocked,
): Promise<LockedGroup> {
  const accounts = await lockAccounts(em, accountsOf(group), whenLocked);
  const { locked = [], setAside = [] } = Object.groupBy(group, ({ request }) =>
    request.accountIds.every((id) => accounts.has(id)) ? 'locked' : 'setAside',
  );
  const ledger = new GroupLedger(accounts, await readEarlier(em, locked));
  const leases = locked.flatMap(({ request }) => request.orderLease ?? []);
  const orderIds = await lockOrders(em, leases);
  const isLost = ({ request: { orderLease } }: PendingMember) =>
    orderLease !== undefined && !orderIds.has(orderLease.orderId);
  return { locked, setAside, ledger, isLost };
}

/** A failed attempt at a group that may be repeated. */
interface FailedAttempt {
  readonly whenLocked: WhenLocked;
  /** The number of the attempt, 1 for the first attempt. */
  readonly attempt: number;
  /** The error for a member without time for another attempt. */
  readonly lateError: DomainError | UnavailableError;
}

/** The outcome of a group. */
interface Committed {
  readonly outcomes: readonly (readonly [PendingMember, Outcome])[];
  /** The members whose accounts another transaction has locked. Nothing was done for them. */
  readonly setAside: readonly PendingMember[];
  readonly messages: readonly CommittedMessage[];
  /** The accounts that have new ledger entries. */
  readonly changedAccountIds: readonly string[];
  /** The reservation of the messages, if anything was written. */
  readonly reservation?: Reservation;
}

/** A failure of the whole group: no connection, or a commit whose outcome is unknown. */
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

/** Returns the number of transfer rows that a group writes, at most. */
function rowCountOf(group: readonly PendingMember[]): number {
  return group.reduce((sum, { request }) => sum + request.rowCount, 0);
}

/** Reads the rows that already used the keys of a group, with one statement for bulks and one for credits. */
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

/** @throws DomainError ACCOUNT_EXISTS if another transaction used the IBAN meanwhile */
async function openAccounts(em: EntityManager, openings: readonly Opening[]): Promise<void> {
  for (const { account, organization } of openings) {
    try {
      await em.persist(organization ? [organization, account] : account).flush();
    } catch (error) {
      if (!(error instanceof UniqueConstraintViolationException)) throw error;
      const { iban } = account;
      // The reader uses the same connection, because SQLite has no other.
      const reader = em.fork({ clear: true, keepTransactionContext: true });
      const existing = await reader.findOne(Account, { iban });
      if (!existing) throw error;
      throw rejected('openAccount', { code: 'ACCOUNT_EXISTS', accountId: existing.id, iban });
    }
  }
}
