import { Field, ID, InterfaceType } from 'type-graphql';

@InterfaceType('Node', { description: 'An object with an id that is unique over all types.' })
export abstract class NodeType {
  @Field(() => ID)
  id!: string;
}
