import { setTimeout as sleep } from 'node:timers/promises';
import { UniqueConstraintViolationException } from '@mikro-orm/core';
import type { EntityManager } from '@mikro-orm/sql';
import { E_TIMEOUT, Mutex, Semaphore, withTimeout } from 'async-mutex';
import type { LedgerRecords, LockedLedger, UnitOfWork } from '../../application/ports.js';
import { DomainError } from '../../domain/errors.js';
import { Account } from '../../entities/account.entity.js';
import { BulkTransfer } from '../../entities/bulk-transfer.entity.js';
import { LedgerEntry } from '../../entities/ledger-entry.entity.js';
import { Transfer } from '../../entities/transfer.entity.js';
import { backoffMs } from '../backoff.js';
import { currentTraceparent } from '../observability/trace-context.js';
import { lockAccounts } from './account-lock.js';
import type { Database } from './dialect.js';

/** How often work is run in all before a client hears of contention. */
const ATTEMPTS_MAX = 20;

const BACKOFF = { firstMs: 5, maxMs: 250 };

/**
 * Rows in one INSERT: some 500 KB of SQL, far below max_allowed_packet, and 14,000 values where a
 * driver binds them, below SQLite's 32,766 and MySQL's 65,535.
 */
const INSERT_ROWS_MAX = 1_000;

/** Units of work that wait their turn; more are told at once that the server is busy. */
const WAITING_MAX = 10_000;

/**
 * Runs use cases in MikroORM transactions, each with an entity manager of its own. Those of one debtor
 * come in turn, so that an account that is busy holds up no other; of different debtors, as many run at
 * once as the database takes. All wait in the order in which they came, until one deadline.
 */
export class MikroOrmUnitOfWork implements UnitOfWork {
  readonly #turns: Semaphore;
  readonly #queues = new Map<string, AccountQueue>();
  #waiting = 0;

  constructor(
    private readonly database: Database,
    private readonly lockTimeoutMs: number,
    /** Hears that there may be something in the outbox. */
    private readonly onCommit: () => void = () => {},
  ) {
    this.#turns = new Semaphore(database.writersMax);
  }

  async run<Result>(
    accountIds: readonly string[],
    work: (ledger: LockedLedger) => Promise<Result>,
  ): Promise<Result> {
    if (this.#waiting >= WAITING_MAX) throw busy();
    this.#waiting += 1;
    const deadline = Date.now() + this.lockTimeoutMs;
    try {
      const result = await this.#inTurn(accountIds[0], deadline, () =>
        this.#runUntilDone(accountIds, work, deadline),
      );
      this.onCommit();
      return result;
    } catch (error) {
      throw error === E_TIMEOUT ? busy() : error;
    } finally {
      this.#waiting -= 1;
    }
  }

  /** @throws E_TIMEOUT */
  async #inTurn<Result>(
    debtorId: string | undefined,
    deadline: number,
    work: () => Promise<Result>,
  ): Promise<Result> {
    const inGlobalTurn = () => withTimeout(this.#turns, remainingMs(deadline)).runExclusive(work);
    if (debtorId === undefined) return inGlobalTurn();
    const queue = this.#queues.get(debtorId) ?? { mutex: new Mutex(), users: 0 };
    this.#queues.set(debtorId, queue);
    queue.users += 1;
    try {
      return await withTimeout(queue.mutex, remainingMs(deadline)).runExclusive(inGlobalTurn);
    } finally {
      queue.users -= 1;
      if (queue.users === 0) this.#queues.delete(debtorId);
    }
  }

  async #runUntilDone<Result>(
    accountIds: readonly string[],
    work: (ledger: LockedLedger) => Promise<Result>,
    deadline: number,
  ): Promise<Result> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.database.orm.em.fork().transactional(async (em) => {
          const accounts = await lockAccounts(em, accountIds);
          return work(new MikroOrmLedger(em, accounts));
        });
      } catch (error) {
        if (!this.database.isContention(error)) throw error;
        const pauseMs = backoffMs(attempt, BACKOFF);
        if (attempt === ATTEMPTS_MAX || Date.now() + pauseMs >= deadline) throw busy();
        await sleep(pauseMs);
      }
    }
  }
}

/** Who waits for one account in this process. */
interface AccountQueue {
  readonly mutex: Mutex;
  users: number;
}

function busy(): DomainError {
  return new DomainError({ code: 'ACCOUNT_BUSY' });
}

/** At least a millisecond: a turn that is free is had even at the last moment. */
function remainingMs(deadline: number): number {
  return Math.max(deadline - Date.now(), 1);
}

class MikroOrmLedger implements LockedLedger {
  constructor(
    private readonly em: EntityManager,
    private readonly accounts: ReadonlyMap<string, Account>,
  ) {}

  account(id: string): Account {
    const account = this.accounts.get(id);
    if (!account) throw new Error(`Account ${id} is not locked by this unit of work`);
    return account;
  }

  bulkTransferByKey(accountId: string, idempotencyKey: string): Promise<BulkTransfer | null> {
    return this.em.findOne(BulkTransfer, { accountId, idempotencyKey });
  }

  creditByKey(accountId: string, idempotencyKey: string): Promise<LedgerEntry | null> {
    return this.em.findOne(LedgerEntry, { accountId, idempotencyKey });
  }

  async open(account: Account): Promise<void> {
    try {
      await this.em.persist(account).flush();
    } catch (error) {
      if (!(error instanceof UniqueConstraintViolationException)) throw error;
      const { iban } = account;
      const existing = await this.em.fork().findOneOrFail(Account, { iban });
      throw new DomainError({ code: 'ACCOUNT_EXISTS', accountId: existing.id, iban });
    }
  }

  async record({ bulkTransfer, transfers, entries, message }: LedgerRecords): Promise<void> {
    message.traceparent = currentTraceparent();
    if (bulkTransfer) this.em.persist(bulkTransfer);
    this.em.persist([...entries, message]);
    await this.em.flush();
    if (!transfers) return;
    // Thousands of rows that nothing will change again: written by the unit of work, not tracked by it.
    for (let start = 0; start < transfers.length; start += INSERT_ROWS_MAX) {
      await this.em.insertMany(Transfer, transfers.slice(start, start + INSERT_ROWS_MAX));
    }
  }
}
