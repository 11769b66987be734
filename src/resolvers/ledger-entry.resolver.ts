import { Ctx, FieldResolver, Resolver, Root } from 'type-graphql';
import { AccountType } from '../schema/account.js';
import { BulkTransferType } from '../schema/bulk-transfer.js';
import { LedgerEntryType } from '../schema/ledger-entry.js';
import type { RequestContext } from './context.js';
import { loadReferenced } from './loaders.js';
import { presentAccount, presentBulkTransfer } from './present.js';

@Resolver(() => LedgerEntryType)
export class LedgerEntryResolver {
  @FieldResolver(() => AccountType)
  async account(
    @Root() { accountId }: LedgerEntryType,
    @Ctx() { loaders }: RequestContext,
  ): Promise<AccountType> {
    return presentAccount(await loadReferenced(loaders.account, accountId));
  }

  @FieldResolver(() => BulkTransferType, {
    nullable: true,
    description:
      'The bulk that moved the money; null for money from outside, and for transfers from another organization.',
  })
  async bulkTransfer(
    @Root() { bulkTransferId }: LedgerEntryType,
    @Ctx() { loaders }: RequestContext,
  ): Promise<BulkTransferType | null> {
    if (bulkTransferId === null) return null;
    // A credit of this account may belong to a bulk of another organization.
    const bulkTransfer = await loaders.bulkTransfer.load(bulkTransferId);
    return bulkTransfer && presentBulkTransfer(bulkTransfer);
  }
}
