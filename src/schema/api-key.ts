import { createUnionType, Field, ID, InputType, ObjectType, registerEnumType } from 'type-graphql';
import type { Role } from '../domain/kinds.js';
import type { Descriptions } from './enum.js';
import { connectionOf } from './page.js';
import { DateTime } from './scalars.js';
import { InvalidInputType } from './user-errors.js';

export const RoleEnum = {
  VIEWER: 'viewer',
  INITIATOR: 'initiator',
  OPERATOR: 'operator',
  MONITOR: 'monitor',
} as const satisfies { readonly [Each in Role as Uppercase<Each>]: Each };

registerEnumType(RoleEnum, {
  name: 'Role',
  description: 'A role decides what a caller may do.',
  valuesConfig: {
    VIEWER: { description: 'Reads the accounts of its organizations.' },
    INITIATOR: {
      description: 'Reads the accounts of its organizations, and performs bulks from them.',
    },
    OPERATOR: {
      description:
        'The bank: reads every account, opens and credits accounts, manages API keys, the outbox and dead letters, and reads the audit log.',
    },
    MONITOR: { description: 'Reads /metrics only.' },
  } satisfies Descriptions<keyof typeof RoleEnum>,
});

@ObjectType('ApiKey', {
  description: 'A key with which a machine calls the API instead of a token.',
  simpleResolvers: true,
})
export class ApiKeyType {
  @Field(() => String, {
    description: 'The part of the key that is not secret. It identifies the key.',
  })
  prefix!: string;

  @Field(() => String)
  name!: string;

  @Field(() => [ID])
  organizationIds!: string[];

  @Field(() => [RoleEnum])
  roles!: Role[];

  @Field(() => DateTime)
  createdAt!: Date;

  @Field(() => String)
  createdBy!: string;

  @Field(() => DateTime, {
    nullable: true,
    description: 'The time from which the key is refused. Null if it does not expire.',
  })
  expiresAt!: Date | null;

  @Field(() => DateTime, {
    nullable: true,
    description:
      'A use of the key that is at most an hour older than the last one. Null if the key was never used.',
  })
  lastUsedAt!: Date | null;

  @Field(() => DateTime, { nullable: true })
  revokedAt!: Date | null;
}

@InputType('CreateApiKeyInput', { description: 'An API key to make.' })
export class CreateApiKeyInput {
  @Field(() => String, {
    description: 'A description of the purpose of the key: 1 to 140 characters.',
  })
  name!: string;

  @Field(() => [ID], {
    description:
      'Ids of the organizations whose accounts the key may use: at most 100, each with an account; UUIDs in any case.',
  })
  organizationIds!: string[];

  @Field(() => [RoleEnum], { description: 'Roles of the key: at least one.' })
  roles!: Role[];

  @Field(() => DateTime, {
    nullable: true,
    description:
      'The time from which the key is refused, also in streams. Without it, the key is valid until it is revoked.',
  })
  expiresAt?: Date | null;
}

@ObjectType('ApiKeyCreated', {
  description: 'The key was made. Only this answer contains its secret.',
  simpleResolvers: true,
})
export class ApiKeyCreatedType {
  @Field(() => ApiKeyType)
  apiKey!: ApiKeyType;

  @Field(() => String, { description: 'Send it as Authorization: Bearer …' })
  secret!: string;
}

export const CreateApiKeyResult = createUnionType({
  name: 'CreateApiKeyResult',
  description: 'The key that was made, or the problems of the input.',
  types: () => [ApiKeyCreatedType, InvalidInputType] as const,
});

export const ApiKeyConnection = connectionOf('ApiKey', ApiKeyType);
