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
  description: 'What a caller may do.',
  valuesConfig: {
    VIEWER: { description: 'Reads the accounts of its organizations.' },
    INITIATOR: { description: 'Reads them, and performs bulks from them.' },
    OPERATOR: {
      description:
        'The bank: sees every account, opens and credits accounts, looks after API keys, the audit log and the outbox.',
    },
    MONITOR: { description: 'Reads /metrics, and nothing of the ledger.' },
  } satisfies Descriptions<keyof typeof RoleEnum>,
});

@ObjectType('ApiKey', {
  description: 'The key of a machine, which calls with it in place of a token.',
  simpleResolvers: true,
})
export class ApiKeyType {
  @Field(() => String, {
    description: 'What it is called by: the part of the key that is no secret.',
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

  @Field(() => DateTime, { nullable: true })
  revokedAt!: Date | null;
}

@InputType('CreateApiKeyInput', { description: 'An API key to make.' })
export class CreateApiKeyInput {
  @Field(() => String, { description: 'What the key is for, for people: 1 to 140 characters.' })
  name!: string;

  @Field(() => [ID], {
    description:
      'Ids of the organizations whose accounts it is for: 100 at most, each with an account; UUIDs in any case.',
  })
  organizationIds!: string[];

  @Field(() => [RoleEnum], { description: 'What the key may do: one role at least.' })
  roles!: Role[];
}

@ObjectType('ApiKeyCreated', {
  description: 'The key was made. Its secret is told here alone.',
  simpleResolvers: true,
})
export class ApiKeyCreatedType {
  @Field(() => ApiKeyType)
  apiKey!: ApiKeyType;

  @Field(() => String, { description: 'To be sent as Authorization: Bearer …' })
  secret!: string;
}

export const CreateApiKeyResult = createUnionType({
  name: 'CreateApiKeyResult',
  description: 'The key that was made, or what is wrong with the input.',
  types: () => [ApiKeyCreatedType, InvalidInputType] as const,
});

export const ApiKeyConnection = connectionOf('ApiKey', ApiKeyType);
