/**
 * Keyset pages. Every list is ordered by its position, a key that never changes and is unique in the list. A page is
 * a range of positions. The cost of a page does not grow with its depth. Rows that are inserted meanwhile neither
 * shift nor repeat anything.
 *
 * A cursor is the position of a node. If positions are numbers, the cursor also has the id of a row at the position.
 * A ledger that was restored from a backup gives the same numbers to other rows. A client that continued from its old
 * cursor would miss these rows.
 */
import { BadUserInputError } from './errors.js';

export const PAGE_SIZE_MAX = 100;
export const PAGE_SIZE_DEFAULT = 20;

/** The largest number of nodes that are counted in a list, or examined to count the nodes of a filter. */
export const COUNT_MAX = 10_000;

/** A position: a number that grows along the list, or an id. */
export type Position = bigint | string;

/** The arguments of a connection, as the client sent them. */
export interface PageRequest {
  readonly first?: number | null | undefined;
  readonly after?: string | null | undefined;
  readonly last?: number | null | undefined;
  readonly before?: string | null | undefined;
}

/** A checked request. The order of the list decides what after and before mean. */
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

/** A list that has cursors: its kind, its owner, and the parser of its positions. */
export interface CursorScope<P extends Position> {
  readonly kind:
    | 'account'
    | 'bulk-transfer'
    | 'transfer'
    | 'incoming-transfer'
    | 'api-key'
    | 'audit'
    | 'ledger-entry';
  /** The id of the account or bulk that owns the list; empty for a list of everything. */
  readonly ownerId: string;
  readonly parse: (text: string) => P | undefined;
  /**
   * Tells whether the place of a cursor is looked up in the ledger. No look-up is needed if the owner's id proves the
   * place.
   */
  readonly isVerified: boolean;
}

const SEPARATOR = '~';

/** Reads a position that is a number of up to 16 digits. */
export function parseNumber(text: string): bigint | undefined {
  return /^[0-9]{1,16}$/.test(text) ? BigInt(text) : undefined;
}

/** Reads a position that is an id. */
export function parseId(text: string): string | undefined {
  return isId(text) ? text : undefined;
}

/** Tells whether a text is a UUID in its canonical form. */
export function isId(text: string): boolean {
  return /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/.test(text);
}

/**
 * Returns the canonical form of a UUID. Clients may write a UUID in capitals (RFC 9562, section 4).
 * @returns undefined for any other text
 */
export function canonicalId(text: string): string | undefined {
  const id = text.toLowerCase();
  return isId(id) ? id : undefined;
}

/** Encodes a place in a list as an opaque cursor. */
export function encodeCursor<P extends Position>(
  { kind, ownerId }: CursorScope<P>,
  { position, rowId }: Place<P>,
): string {
  const parts = [kind, ownerId, position, ...(rowId === undefined ? [] : [rowId])];
  return Buffer.from(parts.join(SEPARATOR)).toString('base64url');
}

/**
 * Decodes a cursor to its place in the list.
 * @throws BadUserInputError for a cursor of another list, or a text that is no cursor
 */
export function decodeCursor<P extends Position>(scope: CursorScope<P>, cursor: string): Place<P> {
  const [kind, ownerId, text, rowId, ...rest] = Buffer.from(cursor, 'base64url')
    .toString()
    .split(SEPARATOR);
  const isOurs = kind === scope.kind && ownerId === scope.ownerId && rest.length === 0;
  const hasRow = rowId === undefined || (scope.isVerified && isId(rowId));
  const position = isOurs && hasRow && text !== undefined ? scope.parse(text) : undefined;
  if (position === undefined || encodeCursor(scope, { position, rowId }) !== cursor) {
    throw new BadUserInputError('The cursor is not one of this list.');
  }
  return { position, rowId };
}

/** Returns the places that the arguments of a connection name. */
export function placesIn<P extends Position>(
  { after, before }: PageRequest,
  scope: CursorScope<P>,
): Place<P>[] {
  return [after, before].flatMap((cursor) => (cursor == null ? [] : decodeCursor(scope, cursor)));
}

/**
 * Checks the arguments of a connection.
 * @throws BadUserInputError if first or last is outside 1 to 100, if both are given, or for a foreign cursor
 */
export function pageRange<P extends Position>(
  request: PageRequest,
  scope: CursorScope<P>,
): PageRange<P> {
  const { first, last, after, before } = request;
  if (first != null && last != null) {
    throw new BadUserInputError('Give first or last, not both.');
  }
  for (const [name, size] of Object.entries({ first, last })) {
    if (size != null && (size < 1 || size > PAGE_SIZE_MAX)) {
      throw new BadUserInputError(`${name} is ${size}; it must be 1 to ${PAGE_SIZE_MAX}.`);
    }
  }
  return {
    size: first ?? last ?? PAGE_SIZE_DEFAULT,
    fromEnd: last != null,
    ...(after != null && { after: decodeCursor(scope, after).position }),
    ...(before != null && { before: decodeCursor(scope, before).position }),
  };
}

/**
 * Makes a page from the rows that were read for a range: one node more than the page size, read from the end if the
 * page is counted from the end. Rows are never deleted, so the node of a cursor of this list is itself a node beyond
 * the page. A cursor that was made with another filter is accepted as a cursor of this list.
 */
export function toPage<Node, P extends Position>(
  read: readonly Node[],
  range: PageRange<P>,
): Page<Node> {
  const hasMore = read.length > range.size;
  const nodes = read.slice(0, range.size);
  return {
    nodes: range.fromEnd ? nodes.reverse() : nodes,
    hasNextPage: range.fromEnd ? range.before !== undefined : hasMore,
    hasPreviousPage: range.fromEnd ? hasMore : range.after !== undefined,
  };
}
