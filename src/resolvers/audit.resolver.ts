import { Arg, Args, Ctx, Query, Resolver } from 'type-graphql';
import { normaliseIban } from '../domain/iban.js';
import type { AuditEntry } from '../entities/audit-entry.entity.js';
import { AuditEntryConnection, AuditEntryType } from '../schema/audit.js';
import { type Connection, PageArgs } from '../schema/page.js';
import { type RequestContext, requireRole } from './context.js';
import { AUDIT_ENTRIES } from './cursor-scopes.js';
import { make, presentPage } from './present.js';
import { readPageRange } from './read-page-range.js';

@Resolver(() => AuditEntryType)
export class AuditResolver {
  @Query(() => AuditEntryConnection, {
    description:
      'All mutations, including refused ones, newest first. Requires the role OPERATOR, else FORBIDDEN.',
  })
  async auditLog(
    @Args(() => PageArgs) page: PageArgs,
    @Arg('accountIban', () => String, {
      nullable: true,
      description:
        'IBAN of an account, in any case, with or without spaces: only its entries, none if there is no such account. All entries if absent.',
    })
    accountIban: string | null,
    @Ctx() context: RequestContext,
  ): Promise<Connection<AuditEntryType>> {
    requireRole(context, 'operator');
    const { audit, reader } = context;
    const range = await readPageRange(page, AUDIT_ENTRIES, reader);
    const account = accountIban && (await reader.accountByIban(normaliseIban(accountIban)));
    const nobody = { nodes: [], hasNextPage: false, hasPreviousPage: false, count: async () => 0 };
    const isUnknown = accountIban != null && !account;
    const entries = isUnknown
      ? nobody
      : await audit.entries(account ? account.id : undefined, range);
    return presentPage(entries, AUDIT_ENTRIES, presentAuditEntry);
  }
}

function presentAuditEntry(entry: AuditEntry): AuditEntryType {
  return make(AuditEntryType, { ...entry });
}
