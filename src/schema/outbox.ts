import { Field, ID, Int, ObjectType } from 'type-graphql';
import { OUTBOX_MESSAGE_TYPES } from '../domain/kinds.js';
import { DateTime, Int64 } from './scalars.js';

@ObjectType('OutboxMessage', {
  description: 'Something that happened, and could not be published.',
  simpleResolvers: true,
})
export class OutboxMessageType {
  accountId!: string | null;

  @Field(() => ID)
  id!: string;

  @Field(() => String, { description: `${OUTBOX_MESSAGE_TYPES.join(' or ')}.` })
  type!: string;

  @Field(() => Int64, {
    description:
      'The number of the message, in the order of commit. For an account, it is the number of a ledger entry.',
  })
  sequence!: bigint;

  @Field(() => Int, { description: 'How often publishing it was tried.' })
  attempts!: number;

  @Field(() => DateTime)
  parkedAt!: Date | null;

  @Field(() => String, { nullable: true, description: 'Why the last attempt failed.' })
  lastError!: string | null;
}

@ObjectType('Outbox', { description: 'What is to be published.', simpleResolvers: true })
export class OutboxType {
  @Field(() => Int, { description: 'Messages that wait to be published.' })
  due!: number;

  @Field(() => DateTime, { nullable: true, description: 'When the oldest of them happened.' })
  oldestDueSince!: Date | null;

  @Field(() => Int, { description: 'Messages that were given up on.' })
  parked!: number;

  @Field(() => [OutboxMessageType], { description: 'The first 100 of those, oldest first.' })
  parkedMessages!: OutboxMessageType[];
}
