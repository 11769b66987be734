import { Ctx, FieldResolver, Resolver, Root } from 'type-graphql';
import { AccountType } from '../schema/account.js';
import { IncomingTransferType } from '../schema/incoming-transfer.js';
import type { RequestContext } from './context.js';
import { loadReferenced } from './loaders.js';
import { presentAccount } from './present.js';

@Resolver(() => IncomingTransferType)
export class IncomingTransferResolver {
  @FieldResolver(() => AccountType, { description: 'The account that was credited.' })
  async account(
    @Root() { accountId }: IncomingTransferType,
    @Ctx() { loaders }: RequestContext,
  ): Promise<AccountType> {
    return presentAccount(await loadReferenced(loaders.account, accountId));
  }
}
