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
  @Field(() => String, { description: 'Its name, which all of its accounts have.' })
  name!: string;
}

@ObjectType('Me', {
  description: 'The caller, as its token or API key says.',
  simpleResolvers: true,
})
export class MeType {
  @Field(() => String, {
    description: 'The subject of the token or the prefix of the API key, as the audit log has it.',
  })
  actor!: string;

  @Field(() => [RoleEnum], { description: 'What the caller may do.' })
  roles!: Role[];
}
