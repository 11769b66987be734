import { setTimeout as sleep } from 'node:timers/promises';
import { UniqueConstraintViolationException } from '@mikro-orm/core';
import type { EntityManager } from '@mikro-orm/sql';
import { E_TIMEOUT, Semaphore, type SemaphoreInterface, withTimeout } from 'async-mutex';
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
 * Rows in one INSERT: below SQLite's 32,766 and MySQL's 65,535 parameters, and some 500 KB, far
 * below max_allowed_packet.
 */
const INSERT_ROWS_MAX = 1_000;

/**
 * Runs use cases in MikroORM transactions, each with an entity manager of its own. As many run at
 * once as the database takes; others wait their turn, in the order in which they came.
 */
export class MikroOrmUnitOfWork implements UnitOfWork {
  readonly #turns: SemaphoreInterface;

  constructor(
    private readonly database: Database,
    private readonly lockTimeoutMs: number,
    /** Hears that there may be something in the outbox. */
    private readonly onCommit: () => void = () => {},
  ) {
    this.#turns = withTimeout(new Semaphore(database.writersMax), lockTimeoutMs);
  }

  async run<Result>(
    accountIds: readonly string[],
    work: (ledger: LockedLedger) => Promise<Result>,
  ): Promise<Result> {
    try {
      const result = await this.#turns.runExclusive(() => this.#runUntilDone(accountIds, work));
      this.onCommit();
      return result;
    } catch (error) {
      if (error === E_TIMEOUT) throw new DomainError({ code: 'ACCOUNT_BUSY' });
      throw error;
    }
  }

  async #runUntilDone<Result>(
    accountIds: readonly string[],
    work: (ledger: LockedLedger) => Promise<Result>,
  ): Promise<Result> {
    const deadline = Date.now() + this.lockTimeoutMs;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.database.orm.em.fork().transactional(async (em) => {
          const accounts = await lockAccounts(em, accountIds);
          return work(new MikroOrmLedger(em, accounts));
        });
      } catch (error) {
        if (!this.database.isContention(error)) throw error;
        const pauseMs = backoffMs(attempt, BACKOFF);
        if (attempt === ATTEMPTS_MAX || Date.now() + pauseMs >= deadline) {
          throw new DomainError({ code: 'ACCOUNT_BUSY' });
        }
        await sleep(pauseMs);
      }
    }
  }
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
