import type { TransfersContent } from '../../application/ports/exports.js';
import { BYTE_ORDER_MARK, csvLine } from './csv.js';

/** The columns of a file of transfers. The last three tell what is wrong with a row. */
const COLUMNS = [
  'beneficiary_name',
  'iban',
  'bic',
  'amount',
  'currency',
  'reference',
  'end_to_end_id',
  'line',
  'error_code',
  'error',
];

/** Writes transfers as CSV, so that rows with problems can be corrected and sent again. */
export async function* writeTransfersCsv({ pages }: TransfersContent): AsyncGenerator<string> {
  yield BYTE_ORDER_MARK + csvLine(COLUMNS);
  for await (const page of pages) {
    const lines = page.map((row) =>
      csvLine([
        row.counterpartyName,
        row.counterpartyIban,
        row.counterpartyBic,
        row.amount,
        row.currency,
        row.description,
        row.endToEndId,
        row.line === null ? null : String(row.line),
        row.problems.map(({ code }) => code).join(' '),
        row.problems.map(({ field, message }) => `${field}: ${message}`).join(' '),
      ]),
    );
    yield lines.join('');
  }
}
