import type { RequestSource } from '../../domain/caller.js';
import type { AuditEntry, AuditedOutcome } from '../../entities/audit-entry.entity.js';
import type { ListPage, PageRange } from './page.js';

/**
 * Records the actions of callers. The audit entry of a change is written in the commit of the change, not by this
 * port.
 */
export interface AuditLog {
  /** Records a mutation that was refused, or whose change an earlier request had made. */
  note(source: RequestSource, outcome: AuditedOutcome): Promise<void>;
  /** Lists entries in order of id, newest first. With an account id, only the entries of this account are listed. */
  entries(accountId: string | undefined, range: PageRange<string>): Promise<ListPage<AuditEntry>>;
}
