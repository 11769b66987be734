import { Arg, Ctx, ID, Query, Resolver } from 'type-graphql';
import { canonicalId } from '../domain/page.js';
import { NodeType } from '../schema/node.js';
import type { RequestContext } from './context.js';
import {
  presentAccount,
  presentBulkTransfer,
  presentIncomingTransfer,
  presentLedgerEntry,
  presentTransfer,
} from './present.js';

@Resolver(() => NodeType)
export class NodeResolver {
  @Query(() => NodeType, { nullable: true })
  async node(
    @Arg('id', () => ID) text: string,
    @Ctx() { loaders }: RequestContext,
  ): Promise<NodeType | null> {
    const id = canonicalId(text);
    if (id === undefined) return null;
    const [account, bulkTransfer, transfer, entry, incoming] = await Promise.all([
      loaders.account.load(id),
      loaders.bulkTransfer.load(id),
      loaders.transfer.load(id),
      loaders.ledgerEntry.load(id),
      loaders.incomingTransfer.load(id),
    ]);
    if (account) return presentAccount(account);
    if (bulkTransfer) return presentBulkTransfer(bulkTransfer);
    if (transfer) return presentTransfer(transfer);
    if (entry) return presentLedgerEntry(entry);
    return incoming && presentIncomingTransfer(incoming);
  }
}
