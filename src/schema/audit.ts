import { Field, ID, ObjectType } from 'type-graphql';
import { connectionOf } from './page.js';
import { DateTime } from './scalars.js';

@ObjectType('AuditEntry', {
  description:
    'The record of one mutation, or of what became of an order: its caller, time, address and outcome.',
  simpleResolvers: true,
})
export class AuditEntryType {
  @Field(() => ID)
  id!: string;

  @Field(() => DateTime)
  at!: Date;

  @Field(() => String, {
    description:
      'The mutation: performBulkTransfer …; performOrder or expireOrder for what the server did with an order.',
  })
  action!: string;

  @Field(() => String, {
    description: 'DONE, REPLAYED, the code of the refusal, or UNKNOWN.',
  })
  outcome!: string;

  @Field(() => String, { description: "A token's subject, or a key's prefix." })
  actor!: string;

  @Field(() => String, { description: 'token, api-key, development or program.' })
  actorKind!: string;

  @Field(() => String)
  remoteAddress!: string;

  @Field(() => String, {
    description: 'The request id, as in the header X-Request-Id and in the log.',
  })
  requestId!: string;

  @Field(() => ID, { nullable: true })
  accountId!: string | null;

  @Field(() => ID, {
    nullable: true,
    description:
      'The bulk, order, ledger entry, key, message or dead letter that was made, changed or deleted.',
  })
  subjectId!: string | null;

  @Field(() => String, {
    nullable: true,
    description: 'The reason that the caller gave for discardDeadLetters.',
  })
  reason!: string | null;
}

export const AuditEntryConnection = connectionOf('AuditEntry', AuditEntryType);
