import { Ctx, FieldResolver, Query, Resolver, Root } from 'type-graphql';
import type { OutboxReader } from '../application/ports.js';
import { AccountType } from '../schema/account.js';
import { OutboxMessageType, OutboxType } from '../schema/outbox.js';
import type { RequestContext } from './context.js';
import { loadReferenced } from './loaders.js';
import { make, presentAccount } from './present.js';

@Resolver(() => OutboxType)
export class OutboxResolver {
  constructor(private readonly reader: OutboxReader) {}

  @Query(() => OutboxType, { description: "What is to be published, for the bank's own staff." })
  async outbox(): Promise<OutboxType> {
    const [{ due, parked, oldestDueSince }, messages] = await Promise.all([
      this.reader.counts(),
      this.reader.parked(),
    ]);
    return make(OutboxType, {
      due,
      parked,
      oldestDueSince: oldestDueSince ?? null,
      parkedMessages: messages.map(
        ({ id, accountId, type, sequence, attempts, parkedAt, lastError }) =>
          make(OutboxMessageType, {
            id,
            accountId,
            type,
            sequence,
            attempts,
            parkedAt,
            lastError,
          }),
      ),
    });
  }
}

@Resolver(() => OutboxMessageType)
export class OutboxMessageResolver {
  @FieldResolver(() => AccountType)
  async account(
    @Root() { accountId }: OutboxMessageType,
    @Ctx() { loaders }: RequestContext,
  ): Promise<AccountType> {
    return presentAccount(await loadReferenced(loaders.account, accountId));
  }
}
