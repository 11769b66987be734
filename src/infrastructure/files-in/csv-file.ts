/**
 * Reads CSV files of transfers.
 *
 * The first reading finds the encoding, the delimiter and the columns from the header line, and the decimal sign from
 * all amounts. The second reading yields the rows. Both hold one batch in memory.
 */
import { parse as parseAtOnce } from 'csv-parse/sync';
import type {
  FileBytes,
  FileRow,
  OrderFile,
  ReadOrderFile,
} from '../../application/ports/order-file.js';
import { type CreditTransferRequest, CURRENCY_DEFAULT } from '../../domain/bulk-transfer.js';
import { ORDER_FILE_BATCH_ROWS_MAX, ORDER_FILE_ROWS_MAX } from '../../domain/order-file.js';
import type { FileProblem } from '../../domain/order-warnings.js';
import { quote } from '../../domain/problem.js';
import {
  DecimalConvention,
  type DecimalSign,
  isSpreadsheetNumber,
  plainAmount,
  splitCurrency,
} from './amounts.js';
import { type ColumnField, type Columns, columnsReadIn, readHeader } from './csv-columns.js';
import { type CsvRecord, csvRecords, type Delimiter, RECORD_BYTES_MAX } from './csv-records.js';
import { csvEncoding, decodedText, type TextEncoding } from './text-decoding.js';
import { fileProblem, refusedFile, unreadableFile } from './unreadable-file.js';

/** The form of a file, found by its first reading. */
interface CsvForm {
  readonly encoding: TextEncoding;
  readonly delimiter: Delimiter;
  readonly columns: Columns;
  readonly rowCount: number;
  /** Undefined if the amounts are ambiguous. */
  readonly decimalSign: DecimalSign | undefined;
  readonly problems: readonly FileProblem[];
}

export const readCsvFile: ReadOrderFile = async (file) => {
  const form = await readForm(file);
  const { sourceCurrency: _, ...columns } = form.columns.names;
  const { rowCount, problems } = form;
  return {
    orders: [
      { name: null, organizationIban: null, executionDate: null, rowCount, problems, warnings: [] },
    ],
    columns,
    rows: () => rowsOf(file, form),
  } satisfies OrderFile;
};

async function readForm(file: FileBytes): Promise<CsvForm> {
  const encoding = await csvEncoding(file);
  const delimiter = await delimiterOf(file, encoding);
  const convention = new DecimalConvention();
  let columns: Columns | undefined;
  let rowCount = 0;
  for await (const records of filledRecords(file, encoding, delimiter)) {
    for (const { line, cells } of records) {
      if (columns === undefined) {
        columns = readHeader(cells, line);
        continue;
      }
      rowCount += 1;
      if (rowCount > ORDER_FILE_ROWS_MAX) throw tooManyRows(line);
      if (cells.length === columns.count) noteAmount(convention, new Cells(columns, cells), line);
    }
  }
  if (columns === undefined) throw unreadableFile('The file has no header.');
  if (rowCount === 0) {
    throw refusedFile([fileProblem('TOO_FEW', 'The file has a header, but no rows.')]);
  }
  const problem = convention.problem(columns.names.amount ?? '');
  const problems = problem ? [problem] : [];
  const decimalSign = convention.decimalSign();
  return { encoding, delimiter, columns, rowCount, decimalSign, problems };
}

function tooManyRows(line: number) {
  const max = ORDER_FILE_ROWS_MAX.toLocaleString('en');
  const message = `A file has at most ${max} rows. Divide it into several files.`;
  return refusedFile([fileProblem('TOO_MANY', message, line)]);
}

function noteAmount(convention: DecimalConvention, cells: Cells, line: number): void {
  const { text, currency } = splitCurrency(cells.get('amount'));
  if (isSpreadsheetNumber(text)) return;
  convention.note(text, cells.given('currency') ?? currency ?? CURRENCY_DEFAULT, line);
}

/** Reads the records that have a character, the header included. */
async function* filledRecords(
  file: FileBytes,
  encoding: TextEncoding,
  delimiter: Delimiter,
): AsyncGenerator<readonly CsvRecord[]> {
  let isFirst = true;
  for await (const records of csvRecords(decodedText(file, encoding), delimiter)) {
    const filled = records.filter(({ cells }) => cells.some((cell) => cell.trim() !== ''));
    const first = filled[0];
    if (first === undefined) continue;
    const hasNotice = isFirst && isDelimiterNotice(first.cells.join(delimiter));
    isFirst = false;
    yield hasNotice ? filled.slice(1) : filled;
  }
}

/** Tells whether a line is Excel's notice of the delimiter, such as "sep=;". */
function isDelimiterNotice(line: string): boolean {
  return /^"?sep=[,;\t|]"?\s*$/i.test(line);
}

const DELIMITERS: readonly Delimiter[] = [',', ';', '\t', '|'];

/**
 * Finds the delimiter from the header line alone, because cells of rows may have any of them. It is the one by which
 * the most columns are read, or else the one that is there most often.
 */
async function delimiterOf(file: FileBytes, encoding: TextEncoding): Promise<Delimiter> {
  const line = await headerLineOf(file, encoding);
  const headers = DELIMITERS.map((delimiter) => {
    const cells = cellsOf(line, delimiter);
    return { delimiter, read: columnsReadIn(cells), count: cells.length };
  });
  headers.sort((one, other) => other.read - one.read || other.count - one.count);
  return headers[0]?.delimiter ?? ',';
}

function cellsOf(line: string, delimiter: Delimiter): readonly string[] {
  try {
    return parseAtOnce(line, { delimiter, to: 1, record_delimiter: ['\r\n', '\n', '\r'] })[0] ?? [];
  } catch {
    return [];
  }
}

/** Returns the first line that has a character and is no notice of a delimiter. Quotes may contain line breaks. */
async function headerLineOf(file: FileBytes, encoding: TextEncoding): Promise<string> {
  let text = '';
  for await (const piece of decodedText(file, encoding)) {
    text += piece;
    const line = /[\r\n]/.test(piece) ? firstLineOf(text) : undefined;
    if (line !== undefined) return line;
    if (text.length > RECORD_BYTES_MAX) break;
  }
  return text.trimStart().slice(0, RECORD_BYTES_MAX);
}

function firstLineOf(text: string): string | undefined {
  let start = 0;
  let isQuoted = false;
  for (let place = 0; place < text.length; place += 1) {
    const character = text[place];
    if (character === '"') isQuoted = !isQuoted;
    if (isQuoted || (character !== '\n' && character !== '\r')) continue;
    const line = text.slice(start, place);
    if (line.trim() !== '' && !isDelimiterNotice(line)) return line;
    start = place + 1;
  }
  return undefined;
}

async function* rowsOf(file: FileBytes, form: CsvForm): AsyncGenerator<readonly FileRow[]> {
  let batch: FileRow[] = [];
  let isHeader = true;
  for await (const records of filledRecords(file, form.encoding, form.delimiter)) {
    for (const record of records) {
      if (!isHeader) batch.push(rowOf(record, form));
      isHeader = false;
      if (batch.length < ORDER_FILE_BATCH_ROWS_MAX) continue;
      yield batch;
      batch = [];
    }
  }
  if (batch.length > 0) yield batch;
}

/** The cells of a row, by their columns. */
class Cells {
  constructor(
    private readonly columns: Columns,
    private readonly cells: readonly string[],
  ) {}

  /** Returns a cell without the spaces around it; empty if the file does not have the column. */
  get(field: ColumnField): string {
    const place = this.columns.places.get(field);
    return place === undefined ? '' : withoutProtection(this.cells[place] ?? '');
  }

  /** Returns a cell; undefined if it is empty. */
  given(field: ColumnField): string | undefined {
    return this.get(field) || undefined;
  }
}

/**
 * Returns a cell without the spaces around it, and without the apostrophe that keeps spreadsheets from reading a cell
 * as a formula. Files are written with one apostrophe before = + - @ and tabs, also where the text has apostrophes
 * there already, so exactly one is removed.
 */
function withoutProtection(cell: string): string {
  const trimmed = withoutSpaces(cell);
  return /^'+[=+\-@\t]/.test(trimmed) ? trimmed.slice(1) : trimmed;
}

/** Removes spaces, and no other white space. A regular expression would take quadratic time. */
function withoutSpaces(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && text[start] === ' ') start += 1;
  while (end > start && text[end - 1] === ' ') end -= 1;
  return text.slice(start, end);
}

const NO_VALUES: CreditTransferRequest = {
  amount: '',
  counterpartyName: '',
  counterpartyIban: '',
  description: '',
};

function rowOf({ line, cells: written }: CsvRecord, { columns, decimalSign }: CsvForm): FileRow {
  if (written.length !== columns.count) {
    const message = `The row has ${written.length} cells, but the header has ${columns.count}. Put a cell that contains the delimiter in quotes.`;
    const problem = { line, field: 'content', code: 'CELL_COUNT_MISMATCH', message } as const;
    return { order: 0, line, values: NO_VALUES, problems: [problem] };
  }
  const cells = new Cells(columns, written);
  const amount = splitCurrency(cells.get('amount'));
  const plain = decimalSign === undefined ? undefined : plainAmount(amount.text, decimalSign);
  const currency = cells.given('currency') ?? (plain === undefined ? undefined : amount.currency);
  const counterpartyBic = cells.given('counterpartyBic');
  const endToEndId = cells.given('endToEndId');
  const values: CreditTransferRequest = {
    amount: plain ?? cells.get('amount'),
    ...(currency === undefined ? {} : { currency }),
    counterpartyName: cells.get('counterpartyName'),
    counterpartyIban: cells.get('counterpartyIban'),
    ...(counterpartyBic === undefined ? {} : { counterpartyBic }),
    description: cells.get('description'),
    ...(endToEndId === undefined ? {} : { endToEndId }),
  };
  const problems = [
    ...spreadsheetProblems(values),
    ...currencyProblems(currency, amount.currency, cells.given('sourceCurrency')),
  ].map((problem) => ({ ...problem, line, column: columns.names[problem.field] }));
  return { order: 0, line, values, problems };
}

type FieldProblem = Omit<FileProblem, 'field'> & { readonly field: ColumnField };

function spreadsheetProblems(values: CreditTransferRequest): FieldProblem[] {
  const fields = ['counterpartyIban', 'amount'] as const;
  return fields
    .filter((field) => isSpreadsheetNumber(values[field]))
    .map((field) => {
      const message = `${quote(values[field])} is what a spreadsheet makes of a long number. Format the column as text, and enter the value again.`;
      return { field, code: 'SPREADSHEET_NUMBER', message };
    });
}

/**
 * Returns the problem of a row with two currencies: beside the amount and in the column, or a source currency that
 * would have to be converted.
 */
function currencyProblems(
  currency: string | undefined,
  beside: string | undefined,
  source: string | undefined,
): FieldProblem[] {
  const place = { field: 'currency', code: 'CURRENCY_MISMATCH' } as const;
  if (currency !== undefined && beside !== undefined && beside !== currency) {
    const message = `The amount is in ${beside}, but the column of the currency has ${quote(currency)}.`;
    return [{ ...place, message }];
  }
  if (source !== undefined && source !== (currency ?? CURRENCY_DEFAULT)) {
    const message = `The row would convert ${quote(source)} to ${quote(currency ?? CURRENCY_DEFAULT)}. No currency is converted here.`;
    return [{ ...place, message }];
  }
  return [];
}
