/**
 * Units of work, and their group commit: those that wait for one account are taken together.
 *
 * 1. Each waits in the queue of its first account, the debtor, in the order in which it came. One that
 *    finds nobody before it begins at once: nothing ever waits for company.
 * 2. The queue takes one of the database's turns, in order with those of other accounts, and then all
 *    who wait in it, up to a number of members and of rows. So a busy account holds up no other.
 * 3. One transaction locks every account that any of them touches, ascending, and reads what their
 *    idempotency keys stand for.
 * 4. Each is judged in its turn on the balance that the one before left: see GroupLedger.
 * 5. The rows of all go out in few statements, one commit makes them durable, and each gets its answer.
 *
 * The outcome is that of one at a time in the same order. Where the database gave way to another
 * transaction, the group is run again; where it refused what the group wrote, each member is tried
 * alone, so that none fails for another's sake. Where the commit itself failed nobody knows whether it
 * was done, and every member is told just that.
 */
import { setImmediate as nextTick, setTimeout as sleep } from 'node:timers/promises';
import { UniqueConstraintViolationException } from '@mikro-orm/core';
import type { EntityManager } from '@mikro-orm/sql';
import { Semaphore } from 'async-mutex';
import type {
  AccountHead,
  LockedLedger,
  LockRequest,
  UnitOfWork,
} from '../../application/ports.js';
import { DomainError } from '../../domain/errors.js';
import { Account } from '../../entities/account.entity.js';
import { BulkTransfer } from '../../entities/bulk-transfer.entity.js';
import { LedgerEntry } from '../../entities/ledger-entry.entity.js';
import { backoffMs } from '../backoff.js';
import { currentTraceparent } from '../observability/trace-context.js';
import { lockAccounts } from './account-lock.js';
import { AccountQueue, busy, type PendingMember } from './account-queue.js';
import type { Database } from './dialect.js';
import {
  type EarlierRows,
  GroupLedger,
  type GroupMember,
  type Opening,
  type Outcome,
} from './group-ledger.js';
import { LedgerTables } from './ledger-tables.js';

/** How often work is run in all before a client hears of contention. */
const ATTEMPTS_MAX = 20;

const BACKOFF = { firstMs: 5, maxMs: 250 };

/** Units of work that wait their turn; more are told at once that the server is busy. */
const WAITING_MAX = 10_000;

export class MikroOrmUnitOfWork implements UnitOfWork {
  readonly #turns: Semaphore;
  /** By the account that is locked first; one for each where there is none. */
  readonly #queues = new Map<string | symbol, AccountQueue>();
  readonly #tables: LedgerTables;
  #waiting = 0;

  constructor(
    private readonly database: Database,
    private readonly lockTimeoutMs: number,
    /** Hears which accounts have something new, and that the outbox has. */
    private readonly onCommit: (heads: readonly AccountHead[]) => void = () => {},
  ) {
    this.#turns = new Semaphore(database.writersMax);
    this.#tables = new LedgerTables(database);
  }

  run<Result>(request: LockRequest, work: (ledger: LockedLedger) => Result): Promise<Result> {
    if (this.#waiting >= WAITING_MAX) return Promise.reject(busy());
    this.#waiting += 1;
    return new Promise((resolve, reject) => {
      this.#enqueue({
        request,
        work,
        traceparent: currentTraceparent(),
        deadline: Date.now() + this.lockTimeoutMs,
        settle: (outcome) => {
          this.#waiting -= 1;
          if ('error' in outcome) reject(outcome.error);
          else resolve(outcome.result as Result);
        },
      });
    });
  }

  #enqueue(member: PendingMember): void {
    const key = member.request.accountIds[0] ?? Symbol('an account that is opened');
    const known = this.#queues.get(key);
    const queue = known ?? new AccountQueue();
    queue.add(member);
    if (known) return;
    this.#queues.set(key, queue);
    void this.#drain(key, queue);
  }

  async #drain(key: string | symbol, queue: AccountQueue): Promise<void> {
    while (!queue.isEmpty) {
      await this.#turns.runExclusive(async () => {
        // A driver that holds the event loop has kept out those who came meanwhile.
        if (this.database.holdsEventLoop) await nextTick();
        await this.#runGroup(queue.take(), 1);
      });
    }
    this.#queues.delete(key);
  }

  /** Runs a group until each member has its outcome. */
  async #runGroup(group: readonly PendingMember[], attempt: number): Promise<void> {
    if (group.length === 0) return;
    try {
      const { outcomes, heads } = await this.#commitTogether(group);
      if (heads.length > 0) this.onCommit(heads);
      for (const [index, member] of group.entries()) member.settle(outcomes[index] ?? lost());
    } catch (error) {
      if (this.database.isContention(error)) return this.#runAgain(group, attempt);
      if (group.length === 1 || error instanceof CommitError) {
        const cause = error instanceof CommitError ? error.cause : error;
        for (const member of group) member.settle({ error: cause });
        return;
      }
      for (const member of group) await this.#runGroup([member], 1);
    }
  }

  /** After a pause; who would be late by then hears that the account is busy. */
  async #runAgain(group: readonly PendingMember[], attempt: number): Promise<void> {
    const pauseMs = backoffMs(attempt, BACKOFF);
    const again = Date.now() + pauseMs;
    const inTime = group.filter((member) => attempt < ATTEMPTS_MAX && member.deadline > again);
    for (const member of group) if (!inTime.includes(member)) member.settle({ error: busy() });
    if (inTime.length === 0) return;
    await sleep(pauseMs);
    await this.#runGroup(inTime, attempt + 1);
  }

  /**
   * One transaction.
   * @throws CommitError where it is unknown whether it was committed; anything else was rolled back
   */
  async #commitTogether(group: readonly GroupMember[]): Promise<Committed> {
    const em = this.database.orm.em.fork();
    await em.begin();
    let committed: Committed;
    try {
      const ids = group.flatMap(({ request }) => request.accountIds);
      const accounts = await lockAccounts(em, ids);
      const ledger = new GroupLedger(accounts, await readEarlier(em, group));
      const outcomes = group.map((member) => ledger.judge(member));
      committed = { outcomes, heads: ledger.heads };
      if (committed.heads.length === 0) {
        await em.rollback();
        return committed;
      }
      await openAccounts(em, ledger.openings);
      await em.flush();
      await this.#tables.append(em, ledger);
    } catch (error) {
      await rollBack(em);
      throw error;
    }
    try {
      await em.commit();
    } catch (error) {
      await rollBack(em);
      if (this.database.isContention(error)) throw error;
      throw new CommitError('The commit failed', { cause: error });
    }
    return committed;
  }
}

/** What a group came to. */
interface Committed {
  readonly outcomes: readonly Outcome[];
  /** Of the accounts that were opened or posted to. */
  readonly heads: readonly AccountHead[];
}

/** Whether the transaction was committed is unknown. */
class CommitError extends Error {}

/** Never in place of the error that led to it: a connection that is gone has rolled back by itself. */
async function rollBack(em: EntityManager): Promise<void> {
  await em.rollback().catch(() => {});
}

function lost(): Outcome {
  return { error: new Error('A unit of work has no outcome') };
}

/** What the keys of a group stand for already: one statement for bulks, one for credits. */
async function readEarlier(em: EntityManager, group: readonly GroupMember[]): Promise<EarlierRows> {
  const accountId = group[0]?.request.accountIds[0];
  const keysOf = (name: 'bulkTransferKey' | 'creditKey') =>
    group.flatMap(({ request }) => request[name] ?? []);
  const bulkTransferKeys = keysOf('bulkTransferKey');
  const creditKeys = keysOf('creditKey');
  if (accountId === undefined) return { bulkTransfers: [], credits: [] };
  return {
    bulkTransfers:
      bulkTransferKeys.length === 0
        ? []
        : await em.find(BulkTransfer, { accountId, idempotencyKey: { $in: bulkTransferKeys } }),
    credits:
      creditKeys.length === 0
        ? []
        : await em.find(LedgerEntry, { accountId, idempotencyKey: { $in: creditKeys } }),
  };
}

/** @throws DomainError ACCOUNT_EXISTS where another took the IBAN meanwhile */
async function openAccounts(em: EntityManager, openings: readonly Opening[]): Promise<void> {
  for (const { account } of openings) {
    try {
      await em.persist(account).flush();
    } catch (error) {
      if (!(error instanceof UniqueConstraintViolationException)) throw error;
      const { iban } = account;
      const existing = await em.fork({ clear: true }).findOneOrFail(Account, { iban });
      throw new DomainError({ code: 'ACCOUNT_EXISTS', accountId: existing.id, iban });
    }
  }
}
