import type { EntityManager, MikroORM } from '@mikro-orm/sql';
import type { ApiKeyStore } from '../../application/ports.js';
import type { Page, PageRange } from '../../domain/page.js';
import { ApiKey } from '../../entities/api-key.entity.js';
import { readPage } from './keyset-page.js';

export class MikroOrmApiKeys implements ApiKeyStore {
  constructor(private readonly orm: MikroORM) {}

  get #em(): EntityManager {
    return this.orm.em.fork();
  }

  async add(apiKey: ApiKey): Promise<void> {
    await this.#em.persist(apiKey).flush();
  }

  byPrefix(prefix: string): Promise<ApiKey | null> {
    return this.#em.findOne(ApiKey, { prefix });
  }

  async revoke(prefix: string, at: Date): Promise<ApiKey | null> {
    await this.#em.nativeUpdate(ApiKey, { prefix, revokedAt: null }, { revokedAt: at });
    return this.byPrefix(prefix);
  }

  list(range: PageRange<string>): Promise<Page<ApiKey>> {
    return readPage(
      this.#em,
      { entity: ApiKey, where: {}, key: 'id', order: 'oldest-first' },
      range,
    );
  }
}
