/**
 * The outbox table, as a relay uses it. Claim, publish and mark are three short steps, and no transaction waits for a
 * broker.
 *
 * A message that is due has dueAt set. A claim moves dueAt to the end of a lease, so no other relay claims the
 * message meanwhile. If the relay dies, the message is due again by itself. Concurrent claims skip each other's
 * messages, so no two relays ever wait for each other. Mostly there is nothing to claim: the process that commits a
 * message publishes it, and holds its lease from the commit on.
 */
import { type FilterQuery, LockMode } from '@mikro-orm/core';
import type { EntityManager, MikroORM } from '@mikro-orm/sql';
import { stringify } from 'uuid';
import type { AccountHead } from '../../application/ports/account-head.js';
import type { Clock } from '../../application/ports/clock.js';
import type { OutboxAdmin, OutboxCounts } from '../../application/ports/outbox-admin.js';
import type { RequestSource } from '../../domain/caller.js';
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

/** The largest number of parked messages that are listed. */
const PARKED_LISTED_MAX = 100;

/** The largest number of published rows that one statement deletes. */
const PRUNE_ROWS_MAX = 1_000;

/**
 * The longest time from now to the end of a lease or to a retry. A later dueAt was written by a clock that was ahead.
 * The message would wait until this clock catches up, so it counts as due now.
 */
const DUE_AHEAD_MAX_MS = 120_000;

/** A failed attempt to publish a message. */
interface Failure {
  /** The number of failed attempts so far. */
  readonly attempts: number;
  /** The relay that leases the message. A relay that lost its lease changes nothing. */
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
 * The relay that leases messages, and the end of the lease. Each lease of a relay ends at a different millisecond, so
 * holder and end identify a lease.
 */
export interface Lease {
  /** The id of the relay. */
  readonly holder: string;
  readonly end: Date;
}

/** A message that a relay leases. */
export type LeasedMessage = Pick<
  OutboxMessage,
  'id' | 'type' | 'subjectId' | 'sequence' | 'attempts' | 'traceparent'
> & {
  /** Tells whether the changes of accounts were reported when the message was committed. */
  readonly isReported: boolean;
};

/** The error of a claim whose commit failed. Each message may be leased to the relay. */
export class ClaimInDoubt extends UnavailableError {
  constructor(
    readonly ids: readonly string[],
    { cause }: UnavailableError,
  ) {
    super('OUTCOME_UNKNOWN', { cause });
  }
}

/** A message of a commit, and the heads of the accounts that it concerns. */
export interface CommittedMessage {
  readonly message: OutboxMessage;
  readonly heads: readonly AccountHead[];
}

/**
 * Publishes messages as they are committed. A message that is leased to the publisher by its commit needs no claim.
 * If the publisher dies, the lease ends like any other lease.
 */
export interface Publisher {
  /**
   * Reserves room for messages. Call this just before rows with messages are written, and end it with one call of
   * take, cancel or doubt. If a lease ends before its commit, another relay publishes its messages too.
   */
  reserve(messageCount: number): Reservation;
}

export interface Reservation {
  /** The lease of the messages; undefined if the messages are left for a relay to claim. */
  readonly lease: Lease | undefined;
  /** Takes the messages after their commit. It never throws. */
  take(messages: readonly CommittedMessage[]): void;
  /** Ends the reservation of messages that were not committed. */
  cancel(): void;
  /**
   * Makes the messages of a commit with an unknown outcome due at once, if they were committed. Callers wait for it
   * before anything else of the accounts is committed, so the messages are not overtaken. It never rejects, and takes
   * a second at most. If the database does not answer, it retries in the background until the lease ends by itself.
   */
  doubt(messages: readonly CommittedMessage[]): Promise<void>;
}

/** Leaves every message for a relay to claim. */
export const NO_PUBLISHER: Publisher = {
  reserve: () => ({
    lease: undefined,
    take: () => {},
    cancel: () => {},
    doubt: async () => {},
  }),
};

/** Returns the last head of each account. */
export function lastHeads(heads: readonly AccountHead[]): AccountHead[] {
  return [...new Map(heads.map((head) => [head.iban, head])).values()];
}

/** A row as the driver returns it. */
interface DueRow {
  readonly id: Uint8Array;
  readonly type: OutboxMessageType;
  readonly subject_id: Uint8Array;
  readonly sequence: number | string;
  readonly attempts: number;
  readonly traceparent: string | null;
}

export class Outbox implements OutboxAdmin {
  constructor(
    private readonly orm: MikroORM,
    private readonly clock: Clock = () => new Date(),
    private readonly newId: NewId = makeNewId(clock),
  ) {}

  get #em(): EntityManager {
    return this.orm.em.fork();
  }

  /**
   * Claims messages that are due, the longest due first.
   * @returns the messages in the order of their sequences
   * @param lease the lease of the caller
   * @throws ClaimInDoubt if it is unknown whether the messages are leased to the caller
   */
  async claim(now: Date, messagesMax: number, lease: Lease): Promise<LeasedMessage[]> {
    const isDue = { $or: [{ dueAt: { $lte: now } }, { dueAt: { $gt: latestDueAt(now) } }] };
    let ids: readonly string[] = [];
    try {
      return await inTransaction(this.#em, async (em) => {
        // The rows are read as plain rows, because a unit of work would look for changes in each row.
        const rows: DueRow[] = await em
          .createQueryBuilder(OutboxMessage)
          .select(['id', 'type', 'subjectId', 'sequence', 'attempts', 'traceparent'])
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

  /** Extends the lease of messages that take long to publish, if the caller still leases them. */
  async extendLease(ids: readonly string[], { holder, end }: Lease): Promise<void> {
    await this.#em.nativeUpdate(
      OutboxMessage,
      { id: { $in: [...ids] }, leasedBy: holder },
      { dueAt: end },
    );
  }

  /**
   * Marks messages as published.
   * @param publishedAt the time at which the broker had confirmed all of them
   */
  async markPublished(ids: readonly string[], publishedAt: Date): Promise<void> {
    const published = { publishedAt, parkedAt: null, lastError: null };
    const done = { ...published, dueAt: null, leasedBy: null };
    await this.#em.nativeUpdate(OutboxMessage, { id: { $in: [...ids] } }, done);
  }

  /** Makes claimed messages due again, as if they had not been claimed. */
  async release(ids: readonly string[], holder: string): Promise<void> {
    await this.#makeDue({ id: { $in: [...ids] }, leasedBy: holder });
  }

  /**
   * Makes the messages due at once that still have exactly this lease. The call may be repeated if its answer was
   * lost. A message that the relay has claimed again has another lease, so the relay keeps it.
   */
  async endLease(ids: readonly string[], { holder, end }: Lease): Promise<void> {
    await this.#makeDue({ id: { $in: [...ids] }, leasedBy: holder, dueAt: end });
  }

  /** Returns the ids of the relays that lease messages. */
  async holders(): Promise<readonly string[]> {
    const rows: { readonly holder: string }[] = await this.#em.execute(
      `select distinct hex(leased_by) as holder from outbox_message
        where due_at > ? and leased_by is not null`,
      [DUE_AT_ONCE],
    );
    return rows.map(({ holder }) => idOfHex(holder));
  }

  /** Releases the messages of a relay that has ended. @returns the number of messages */
  releaseFrom(holder: string): Promise<number> {
    return this.#makeDue({ leasedBy: holder, dueAt: { $ne: null } });
  }

  /** Ends the leases of messages, so that any relay may claim them at once. @returns the number of messages */
  #makeDue(where: FilterQuery<OutboxMessage>): Promise<number> {
    return this.#em.nativeUpdate(OutboxMessage, where, { dueAt: DUE_AT_ONCE, leasedBy: null });
  }

  /** Schedules a claimed message for another attempt. */
  async postpone(id: string, { attempts, holder, dueAt, error }: Postponement): Promise<void> {
    const outcome = { attempts, dueAt, leasedBy: null, lastError: cut(error) };
    await this.#em.nativeUpdate(OutboxMessage, { id, leasedBy: holder }, outcome);
  }

  /** Parks a claimed message, until an operator retries it. */
  async park(id: string, { attempts, holder, at, error }: Parking): Promise<void> {
    const outcome = { attempts, dueAt: null, leasedBy: null, parkedAt: at, lastError: cut(error) };
    await this.#em.nativeUpdate(OutboxMessage, { id, leasedBy: holder }, outcome);
  }

  /** Deletes messages that were published before a moment. @returns the number of messages */
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

  retry(id: string, source: RequestSource): Promise<boolean> {
    const again = { parkedAt: null, attempts: 0, dueAt: DUE_AT_ONCE };
    const isParked = { id, parkedAt: { $ne: null } };
    return inTransaction(this.#em, async (em) => {
      const isDone = (await em.nativeUpdate(OutboxMessage, isParked, again)) > 0;
      const outcome = isDone ? 'DONE' : 'NOT_FOUND';
      const what = { action: 'retryOutboxMessage', outcome, subjectId: id } as const;
      em.persist(AuditEntry.of({ id: this.newId(), at: this.clock(), source, ...what }));
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
        // The oldest message is found by id, because leases and retries move dueAt.
        { orderBy: { id: 'asc' }, limit: 1 },
      ),
    ]);
    return { due, parked, oldestDueSince: oldest[0]?.createdAt };
  }
}

/** Returns the columns of a leased message. */
function leasedTo({ holder, end }: Lease): Pick<OutboxMessage, 'dueAt' | 'leasedBy'> {
  return { dueAt: end, leasedBy: holder };
}

function claimed(row: DueRow): LeasedMessage {
  const { type, attempts, traceparent } = row;
  return {
    id: stringify(row.id),
    type,
    subjectId: stringify(row.subject_id),
    sequence: BigInt(row.sequence),
    attempts,
    traceparent,
    isReported: false,
  };
}

/** Compares messages by sequence, so each subject's messages keep their order, even after retries. */
function bySequence(one: LeasedMessage, other: LeasedMessage): number {
  return Number(one.sequence - other.sequence);
}

function latestDueAt(now: Date): Date {
  return new Date(now.getTime() + DUE_AHEAD_MAX_MS);
}

function cut(text: string): string {
  return [...text].slice(0, LAST_ERROR_CHARACTERS_MAX).join('');
}
