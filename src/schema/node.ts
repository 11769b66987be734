import { Field, ID, InterfaceType } from 'type-graphql';

@InterfaceType('Node', { description: 'Anything that has an id, unique over all types.' })
export abstract class NodeType {
  @Field(() => ID)
  id!: string;
}
