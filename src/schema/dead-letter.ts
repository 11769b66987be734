import { Field, ID, Int, ObjectType } from 'type-graphql';
import { NodeType } from './node.js';
import { connectionOf } from './page.js';
import { DateTime } from './scalars.js';

@ObjectType('DeadLetter', {
  implements: NodeType,
  description: 'A message on which a consumer of events gave up. Only operators see it.',
  simpleResolvers: true,
})
export class DeadLetterType extends NodeType {
  @Field(() => String, {
    description: "The name of the consumer's queue; unknown if none is named.",
  })
  consumer!: string;

  @Field(() => ID, {
    description:
      'The id of the event; sha256: and the hash of the payload if the message has no id.',
  })
  messageId!: string;

  @Field(() => String, { description: 'The type of the event; unknown if the message has none.' })
  type!: string;

  @Field(() => String, {
    description:
      'PERMANENT or ATTEMPTS_EXHAUSTED of a consumer; a reason of RabbitMQ, such as DELIVERY_LIMIT; MALFORMED or UNKNOWN. It ends in ", PAYLOAD_CUT" if the payload is only the beginning of the message, which cannot be sent again.',
  })
  reason!: string;

  @Field(() => Int, { description: 'Number of failed attempts.' })
  attempts!: number;

  @Field(() => String, { nullable: true, description: 'The error of the last attempt.' })
  lastError!: string | null;

  @Field(() => DateTime)
  firstFailedAt!: Date;

  @Field(() => DateTime)
  lastFailedAt!: Date;

  @Field(() => DateTime, { description: 'Time at which the server last received the message.' })
  receivedAt!: Date;

  @Field(() => String, {
    description:
      'The CloudEvent as JSON: the first 256 KiB. U+FFFD replaces control characters and bytes that are no UTF-8.',
  })
  payload!: string;
}

export const DeadLetterConnection = connectionOf('DeadLetter', DeadLetterType);

@ObjectType('DeadLettersResult', {
  description: 'The effect of a mutation on dead letters.',
  simpleResolvers: true,
})
export class DeadLettersResultType {
  @Field(() => Int, {
    description:
      'Number of dead letters that were sent or discarded. An id that is gone is not counted.',
  })
  count!: number;
}
