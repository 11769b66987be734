import DataLoader from 'dataloader';
import type { AuditLog } from '../../application/ports/audit-log.js';
import type { Clock } from '../../application/ports/clock.js';
import type { ListPage, PageRange } from '../../application/ports/page.js';
import type { RequestSource } from '../../domain/caller.js';
import type { NewId } from '../../domain/id.js';
import { AuditEntry, type AuditedOutcome } from '../../entities/audit-entry.entity.js';
import { type AppendTable, appendTableOf } from '../database/append-rows.js';
import type { Database } from '../database/dialect.js';
import type { Logger } from '../observability/logger.js';
import { readListPage } from './keyset-page.js';

/** The largest number of entries in one commit. */
const BATCH_MAX = 500;

/** Appends audit entries. No statement here changes or deletes an entry. */
export class MikroOrmAuditLog implements AuditLog {
  readonly #table: AppendTable<AuditEntry>;
  /** Appends the entries of requests that end at the same time in one commit. */
  readonly #append = new DataLoader(
    async (entries: readonly AuditEntry[]) => {
      await this.database.orm.em
        .fork()
        .transactional((em) => this.database.appendRows(em, [this.#table(entries)]));
      return entries.map(() => undefined);
    },
    { cache: false, maxBatchSize: BATCH_MAX },
  );

  constructor(
    private readonly database: Database,
    private readonly clock: Clock,
    private readonly newId: NewId,
    private readonly logger: Logger,
  ) {
    this.#table = appendTableOf(database.orm, AuditEntry);
  }

  async note(source: RequestSource, outcome: AuditedOutcome): Promise<void> {
    const entry = AuditEntry.of({ id: this.newId(), at: this.clock(), source, ...outcome });
    try {
      await this.#append.load(entry);
    } catch (error) {
      // Nothing was done, so nothing is reverted. The log contains the entry instead.
      this.logger.error({ err: error, audit: entry }, 'Audit entry not written');
    }
  }

  entries(accountId: string | undefined, range: PageRange<string>): Promise<ListPage<AuditEntry>> {
    const where = accountId === undefined ? {} : { accountId };
    const list = { entity: AuditEntry, where, key: 'id', order: 'newest-first' } as const;
    return readListPage((statement) => statement(this.database.orm.em.fork()), list, range);
  }
}
