import type { EntityManager, MikroORM } from '@mikro-orm/sql';
import type { ApiKeyStore } from '../../application/ports/api-key-store.js';
import type { Clock } from '../../application/ports/clock.js';
import type { ListPage, PageRange } from '../../application/ports/page.js';
import { isApiKeyPrefix } from '../../domain/api-key.js';
import type { RequestSource } from '../../domain/caller.js';
import type { NewId } from '../../domain/id.js';
import { ApiKey } from '../../entities/api-key.entity.js';
import { AuditEntry } from '../../entities/audit-entry.entity.js';
import { inTransaction } from '../database/transaction.js';
import { readListPage } from './keyset-page.js';

export class MikroOrmApiKeys implements ApiKeyStore {
  constructor(
    private readonly orm: MikroORM,
    private readonly clock: Clock,
    private readonly newId: NewId,
  ) {}

  get #em(): EntityManager {
    return this.orm.em.fork();
  }

  async add(apiKey: ApiKey, audit: AuditEntry): Promise<void> {
    await inTransaction(this.#em, async (em) => em.persist([apiKey, audit]));
  }

  byPrefix(prefix: string): Promise<ApiKey | null> {
    return this.#em.findOne(ApiKey, { prefix });
  }

  async noteUse(id: string, at: Date, since: Date): Promise<void> {
    const isStale = { $or: [{ lastUsedAt: null }, { lastUsedAt: { $lte: since } }] };
    await this.#em.nativeUpdate(ApiKey, { id, ...isStale }, { lastUsedAt: at });
  }

  revoke(prefix: string, source: RequestSource): Promise<ApiKey | null> {
    return inTransaction(this.#em, async (em) => {
      const apiKey = isApiKeyPrefix(prefix) ? await em.findOne(ApiKey, { prefix }) : null;
      const now = this.clock();
      // The clock of the server that created the key may be ahead of this clock.
      const at = apiKey && apiKey.createdAt > now ? apiKey.createdAt : now;
      const outcome = apiKey ? 'DONE' : 'NOT_FOUND';
      const what = { action: 'revokeApiKey', outcome, subjectId: apiKey?.id } as const;
      em.persist(AuditEntry.of({ id: this.newId(), at, source, ...what }));
      apiKey?.revoke(at);
      return apiKey;
    });
  }

  list(range: PageRange<string>): Promise<ListPage<ApiKey>> {
    const list = { entity: ApiKey, where: {}, key: 'id', order: 'oldest-first' } as const;
    return readListPage((statement) => statement(this.#em), list, range);
  }
}
