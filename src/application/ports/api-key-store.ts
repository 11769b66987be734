import type { RequestSource } from '../../domain/caller.js';
import type { ApiKey } from '../../entities/api-key.entity.js';
import type { AuditEntry } from '../../entities/audit-entry.entity.js';
import type { ListPage, PageRange } from './page.js';

/** Stores API keys. Each change of a key is audited in its own commit. */
export interface ApiKeyStore {
  add(apiKey: ApiKey, audit: AuditEntry): Promise<void>;
  byPrefix(prefix: string): Promise<ApiKey | null>;
  /** Records a use of a key, unless a use after `since` is on record. */
  noteUse(id: string, at: Date, since: Date): Promise<void>;
  /** Revokes a key. @returns the key, revoked now or before; null if no key has the prefix */
  revoke(prefix: string, source: RequestSource): Promise<ApiKey | null>;
  /** Lists keys in order of id, oldest first. */
  list(range: PageRange<string>): Promise<ListPage<ApiKey>>;
}
