import type { StatementContent } from '../../application/ports/exports.js';
import { formatAmount } from '../../domain/money.js';
import { BYTE_ORDER_MARK, csvLine } from './csv.js';

const COLUMNS = [
  'sequence',
  'booking_date',
  'booked_at',
  'kind',
  'amount',
  'currency',
  'balance_after',
  'description',
  'entry_id',
  'bulk_transfer_id',
];

/** Writes a statement as CSV, with a line for each entry. A debit is negative. */
export async function* writeStatementCsv({
  account,
  pages,
}: StatementContent): AsyncGenerator<string> {
  yield BYTE_ORDER_MARK + csvLine(COLUMNS);
  const format = (minorUnits: bigint) => formatAmount(minorUnits, account.currency);
  for await (const page of pages) {
    const lines = page.map(({ entry, day }) =>
      csvLine([
        String(entry.sequence),
        day,
        entry.createdAt.toISOString(),
        entry.kind,
        format(entry.amountMinor),
        entry.currency,
        format(entry.balanceAfterMinor),
        entry.description,
        entry.id,
        entry.bulkTransferId,
      ]),
    );
    yield lines.join('');
  }
}
