import { Arg, Ctx, ID, Query, Resolver } from 'type-graphql';
import type { DeadLetterStore } from '../application/ports/dead-letters.js';
import { canonicalId } from '../domain/id.js';
import { NodeType } from '../schema/node.js';
import type { RequestContext } from './context.js';
import {
  presentAccount,
  presentBulkTransfer,
  presentDeadLetter,
  presentIncomingTransfer,
  presentLedgerEntry,
  presentOrganization,
  presentTransfer,
} from './present.js';

@Resolver(() => NodeType)
export class NodeResolver {
  constructor(private readonly deadLetters: DeadLetterStore) {}

  @Query(() => NodeType, {
    nullable: true,
    description:
      'The account, bulk, transfer, ledger entry, organization or dead letter with an id; null if there is none, or if the caller does not see it. Only operators see dead letters.',
  })
  async node(
    @Arg('id', () => ID, { description: 'The id of any Node, a UUID in any case.' }) text: string,
    @Ctx() { loaders, source }: RequestContext,
  ): Promise<NodeType | null> {
    const id = canonicalId(text);
    if (id === undefined) return null;
    const [account, bulkTransfer, transfer, entry, incoming, organization] = await Promise.all([
      loaders.account.load(id),
      loaders.bulkTransfer.load(id),
      loaders.transfer.load(id),
      loaders.ledgerEntry.load(id),
      loaders.incomingTransfer.load(id),
      loaders.organization.load(id),
    ]);
    if (account) return presentAccount(account);
    if (bulkTransfer) return presentBulkTransfer(bulkTransfer);
    if (transfer) return presentTransfer(transfer);
    if (entry) return presentLedgerEntry(entry);
    if (incoming) return presentIncomingTransfer(incoming);
    if (organization) return presentOrganization(organization);
    if (!source.caller.roles.includes('operator')) return null;
    const letter = await this.deadLetters.byId(id);
    return letter && presentDeadLetter(letter);
  }
}
