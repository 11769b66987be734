import type { AccountFeeds, LedgerReader } from '../application/ports.js';
import type { Loaders } from './loaders.js';

/** What one GraphQL operation carries. */
export interface RequestContext {
  readonly requestId: string;
  /** Whom its cost counts against, where it came as an HTTP request; a stream's is counted as it begins. */
  readonly callerKey?: string;
  /** Values of the HTTP header Idempotency-Key, as they came: none, one, or a mistake. */
  readonly idempotencyKeyHeaders: readonly string[];
  readonly reader: LedgerReader;
  readonly feeds: AccountFeeds;
  readonly loaders: Loaders;
}
