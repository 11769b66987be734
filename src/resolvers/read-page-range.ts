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
 * @throws BadUserInputError for first or last out of 1 to 100, both, or a foreign cursor; UnknownCursorError for a
 *   cursor of a place that the ledger does not have
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

/** @throws UnknownCursorError where the ledger does not have the place */
export async function requirePlace<P extends Position>(
  scope: CursorScope<P>,
  place: Place<P>,
  reader: ScopedLedgerReader,
): Promise<void> {
  if (scope.isVerified && !(await reader.hasPlace(scope, place))) throw new UnknownCursorError();
}
