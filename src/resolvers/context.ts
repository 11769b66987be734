import type { AccountFeeds, AuditLog, LedgerReader } from '../application/ports.js';
import type { Origin, Role } from '../domain/caller.js';
import { ForbiddenError } from '../domain/errors.js';
import type { Loaders } from './loaders.js';

/** What one GraphQL operation carries. */
export interface RequestContext {
  readonly origin: Origin;
  /** Values of the HTTP header Idempotency-Key, as they came: none, one, or a mistake. */
  readonly idempotencyKeyHeaders: readonly string[];
  /** The ledger as the caller may see it: accounts of others do not exist. */
  readonly reader: LedgerReader;
  readonly feeds: AccountFeeds;
  readonly loaders: Loaders;
  readonly audit: AuditLog;
}

/** @throws ForbiddenError where the caller has none of the roles */
export function requireRole(
  { origin: { caller } }: Pick<RequestContext, 'origin'>,
  ...roles: readonly Role[]
): void {
  if (roles.some((role) => caller.roles.includes(role))) return;
  throw new ForbiddenError(`This takes the role ${roles.join(' or ')}.`);
}
