import { createUnionType, Field, ID, InputType, ObjectType, registerEnumType } from 'type-graphql';
import type { Role } from '../domain/caller.js';
import { connectionOf } from './page.js';
import { DateTime } from './scalars.js';
import { InvalidInputType } from './user-errors.js';

const RoleEnum = {
  VIEWER: 'viewer',
  INITIATOR: 'initiator',
  OPERATOR: 'operator',
  MONITOR: 'monitor',
} as const;

registerEnumType(RoleEnum, {
  name: 'Role',
  description:
    'VIEWER reads; INITIATOR also performs bulks; OPERATOR, the bank, opens and credits accounts, and sees all; MONITOR reads the metrics alone.',
});

@ObjectType('ApiKey', { description: 'The way in of a machine.', simpleResolvers: true })
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

@InputType('CreateApiKeyInput')
export class CreateApiKeyInput {
  @Field(() => String, { description: '1 to 140 characters: what it is for.' })
  name!: string;

  @Field(() => [ID], { description: 'Organizations whose accounts it is for.' })
  organizationIds!: string[];

  @Field(() => [RoleEnum])
  roles!: Role[];
}

@ObjectType('ApiKeyCreated', { description: 'The key is told here alone.', simpleResolvers: true })
export class ApiKeyCreatedType {
  @Field(() => ApiKeyType)
  apiKey!: ApiKeyType;

  @Field(() => String, { description: 'To be sent as Authorization: Bearer …' })
  secret!: string;
}

export const CreateApiKeyResult = createUnionType({
  name: 'CreateApiKeyResult',
  types: () => [ApiKeyCreatedType, InvalidInputType] as const,
});

export const ApiKeyConnection = connectionOf('ApiKey', ApiKeyType);
