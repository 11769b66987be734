import { Arg, Ctx, FieldResolver, ID, Query, Resolver, Root } from 'type-graphql';
import { canonicalId } from '../domain/id.js';
import { AccountType } from '../schema/account.js';
import { BulkTransferType } from '../schema/bulk-transfer.js';
import { TransferType } from '../schema/transfer.js';
import type { RequestContext } from './context.js';
import { loadReferenced } from './loaders.js';
import { presentAccount, presentBulkTransfer, presentTransfer } from './present.js';

@Resolver(() => TransferType)
export class TransferResolver {
  @Query(() => TransferType, {
    nullable: true,
    description:
      'The transfer with an id; null if there is none, or if the caller does not see its account.',
  })
  async transfer(
    @Arg('id', () => ID, { description: 'Transfer.id, a UUID in any case.' }) text: string,
    @Ctx() { loaders }: RequestContext,
  ): Promise<TransferType | null> {
    const id = canonicalId(text);
    const transfer = id === undefined ? null : await loaders.transfer.load(id);
    return transfer && presentTransfer(transfer);
  }

  @FieldResolver(() => BulkTransferType)
  async bulkTransfer(
    @Root() { bulkTransferId }: TransferType,
    @Ctx() { loaders }: RequestContext,
  ): Promise<BulkTransferType> {
    return presentBulkTransfer(await loadReferenced(loaders.bulkTransfer, bulkTransferId));
  }

  @FieldResolver(() => AccountType, { description: 'The account that was debited.' })
  async account(
    @Root() { accountId }: TransferType,
    @Ctx() { loaders }: RequestContext,
  ): Promise<AccountType> {
    return presentAccount(await loadReferenced(loaders.account, accountId));
  }
}
