import { Arg, Args, Ctx, ID, Mutation, Query, Resolver } from 'type-graphql';
import type { ManageDeadLetters } from '../application/manage-dead-letters.js';
import type { DeadLetterStore } from '../application/ports/dead-letters.js';
import {
  DeadLetterConnection,
  DeadLettersResultType,
  DeadLetterType,
} from '../schema/dead-letter.js';
import { type Connection, PageArgs } from '../schema/page.js';
import { audited } from './audited.js';
import { type RequestContext, requireRole } from './context.js';
import { DEAD_LETTERS } from './cursor-scopes.js';
import { make, presentDeadLetter, presentPage } from './present.js';
import { readPageRange } from './read-page-range.js';

@Resolver(() => DeadLetterType)
export class DeadLetterResolver {
  constructor(
    private readonly useCases: ManageDeadLetters,
    private readonly store: DeadLetterStore,
  ) {}

  @Query(() => DeadLetterConnection, {
    description:
      'The messages on which consumers of events gave up, newest first. Requires the role OPERATOR, else FORBIDDEN.',
  })
  async deadLetters(
    @Args(() => PageArgs) page: PageArgs,
    @Arg('consumer', () => String, {
      nullable: true,
      description: "The name of a consumer's queue: only its dead letters. All if absent.",
    })
    consumer: string | null,
    @Ctx() context: RequestContext,
  ): Promise<Connection<DeadLetterType>> {
    requireRole(context, 'operator');
    const range = await readPageRange(page, DEAD_LETTERS, context.reader);
    const letters = await this.store.list(consumer ?? undefined, range);
    return presentPage(letters, DEAD_LETTERS, presentDeadLetter);
  }

  @Mutation(() => DeadLettersResultType, {
    description:
      'Sends dead letters to the queues of their consumers again, and deletes them. Ids that are gone are skipped, so a call may be repeated. A message is sent at least once. BAD_USER_INPUT if a queue does not exist, or a payload was cut: these dead letters are kept. Requires the role OPERATOR, else FORBIDDEN.',
  })
  replayDeadLetters(
    @Arg('ids', () => [ID], { description: 'Values of DeadLetter.id: 1 to 100.' }) ids: string[],
    @Ctx() context: RequestContext,
  ): Promise<DeadLettersResultType> {
    return audited(context, 'replayDeadLetters', async () => {
      const count = await this.useCases.replay(ids, context.source);
      return { answer: make(DeadLettersResultType, { count }) };
    });
  }

  @Mutation(() => DeadLettersResultType, {
    description:
      'Deletes dead letters for good. Ids that are gone are skipped. The audit log keeps the reason. Requires the role OPERATOR, else FORBIDDEN.',
  })
  discardDeadLetters(
    @Arg('ids', () => [ID], { description: 'Values of DeadLetter.id: 1 to 100.' }) ids: string[],
    @Arg('reason', () => String, {
      description: 'Why the messages are not needed: 1 to 140 characters.',
    })
    reason: string,
    @Ctx() context: RequestContext,
  ): Promise<DeadLettersResultType> {
    return audited(context, 'discardDeadLetters', async () => {
      const count = await this.useCases.discard(ids, reason, context.source);
      return { answer: make(DeadLettersResultType, { count }) };
    });
  }
}
