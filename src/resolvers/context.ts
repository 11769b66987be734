import type { AccountFeeds, LedgerReader } from '../application/ports.js';
import type { Loaders } from './loaders.js';

/** What one GraphQL operation carries. */
export interface RequestContext {
  readonly requestId: string;
  /** Values of the HTTP header Idempotency-Key, as they came: none, one, or a mistake. */
  readonly idempotencyKeyHeaders: readonly string[];
  readonly reader: LedgerReader;
  readonly feeds: AccountFeeds;
  readonly loaders: Loaders;
}
