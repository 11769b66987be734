import type { Origin } from '../../domain/caller.js';
import type { ListPage, PageRange } from '../../domain/page.js';
import type { AuditEntry, AuditedOutcome } from '../../entities/audit-entry.entity.js';

/** Records who did what. The entry of a change is part of the commit that made it, not of this port. */
export interface AuditLog {
  /** Records a mutation that was refused, or whose change had been made before. */
  note(origin: Origin, outcome: AuditedOutcome): Promise<void>;
  /** Lists entries in order of id, newest first: those of one account where an id is given, else all. */
  entries(accountId: string | undefined, range: PageRange<string>): Promise<ListPage<AuditEntry>>;
}
