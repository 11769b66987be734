/** The header of a CSV file: which column has which value. */
import type { CreditTransferRequest } from '../../domain/bulk-transfer.js';
import { type Problem, quote } from '../../domain/problem.js';
import { fileProblem, refusedFile } from './unreadable-file.js';

/**
 * A value that a column can have: a field of a transfer, or the currency of the debited account. The latter is only
 * compared with the currency of the transfer.
 */
export type ColumnField = keyof CreditTransferRequest | 'sourceCurrency';

/**
 * The names of the columns, in our own spelling first. The others are those of the templates for bulk transfers of
 * Qonto (beneficiary_name, iban, amount, currency, reference), Wise (name, paymentReference, amount, sourceCurrency,
 * targetCurrency, IBAN, BIC) and Revolut Business (Name, IBAN, BIC, Currency, Amount, Payment reference), and the field
 * names of the API. Case, accents, spaces, underscores and hyphens do not matter.
 */
const COLUMN_NAMES: Readonly<Record<ColumnField, readonly string[]>> = {
  counterpartyName: ['beneficiary_name', 'name', 'recipient_name', 'counterparty_name'],
  counterpartyIban: ['iban', 'beneficiary_iban', 'counterparty_iban'],
  counterpartyBic: ['bic', 'beneficiary_bic', 'counterparty_bic', 'swift_code'],
  amount: ['amount'],
  currency: ['currency', 'target_currency'],
  description: ['reference', 'payment_reference', 'description'],
  endToEndId: ['end_to_end_id'],
  sourceCurrency: ['source_currency'],
};

/** The fields without which no transfer can be made. A file without a reference has transfers without one. */
const REQUIRED: readonly ColumnField[] = ['counterpartyName', 'counterpartyIban', 'amount'];

const FIELDS: ReadonlyMap<string, ColumnField> = new Map(
  Object.entries(COLUMN_NAMES).flatMap(([field, names]) =>
    names.map((name) => [comparable(name), field as ColumnField] as const),
  ),
);

/** The longest name of a column that is compared. */
const NAME_CHARACTERS_MAX = 100;

/** Returns the form in which names of columns are compared. */
function comparable(name: string): string {
  return name
    .normalize('NFD')
    .replace(/[\p{Mark}\s_-]/gu, '')
    .toLowerCase();
}

/** Returns the field of a column; undefined for a column that is not read. */
function fieldOf(name: string): ColumnField | undefined {
  return name.length > NAME_CHARACTERS_MAX ? undefined : FIELDS.get(comparable(name));
}

/** Counts the columns of a header that are read. */
export function columnsReadIn(header: readonly string[]): number {
  return header.filter((name) => fieldOf(name) !== undefined).length;
}

/** The columns of a file. */
export interface Columns {
  /** The number of cells of each row. */
  readonly count: number;
  /** The place of each column that is read, from 0. */
  readonly places: ReadonlyMap<ColumnField, number>;
  /** The names of the columns, as the file writes them. */
  readonly names: Readonly<Partial<Record<ColumnField, string>>>;
}

/**
 * Reads a header. Columns with other names are ignored.
 * @param line the line of the header
 * @throws DomainError with each column that is missing or doubled
 */
export function readHeader(header: readonly string[], line: number): Columns {
  const places = new Map<ColumnField, number>();
  const names: Partial<Record<ColumnField, string>> = {};
  const problems: Problem[] = [];
  for (const [place, cell] of header.entries()) {
    const name = cell.trim();
    const field = fieldOf(name);
    if (field === undefined) continue;
    const earlier = names[field];
    if (earlier !== undefined) {
      const message = `The columns ${quote(earlier)} and ${quote(name)} have the same value. Remove one of them.`;
      problems.push(fileProblem('DUPLICATE_COLUMN', message, line));
      continue;
    }
    places.set(field, place);
    names[field] = name;
  }
  for (const field of REQUIRED) {
    if (places.has(field)) continue;
    const accepted = COLUMN_NAMES[field].join(', ');
    const message = `The header has no column for the ${field}. Name one of the columns: ${accepted}.`;
    problems.push(fileProblem('MISSING_COLUMN', message, line));
  }
  if (problems.length > 0) throw refusedFile(problems);
  return { count: header.length, places, names };
}
