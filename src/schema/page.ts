import { ArgsType, type ClassType, Field, Int, ObjectType } from 'type-graphql';
import { Cursor } from './scalars.js';

@ArgsType()
export class ForwardPageArgs {
  @Field(() => Int, {
    nullable: true,
    description: 'Number of nodes from the start: 1 to 100; 20 if both first and last are absent.',
  })
  first?: number;

  @Field(() => Cursor, { nullable: true, description: 'Only nodes after this cursor.' })
  after?: string;
}

@ArgsType()
export class PageArgs extends ForwardPageArgs {
  @Field(() => Int, {
    nullable: true,
    description: 'Number of nodes from the end: 1 to 100. BAD_USER_INPUT together with first.',
  })
  last?: number;

  @Field(() => Cursor, { nullable: true, description: 'Only nodes before this cursor.' })
  before?: string;
}

@ObjectType('PageInfo', {
  description: 'The position of a page in its list.',
  simpleResolvers: true,
})
class PageInfoType {
  @Field(() => Boolean)
  hasNextPage!: boolean;

  @Field(() => Boolean)
  hasPreviousPage!: boolean;

  @Field(() => Cursor, { nullable: true })
  startCursor!: string | null;

  @Field(() => Cursor, { nullable: true })
  endCursor!: string | null;
}

export interface Edge<Node> {
  readonly cursor: string;
  readonly node: Node;
}

export interface Connection<Node> {
  readonly edges: readonly Edge<Node>[];
  readonly nodes: readonly Node[];
  readonly pageInfo: PageInfoType;
  /** Resolves the field if a document selects it. Otherwise the list is not counted. */
  readonly totalCount: () => Promise<number | null>;
}

/** The connection type of a node type: `${name}Connection`, with its edge type. */
export function connectionOf<Node extends object>(
  name: string,
  node: ClassType<Node>,
): ClassType<Connection<Node>> {
  @ObjectType(`${name}Edge`, {
    description: 'A node of a page, and its position in the list.',
    simpleResolvers: true,
  })
  class EdgeType implements Edge<Node> {
    @Field(() => Cursor)
    cursor!: string;

    @Field(() => node)
    node!: Node;
  }

  @ObjectType(`${name}Connection`, { description: 'A page of a list.', simpleResolvers: true })
  class ConnectionType implements Connection<Node> {
    @Field(() => [EdgeType])
    edges!: EdgeType[];

    @Field(() => [node])
    nodes!: Node[];

    @Field(() => PageInfoType)
    pageInfo!: PageInfoType;

    @Field(() => Int, {
      nullable: true,
      description:
        'Number of nodes in the whole list: exact up to 10,000, null beyond. Also null if a filter has several conditions and more than 10,000 rows match each of them.',
    })
    totalCount!: () => Promise<number | null>;
  }

  return ConnectionType;
}
