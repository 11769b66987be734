/**
 * The outbox table, as a relay uses it: claim, publish, mark are three short steps, and no
 * transaction waits for a broker.
 *
 * A message that is due has dueAt set. Claiming it moves dueAt to the end of a lease, so that no other
 * relay takes it meanwhile, and it is due again by itself where the relay dies. Relays that claim at
 * once skip what another is claiming: no two ever wait for each other. Mostly nothing is to be claimed:
 * the process that commits a message publishes it, and holds its lease from the commit on.
 */
import { LockMode } from '@mikro-orm/core';
import type { EntityManager, MikroORM } from '@mikro-orm/sql';
import DataLoader from 'dataloader';
import { stringify } from 'uuid';
import type { AccountHead } from '../../application/ports/account-head.js';
import type { Clock } from '../../application/ports/clock.js';
import type { OutboxAdmin, OutboxCounts } from '../../application/ports/outbox-admin.js';
import type { Origin } from '../../domain/caller.js';
import { UnavailableError } from '../../domain/errors.js';
import { makeNewId, type NewId } from '../../domain/id.js';
import type { OutboxMessageType } from '../../domain/kinds.js';
import { AuditEntry } from '../../entities/audit-entry.entity.js';
import {
  DUE_AT_ONCE,
  LAST_ERROR_CHARACTERS_MAX,
  OutboxMessage,
} from '../../entities/outbox-message.entity.js';
import { idOfHex } from '../database/id-literal.js';
import { inTransaction, isOutcomeUnknown } from '../database/transaction.js';

/** Parked messages that are listed. */
const PARKED_LISTED_MAX = 100;

/** Published rows deleted in one statement. */
const PRUNE_ROWS_MAX = 1_000;

/**
 * How far ahead of now a lease or a retry may be. What is due later was written by a clock that was
 * ahead, and would wait for this one to catch up: it is due now.
 */
const DUE_AHEAD_MAX_MS = 120_000;

/** An attempt that failed. */
interface Failure {
  /** How many failed by now. */
  readonly attempts: number;
  /** The relay that has the message: one that lost it changes nothing. */
  readonly holder: string;
  readonly error: string;
}

export interface Postponement extends Failure {
  readonly dueAt: Date;
}

export interface Parking extends Failure {
  readonly at: Date;
}

/**
 * The relay that has messages, and the time until which it has them. A relay's leases end at different milliseconds, so
 * the two tell one lease from another.
 */
export interface Lease {
  /** Id of the relay. */
  readonly holder: string;
  readonly end: Date;
}

/** A message that is its relay's until its lease ends. */
export type LeasedMessage = Pick<
  OutboxMessage,
  'id' | 'type' | 'accountId' | 'sequence' | 'attempts' | 'traceparent'
> & {
  /** How far the accounts have come that it is about, where that is known. */
  readonly heads?: readonly AccountHead[];
};

/** The commit of a claim failed: each message may be leased to the relay. */
export class ClaimInDoubt extends UnavailableError {
  constructor(
    readonly ids: readonly string[],
    { cause }: UnavailableError,
  ) {
    super('OUTCOME_UNKNOWN', { cause });
  }
}

/** A message of a commit, and how far the accounts have come that it is about. */
export interface CommittedMessage {
  readonly message: OutboxMessage;
  readonly heads: readonly AccountHead[];
}

/**
 * Somebody who publishes messages as they are committed. What is leased to it from its first moment
 * needs no claim; should it die, the lease ends like any other.
 */
export interface Publisher {
  /**
   * To be called just before rows with messages are written; ended by one call of take, cancel or doubt.
   * A lease that ends before its commit only has others publish its messages, too.
   */
  reserve(messageCount: number): Reservation;
}

export interface Reservation {
  /** The lease of the messages; undefined where the first relay that looks shall claim them. */
  readonly lease: Lease | undefined;
  /** They are committed. Never throws. */
  take(messages: readonly CommittedMessage[]): void;
  /** They are not. */
  cancel(): void;
  /**
   * Nobody knows whether they are: those that are become due at once. To be awaited before anything else
   * of their accounts is committed, so as not to overtake them. Never rejects, and takes a second at most:
   * where the database does not answer, it is tried on until their lease ends by itself.
   */
  doubt(messages: readonly CommittedMessage[]): Promise<void>;
}

/** Leaves every message to whoever claims it. */
export const NO_PUBLISHER: Publisher = {
  reserve: () => ({
    lease: undefined,
    take: () => {},
    cancel: () => {},
    doubt: async () => {},
  }),
};

/** The last of each account. */
export function lastHeads(heads: readonly AccountHead[]): AccountHead[] {
  return [...new Map(heads.map((head) => [head.iban, head])).values()];
}

/** As the driver gives it. */
interface DueRow {
  readonly id: Uint8Array;
  readonly type: OutboxMessageType;
  readonly account_id: Uint8Array;
  readonly sequence: number | string;
  readonly attempts: number;
  readonly traceparent: string | null;
}

export class Outbox implements OutboxAdmin {
  readonly #published = new DataLoader(
    (groups: readonly (readonly string[])[]) => this.#markPublished(groups),
    { cache: false, batchScheduleFn: (mark) => void setImmediate(mark) },
  );

  constructor(
    private readonly orm: MikroORM,
    private readonly clock: Clock = () => new Date(),
    private readonly newId: NewId = makeNewId(clock),
  ) {}

  get #em(): EntityManager {
    return this.orm.em.fork();
  }

  /**
   * Takes messages that are due, the longest due first.
   * @returns in the order of their accounts' sequences
   * @param lease of the caller
   * @throws ClaimInDoubt where it is unknown whether they are the caller's
   */
  async claim(now: Date, messagesMax: number, lease: Lease): Promise<LeasedMessage[]> {
    const isDue = { $or: [{ dueAt: { $lte: now } }, { dueAt: { $gt: latestDueAt(now) } }] };
    let ids: readonly string[] = [];
    try {
      return await inTransaction(this.#em, async (em) => {
        // As plain rows: a unit of work would look for changes in each.
        const rows: DueRow[] = await em
          .createQueryBuilder(OutboxMessage)
          .select(['id', 'type', 'accountId', 'sequence', 'attempts', 'traceparent'])
          .where(isDue)
          .orderBy({ dueAt: 'asc', id: 'asc' })
          .limit(messagesMax)
          .setLockMode(LockMode.PESSIMISTIC_PARTIAL_WRITE)
          .execute('all', false);
        const messages = rows.map((row) => claimed(row)).sort(bySequence);
        ids = messages.map(({ id }) => id);
        if (ids.length > 0) {
          await em.nativeUpdate(OutboxMessage, { id: { $in: [...ids] } }, leasedTo(lease));
        }
        return messages;
      });
    } catch (error) {
      throw ids.length > 0 && isOutcomeUnknown(error) ? new ClaimInDoubt(ids, error) : error;
    }
  }

  /** Keeps messages that take long to publish: those that are still the caller's. */
  async extendLease(ids: readonly string[], { holder, end }: Lease): Promise<void> {
    await this.#em.nativeUpdate(
      OutboxMessage,
      { id: { $in: [...ids] }, leasedBy: holder },
      { dueAt: end },
    );
  }

  /** Groups that are done at once are marked by one statement. */
  async markPublished(ids: readonly string[]): Promise<void> {
    await this.#published.load(ids);
  }

  async #markPublished(groups: readonly (readonly string[])[]): Promise<undefined[]> {
    const published = { publishedAt: this.clock(), parkedAt: null, lastError: null };
    const done = { ...published, dueAt: null, leasedBy: null };
    await this.#em.nativeUpdate(OutboxMessage, { id: { $in: groups.flat() } }, done);
    return groups.map(() => undefined);
  }

  /** Gives claimed messages back, as if they had not been taken. */
  async release(ids: readonly string[], holder: string): Promise<void> {
    await this.#em.nativeUpdate(
      OutboxMessage,
      { id: { $in: [...ids] }, leasedBy: holder },
      { dueAt: DUE_AT_ONCE, leasedBy: null },
    );
  }

  /**
   * Makes the messages of a lease due at once that still have this very lease. It may be repeated where its answer was
   * lost: a message that the relay has claimed again has another lease, and stays the relay's.
   */
  async endLease(ids: readonly string[], { holder, end }: Lease): Promise<void> {
    await this.#em.nativeUpdate(
      OutboxMessage,
      { id: { $in: [...ids] }, leasedBy: holder, dueAt: end },
      { dueAt: DUE_AT_ONCE, leasedBy: null },
    );
  }

  /** Ids of the relays that have messages. */
  async holders(): Promise<readonly string[]> {
    const rows: { readonly holder: string }[] = await this.#em.execute(
      `select distinct hex(leased_by) as holder from outbox_message
        where due_at > ? and leased_by is not null`,
      [DUE_AT_ONCE],
    );
    return rows.map(({ holder }) => idOfHex(holder));
  }

  /** Gives back what a relay that has ended had. @returns how many messages */
  releaseFrom(holder: string): Promise<number> {
    return this.#em.nativeUpdate(
      OutboxMessage,
      { leasedBy: holder, dueAt: { $ne: null } },
      { dueAt: DUE_AT_ONCE, leasedBy: null },
    );
  }

  /** Tries a claimed message again later. */
  async postpone(id: string, { attempts, holder, dueAt, error }: Postponement): Promise<void> {
    const outcome = { attempts, dueAt, leasedBy: null, lastError: cut(error) };
    await this.#em.nativeUpdate(OutboxMessage, { id, leasedBy: holder }, outcome);
  }

  /** Gives a claimed message up, until an operator puts it back. */
  async park(id: string, { attempts, holder, at, error }: Parking): Promise<void> {
    const outcome = { attempts, dueAt: null, leasedBy: null, parkedAt: at, lastError: cut(error) };
    await this.#em.nativeUpdate(OutboxMessage, { id, leasedBy: holder }, outcome);
  }

  /** Deletes messages that were published before a moment. @returns how many */
  async prune(before: Date): Promise<number> {
    const ids = await this.#em.find(
      OutboxMessage,
      { publishedAt: { $lt: before } },
      { fields: ['id'], orderBy: { publishedAt: 'asc' }, limit: PRUNE_ROWS_MAX },
    );
    if (ids.length === 0) return 0;
    return this.#em.nativeDelete(OutboxMessage, { id: { $in: ids.map(({ id }) => id) } });
  }

  parked(): Promise<OutboxMessage[]> {
    return this.#em.find(
      OutboxMessage,
      { parkedAt: { $ne: null } },
      { orderBy: { parkedAt: 'asc' }, limit: PARKED_LISTED_MAX },
    );
  }

  retry(id: string, origin: Origin): Promise<boolean> {
    const again = { parkedAt: null, attempts: 0, dueAt: DUE_AT_ONCE };
    const isParked = { id, parkedAt: { $ne: null } };
    return inTransaction(this.#em, async (em) => {
      const isDone = (await em.nativeUpdate(OutboxMessage, isParked, again)) > 0;
      const outcome = isDone ? 'DONE' : 'NOT_FOUND';
      const what = { action: 'retryOutboxMessage', outcome, subjectId: id } as const;
      em.persist(AuditEntry.of({ id: this.newId(), at: this.clock(), origin, ...what }));
      return isDone;
    });
  }

  async counts(): Promise<OutboxCounts> {
    const [due, parked, oldest] = await Promise.all([
      this.#em.count(OutboxMessage, { dueAt: { $ne: null } }),
      this.#em.count(OutboxMessage, { parkedAt: { $ne: null } }),
      this.#em.find(
        OutboxMessage,
        { dueAt: { $ne: null } },
        // By age: leases and retries move dueAt.
        { orderBy: { id: 'asc' }, limit: 1 },
      ),
    ]);
    return { due, parked, oldestDueSince: oldest[0]?.createdAt };
  }
}

/** The columns of a message that a relay has. */
function leasedTo({ holder, end }: Lease): Pick<OutboxMessage, 'dueAt' | 'leasedBy'> {
  return { dueAt: end, leasedBy: holder };
}

function claimed(row: DueRow): LeasedMessage {
  const { type, attempts, traceparent } = row;
  return {
    id: stringify(row.id),
    type,
    accountId: stringify(row.account_id),
    sequence: BigInt(row.sequence),
    attempts,
    traceparent,
  };
}

/** Those of each account in their order, whatever became of them before. */
function bySequence(one: LeasedMessage, other: LeasedMessage): number {
  return Number(one.sequence - other.sequence);
}

function latestDueAt(now: Date): Date {
  return new Date(now.getTime() + DUE_AHEAD_MAX_MS);
}

function cut(text: string): string {
  return [...text].slice(0, LAST_ERROR_CHARACTERS_MAX).join('');
}
