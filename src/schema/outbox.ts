import { Field, ID, Int, ObjectType } from 'type-graphql';
import { OUTBOX_MESSAGE_TYPES } from '../domain/kinds.js';
import { DateTime, Int64 } from './scalars.js';

@ObjectType('OutboxMessage', {
  description: 'A bulk or credit whose events could not be published.',
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

  @Field(() => Int, { description: 'Number of attempts to publish the message.' })
  attempts!: number;

  @Field(() => DateTime)
  parkedAt!: Date | null;

  @Field(() => String, { nullable: true, description: 'The error of the last attempt.' })
  lastError!: string | null;
}

@ObjectType('Outbox', {
  description: 'The messages that are not published yet.',
  simpleResolvers: true,
})
export class OutboxType {
  @Field(() => Int, { description: 'Number of messages that wait to be published.' })
  due!: number;

  @Field(() => DateTime, { nullable: true, description: 'Time of the oldest message that waits.' })
  oldestDueSince!: Date | null;

  @Field(() => Int, {
    description: 'Number of parked messages, which the server no longer tries to publish.',
  })
  parked!: number;

  @Field(() => [OutboxMessageType], {
    description: 'The oldest 100 parked messages, oldest first.',
  })
  parkedMessages!: OutboxMessageType[];
}
