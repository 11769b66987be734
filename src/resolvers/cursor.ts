/**
 * Cursors of connections. A cursor is the position of a node. If positions are numbers, the cursor also has the id of a
 * row at the position. A ledger that was restored from a backup gives the same numbers to other rows. A client that
 * continued from its old cursor would miss these rows.
 */
import type { ListIdentity, Place, Position } from '../application/ports/page.js';
import { BadUserInputError } from '../domain/errors.js';
import { isId } from '../domain/id.js';

/** A list that has cursors, and the parser of its positions. */
export interface CursorScope<P extends Position> extends ListIdentity {
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
    throw new BadUserInputError(
      'The cursor does not belong to this list: use a cursor from one of its pages.',
    );
  }
  return { position, rowId };
}
