import { Arg, Ctx, ID, Query, Resolver } from 'type-graphql';
import type { DeadLetterStore } from '../application/ports/dead-letters.js';
import type { OrderStore } from '../application/ports/order-store.js';
import type { WebhookStore } from '../application/ports/webhook-store.js';
import { type RequestSource, visibleOrganizations } from '../domain/caller.js';
import { canonicalId } from '../domain/id.js';
import { NodeType } from '../schema/node.js';
import type { RequestContext } from './context.js';
import { ORDER_READERS } from './order.resolver.js';
import {
  presentAccount,
  presentBulkTransfer,
  presentDeadLetter,
  presentDelivery,
  presentIncomingTransfer,
  presentLedgerEntry,
  presentOrganization,
  presentTransfer,
  presentWebhook,
} from './present.js';
import { presentOrder } from './present-order.js';
import { WEBHOOK_READERS } from './webhook.resolver.js';

@Resolver(() => NodeType)
export class NodeResolver {
  constructor(
    private readonly deadLetters: DeadLetterStore,
    private readonly webhooks: WebhookStore,
    private readonly orders: OrderStore,
  ) {}

  @Query(() => NodeType, {
    nullable: true,
    description:
      'The account, bulk, order, transfer, ledger entry, organization, webhook, delivery or dead letter with an id; null if there is none, or if the caller does not see it. Only initiators and operators see webhooks, and only operators see dead letters.',
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
    return (
      (await this.#orderNode(id, source)) ??
      (await this.#webhookNode(id, source)) ??
      this.#deadLetterNode(id, source)
    );
  }

  async #orderNode(id: string, { caller }: RequestSource): Promise<NodeType | null> {
    if (!ORDER_READERS.some((role) => caller.roles.includes(role))) return null;
    const order = await this.orders.byId(id, visibleOrganizations(caller));
    return order && presentOrder(order);
  }

  async #webhookNode(id: string, { caller }: RequestSource): Promise<NodeType | null> {
    if (!WEBHOOK_READERS.some((role) => caller.roles.includes(role))) return null;
    const organizations = visibleOrganizations(caller);
    const webhook = await this.webhooks.byId(id, organizations);
    if (webhook) return presentWebhook(webhook);
    const delivery = await this.webhooks.deliveryById(id, organizations);
    return delivery && presentDelivery(delivery);
  }

  async #deadLetterNode(id: string, { caller }: RequestSource): Promise<NodeType | null> {
    const letter = caller.roles.includes('operator') ? await this.deadLetters.byId(id) : null;
    return letter && presentDeadLetter(letter);
  }
}
