/**
 * Keyset pages. Every list is ordered by its position, a key that never changes and is unique in the list. A page is
 * a range of positions. The cost of a page does not grow with its depth. Rows that are inserted meanwhile neither
 * shift nor repeat anything.
 */

/** The largest number of nodes that are counted in a list, or examined to count the nodes of a filter. */
export const COUNT_MAX = 10_000;

/** A position: a number that grows along the list, or an id. */
export type Position = bigint | string;

/** The range of a list that a page is read from. The order of the list decides what after and before mean. */
export interface PageRange<P extends Position> {
  /** The number of nodes, 1 to 100. */
  readonly size: number;
  /** Tells whether the page is counted from the end of the range. */
  readonly fromEnd: boolean;
  readonly after?: P;
  readonly before?: P;
}

export interface Page<Node> {
  /** The nodes in the order of the list. */
  readonly nodes: readonly Node[];
  readonly hasNextPage: boolean;
  readonly hasPreviousPage: boolean;
  /** The places at which the page begins and ends, if more rows than its nodes were examined. */
  readonly startPlace?: Place<Position>;
  readonly endPlace?: Place<Position>;
}

/** A page of a list that can be counted. */
export interface ListPage<Node> extends Page<Node> {
  /** Counts the whole list. @returns null if the list has more than COUNT_MAX nodes to count */
  readonly count: () => Promise<number | null>;
}

/** A position in a list, and the id of the row that proves the position. Cursors of earlier versions have no id. */
export interface Place<P extends Position> {
  readonly position: P;
  readonly rowId?: string | undefined;
}

/** A list of rows: its kind, and the id of the account or bulk that owns it; empty for a list of everything. */
export interface ListIdentity {
  readonly kind:
    | 'account'
    | 'bulk-transfer'
    | 'transfer'
    | 'incoming-transfer'
    | 'api-key'
    | 'audit'
    | 'dead-letter'
    | 'ledger-entry'
    | 'order'
    | 'order-row'
    | 'order-problem'
    | 'order-warning'
    | 'webhook'
    | 'webhook-delivery';
  readonly ownerId: string;
}
