import { Field, ObjectType } from 'type-graphql';
import type { Role } from '../domain/kinds.js';
import { RoleEnum } from './api-key.js';
import { NodeType } from './node.js';

@ObjectType('Organization', {
  implements: NodeType,
  description: 'A company or bank that has accounts. API keys belong to organizations.',
  simpleResolvers: true,
})
export class OrganizationType extends NodeType {
  @Field(() => String, { description: 'Name of the organization and of all of its accounts.' })
  name!: string;
}

@ObjectType('Me', {
  description: 'The caller that the token or the API key identifies.',
  simpleResolvers: true,
})
export class MeType {
  @Field(() => String, {
    description: 'The subject of the token or the prefix of the API key, as in the audit log.',
  })
  actor!: string;

  @Field(() => [RoleEnum], { description: 'Roles of the caller.' })
  roles!: Role[];
}
