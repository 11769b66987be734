import type { ScopedLedgerReader } from '../application/ports/scoped-ledger-reader.js';
import { UnknownCursorError } from '../domain/errors.js';
import {
  type CursorScope,
  type PageRange,
  type PageRequest,
  type Place,
  type Position,
  pageRange,
  placesIn,
} from '../domain/page.js';

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
