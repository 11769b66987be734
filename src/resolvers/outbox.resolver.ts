import { Arg, Ctx, FieldResolver, ID, Mutation, Query, Resolver, Root } from 'type-graphql';
import type { OutboxAdmin } from '../application/ports/outbox-admin.js';
import { canonicalId } from '../domain/id.js';
import { OUTBOX_SUBJECTS } from '../domain/kinds.js';
import { AccountType } from '../schema/account.js';
import { OutboxMessageType, OutboxType } from '../schema/outbox.js';
import { audited } from './audited.js';
import { type RequestContext, requireRole } from './context.js';
import { loadReferenced } from './loaders.js';
import { make, presentAccount } from './present.js';

@Resolver(() => OutboxType)
export class OutboxResolver {
  constructor(private readonly outboxAdmin: OutboxAdmin) {}

  @Query(() => OutboxType, {
    description:
      'The messages that wait to be published, and the parked messages. Requires the role OPERATOR, else FORBIDDEN.',
  })
  async outbox(@Ctx() context: RequestContext): Promise<OutboxType> {
    requireRole(context, 'operator');
    const [{ due, parked, oldestDueSince }, messages] = await Promise.all([
      this.outboxAdmin.counts(),
      this.outboxAdmin.parked(),
    ]);
    return make(OutboxType, {
      due,
      parked,
      oldestDueSince: oldestDueSince ?? null,
      parkedMessages: messages.map(
        ({ id, subjectId, type, sequence, attempts, parkedAt, lastError }) =>
          make(OutboxMessageType, {
            id,
            accountId: OUTBOX_SUBJECTS[type] === 'account' ? subjectId : null,
            type,
            sequence,
            attempts,
            parkedAt,
            lastError,
          }),
      ),
    });
  }

  @Mutation(() => Boolean, {
    description:
      'Retries a parked message, from its first attempt. False if no parked message has the id. Requires the role OPERATOR, else FORBIDDEN.',
  })
  retryOutboxMessage(
    @Arg('id', () => ID, { description: 'OutboxMessage.id, a UUID in any case.' }) text: string,
    @Ctx() context: RequestContext,
  ): Promise<boolean> {
    return audited(context, 'retryOutboxMessage', async () => {
      const id = canonicalId(text);
      const answer = id !== undefined && (await this.outboxAdmin.retry(id, context.source));
      return { answer };
    });
  }
}

@Resolver(() => OutboxMessageType)
export class OutboxMessageResolver {
  @FieldResolver(() => AccountType, {
    nullable: true,
    description: 'The account that the message is about; null if it is about something else.',
  })
  async account(
    @Root() { accountId }: OutboxMessageType,
    @Ctx() { loaders }: RequestContext,
  ): Promise<AccountType | null> {
    if (accountId === null) return null;
    return presentAccount(await loadReferenced(loaders.account, accountId));
  }
}
