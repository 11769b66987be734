/** The table of dead letters. The servers that drain the queue of the broker fill it; operators empty it. */
import { raw, UniqueConstraintViolationException } from '@mikro-orm/core';
import type { EntityManager, MikroORM } from '@mikro-orm/sql';
import type { Clock } from '../../application/ports/clock.js';
import type { DeadLetterCount, DeadLetterStore } from '../../application/ports/dead-letters.js';
import type { ListPage, PageRange } from '../../application/ports/page.js';
import type { RequestSource } from '../../domain/caller.js';
import type { NewId } from '../../domain/id.js';
import { AuditEntry } from '../../entities/audit-entry.entity.js';
import { DeadLetter, type DeadLetterFacts } from '../../entities/dead-letter.entity.js';
import { inTransaction } from '../database/transaction.js';
import { readListPage } from '../ledger/keyset-page.js';

/**
 * The number of attempts to store a dead letter while other servers store and operators delete the same one. The second
 * attempt succeeds unless a deletion comes between.
 */
const ADD_ATTEMPTS_MAX = 5;

/** The number of consumers that are counted alone. Each is a time series of the metrics. */
const COUNTED_CONSUMERS_MAX = 20;

/** The name under which all other consumers are counted. */
const OTHER = 'other';

/** A row as the driver returns it. */
interface CountRow {
  readonly consumer: Uint8Array;
  readonly count: number | string;
}

export class MikroOrmDeadLetters implements DeadLetterStore {
  constructor(
    private readonly orm: MikroORM,
    private readonly clock: Clock,
    private readonly newId: NewId,
  ) {}

  get #em(): EntityManager {
    return this.orm.em.fork();
  }

  /**
   * Stores a dead letter. A message that arrives again replaces what is known of its failure, and keeps its id. The dead
   * letter is committed when the promise resolves.
   */
  async add(facts: DeadLetterFacts): Promise<void> {
    for (let attempt = 1; attempt <= ADD_ATTEMPTS_MAX; attempt += 1) {
      if ((await this.#replace(facts)) || (await this.#insert(facts))) return;
    }
    throw new Error('The dead letter was stored and deleted by others at each attempt');
  }

  async #replace({ consumer, messageId, ...latest }: DeadLetterFacts): Promise<boolean> {
    const where = { consumer, messageId };
    const values = { ...latest, arrivals: raw('arrivals + 1') };
    return (await this.#em.nativeUpdate(DeadLetter, where, values)) > 0;
  }

  /** @returns false if another server has inserted the row meanwhile */
  async #insert(facts: DeadLetterFacts): Promise<boolean> {
    try {
      await this.#em.insert(DeadLetter, { ...facts, id: this.newId(), arrivals: 1 });
      return true;
    } catch (error) {
      if (error instanceof UniqueConstraintViolationException) return false;
      throw error;
    }
  }

  list(consumer: string | undefined, range: PageRange<string>): Promise<ListPage<DeadLetter>> {
    const where = consumer === undefined ? {} : { consumer };
    const list = { entity: DeadLetter, where, key: 'id', order: 'newest-first' } as const;
    return readListPage((statement) => statement(this.#em), list, range);
  }

  byId(id: string): Promise<DeadLetter | null> {
    return this.#em.findOne(DeadLetter, { id });
  }

  async deleteSent({ id, arrivals }: DeadLetter, source: RequestSource): Promise<void> {
    const done = { action: 'replayDeadLetters', outcome: 'DONE', subjectId: id } as const;
    await inTransaction(this.#em, async (em) => {
      await em.nativeDelete(DeadLetter, { id, arrivals });
      em.persist(AuditEntry.of({ id: this.newId(), at: this.clock(), source, ...done }));
    });
  }

  discard(ids: readonly string[], reason: string, source: RequestSource): Promise<number> {
    return inTransaction(this.#em, async (em) => {
      let count = 0;
      for (const subjectId of ids) {
        const isDone = (await em.nativeDelete(DeadLetter, { id: subjectId })) > 0;
        const outcome = isDone ? 'DONE' : 'NOT_FOUND';
        const what = { action: 'discardDeadLetters', outcome, subjectId, reason } as const;
        em.persist(AuditEntry.of({ id: this.newId(), at: this.clock(), source, ...what }));
        if (isDone) count += 1;
      }
      return count;
    });
  }

  async counts(): Promise<readonly DeadLetterCount[]> {
    const [total, rows] = await Promise.all([
      this.#em.count(DeadLetter),
      this.#em.execute<CountRow[]>(
        `select consumer, count(*) as count from dead_letter group by consumer
          order by count(*) desc limit ${COUNTED_CONSUMERS_MAX}`,
      ),
    ]);
    const counts = rows.map(({ consumer, count }) => ({
      consumer: Buffer.from(consumer).toString(),
      count: Number(count),
    }));
    const others = counts.reduce((left, { count }) => left - count, total);
    return others > 0 ? [...counts, { consumer: OTHER, count: others }] : counts;
  }
}
