/**
 * Keyset pages. Every list is ordered by one key that never changes and is unique in the list, its
 * position. A page is a range of positions, so that its cost does not grow with its depth, and rows inserted
 * meanwhile neither shift nor repeat anything.
 *
 * A cursor is the position of a node. Where positions are numbers it also has the id of a row at the
 * position: a ledger that was restored from a backup gives the same numbers to other rows, and a client that went on
 * from its old cursor would miss them.
 */
import { BadUserInputError } from './errors.js';

export const PAGE_SIZE_MAX = 100;
export const PAGE_SIZE_DEFAULT = 20;

/** Nodes of a list that are counted, or examined to count those of a filter. */
export const COUNT_MAX = 10_000;

/** A number that grows along the list, or an id. */
export type Position = bigint | string;

/** The arguments of a connection, as the client sent them. */
export interface PageRequest {
  readonly first?: number | null | undefined;
  readonly after?: string | null | undefined;
  readonly last?: number | null | undefined;
  readonly before?: string | null | undefined;
}

/** A checked request. The list's own order decides what after and before mean. */
export interface PageRange<P extends Position> {
  /** How many nodes, 1 to 100. */
  readonly size: number;
  /** Whether the page is counted from the end of the range. */
  readonly fromEnd: boolean;
  readonly after?: P;
  readonly before?: P;
}

export interface Page<Node> {
  /** In the list's order. */
  readonly nodes: readonly Node[];
  readonly hasNextPage: boolean;
  readonly hasPreviousPage: boolean;
  /** The places at which the page begins and ends, where more was examined than its nodes. */
  readonly startPlace?: Place<Position>;
  readonly endPlace?: Place<Position>;
}

/** A page of a list that can be counted. */
export interface ListPage<Node> extends Page<Node> {
  /** Counts the whole list. @returns null where that would take more than COUNT_MAX nodes */
  readonly count: () => Promise<number | null>;
}

/** A position in a list, and the id of the row that proves it; absent in cursors of earlier versions. */
export interface Place<P extends Position> {
  readonly position: P;
  readonly rowId?: string | undefined;
}

/** A list that has cursors: what it lists, of whom, and how its positions are read. */
export interface CursorScope<P extends Position> {
  readonly kind:
    | 'account'
    | 'bulk-transfer'
    | 'transfer'
    | 'incoming-transfer'
    | 'api-key'
    | 'audit'
    | 'ledger-entry';
  /** Id of the account or bulk whose list it is; empty for a list of all. */
  readonly ownerId: string;
  readonly parse: (text: string) => P | undefined;
  /**
   * Tells whether the ledger is asked for a cursor's place. It is not asked where the owner's id proves the place.
   */
  readonly isVerified: boolean;
}

const SEPARATOR = '~';

/** Reads a position that is a number, up to 16 digits. */
export function parseNumber(text: string): bigint | undefined {
  return /^[0-9]{1,16}$/.test(text) ? BigInt(text) : undefined;
}

/** Reads a position that is an id. */
export function parseId(text: string): string | undefined {
  return isId(text) ? text : undefined;
}

/** Whether a text is a UUID in its canonical form. */
export function isId(text: string): boolean {
  return /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/.test(text);
}

/** Returns the canonical form of a UUID, which clients may write in capitals (RFC 9562, section 4); undefined for any other text. */
export function canonicalId(text: string): string | undefined {
  const id = text.toLowerCase();
  return isId(id) ? id : undefined;
}

/** The opaque cursor of a place in a list. */
export function encodeCursor<P extends Position>(
  { kind, ownerId }: CursorScope<P>,
  { position, rowId }: Place<P>,
): string {
  const parts = [kind, ownerId, position, ...(rowId === undefined ? [] : [rowId])];
  return Buffer.from(parts.join(SEPARATOR)).toString('base64url');
}

/**
 * The place that a cursor stands for.
 * @throws BadUserInputError for a cursor of another list, or no cursor at all
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

/** The places that the arguments of a connection name. */
export function placesIn<P extends Position>(
  { after, before }: PageRequest,
  scope: CursorScope<P>,
): Place<P>[] {
  return [after, before].flatMap((cursor) => (cursor == null ? [] : decodeCursor(scope, cursor)));
}

/**
 * Checks the arguments of a connection.
 * @throws BadUserInputError for first or last out of 1 to 100, both, or a foreign cursor
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
 * Makes a page of what was read for a range: one node more than its size, from the end where it is
 * counted from there. Nothing is ever deleted, so what a cursor of this list stands for is itself a
 * node beyond the page; a cursor that was had with another filter is taken for one of this list.
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
