import type { PageRange, Place, Position } from '../application/ports/page.js';
import type { ScopedLedgerReader } from '../application/ports/scoped-ledger-reader.js';
import { BadUserInputError, UnknownCursorError } from '../domain/errors.js';
import { type CursorScope, decodeCursor } from './cursor.js';

export const PAGE_SIZE_MAX = 100;
export const PAGE_SIZE_DEFAULT = 20;

/** The arguments of a connection, as the client sent them. */
export interface PageRequest {
  readonly first?: number | null | undefined;
  readonly after?: string | null | undefined;
  readonly last?: number | null | undefined;
  readonly before?: string | null | undefined;
}

/**
 * Checks the arguments of a connection.
 * @throws BadUserInputError if first or last is outside 1 to 100, if both are given, or for a foreign cursor;
 *   UnknownCursorError for a cursor of a place that the ledger does not have
 */
export async function readPageRange<P extends Position>(
  request: PageRequest,
  scope: CursorScope<P>,
  reader: ScopedLedgerReader,
): Promise<PageRange<P>> {
  const range = pageRange(request, scope);
  for (const place of placesIn(request, scope)) await requirePlace(scope, place, reader);
  return range;
}

/** @throws UnknownCursorError if the ledger does not have the place */
export async function requirePlace<P extends Position>(
  scope: CursorScope<P>,
  place: Place<P>,
  reader: ScopedLedgerReader,
): Promise<void> {
  if (scope.isVerified && !(await reader.hasPlace(scope, place))) throw new UnknownCursorError();
}

/** Returns the places that the arguments of a connection name. */
function placesIn<P extends Position>(
  { after, before }: PageRequest,
  scope: CursorScope<P>,
): Place<P>[] {
  return [after, before].flatMap((cursor) => (cursor == null ? [] : decodeCursor(scope, cursor)));
}

/**
 * Checks the arguments of a connection without the ledger.
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
