/**
 * Turns a spreadsheet (.xlsx) into the text of a CSV file, line for row. The server reads no spreadsheets, because an
 * unpacked one is much larger than its file.
 *
 * 1. The sizes in the directory of the zip file are added up, before anything is unpacked.
 * 2. Each part is read once as XML, for its size and for cells that have no value to pay by.
 * 3. read-excel-file reads the cells. It unpacks no more than the directory says.
 */
import { stringify } from 'csv-stringify/sync';
import readSheets from 'read-excel-file/universal';
import { SaxesParser } from 'saxes';
import { ExplainedError } from '../infrastructure/observability/explained-error.js';
import { reasonOf } from '../infrastructure/observability/secrets.js';
import { printable } from './server-client.js';
import { readZipDirectory, unpackEntry } from './zip-directory.js';

const MIB = 1_024 * 1_024;
const UNPACKED_MIB_MAX = 50;

/** Limits the rows after the header. read-excel-file keeps all cells in memory. */
const ROWS_MAX = 10_000;

/** Limits the columns: read-excel-file fills each row up to the last one. */
const COLUMNS_MAX = 100;

/** The largest number of a row in the file format. */
const ROW_NUMBER_MAX = 1_048_576;

/** Spreadsheets calculate with 15 significant digits, and show no more. */
const SIGNIFICANT_DIGITS = 15;

/** From here on, a spreadsheet has lost the last digits of a number. */
const EXACT_MAX = 1e15;

const SAVE_AS_CSV = 'save it as CSV and import that';

/** Tells whether a file is a spreadsheet, by its first bytes: those of a zip file. */
export function isSpreadsheet(file: Buffer): boolean {
  return file.subarray(0, 4).equals(Buffer.from('PK\u0003\u0004'));
}

/** Tells whether a file is a spreadsheet of a format before .xlsx, by its first bytes: those of an OLE file. */
export function isOldSpreadsheet(file: Buffer): boolean {
  return file.subarray(0, 4).equals(Buffer.from([0xd0, 0xcf, 0x11, 0xe0]));
}

/**
 * Returns the text of a CSV file with the cells of the only sheet that has any, or of the sheet with a name.
 * @throws ExplainedError if the file is no spreadsheet, is too large, or has a cell with an error in place of a value
 */
export async function csvOfSpreadsheet(file: Buffer, sheetName?: string): Promise<string> {
  try {
    inspect(file);
    const bytes = new Uint8Array(file).buffer;
    const sheets = await readSheets(bytes, { parseNumber: numberText });
    const { data } = chosenSheet(sheets, sheetName);
    return stringify(data.map((cells) => cells.map(cellText)));
  } catch (error) {
    if (error instanceof ExplainedError) throw error;
    const reason = printable(reasonOf(error));
    throw new ExplainedError(`The spreadsheet cannot be read: ${reason}; ${SAVE_AS_CSV}`);
  }
}

interface Sheet {
  readonly sheet: string;
  readonly data: readonly (readonly unknown[])[];
}

function chosenSheet(sheets: readonly Sheet[], name: string | undefined): Sheet {
  const filled = sheets.filter(({ data }) => data.length > 0);
  const chosen = name === undefined ? filled : sheets.filter(({ sheet }) => sheet === name);
  const [first, ...others] = chosen;
  const names = printable(sheets.map(({ sheet }) => JSON.stringify(sheet)).join(', '));
  if (!first) {
    if (name === undefined) throw new ExplainedError('The spreadsheet is empty');
    throw new ExplainedError(`The spreadsheet has no sheet of this name: its sheets are ${names}`);
  }
  if (others.length > 0) {
    throw new ExplainedError(`The spreadsheet has several sheets: choose by --sheet: ${names}`);
  }
  return first;
}

/**
 * Returns a number as a spreadsheet shows it: with at most 15 significant digits. The file has the binary number, such
 * as 1.1000000000000001 for 1.1. A number with more digits keeps its exponent, so that the server does not take it for
 * an IBAN or an amount.
 */
export function numberText(text: string): string {
  const number = Number(text);
  if (text.trim() === '' || !Number.isFinite(number)) return text;
  const shown = Number(number.toPrecision(SIGNIFICANT_DIGITS));
  return Math.abs(shown) < EXACT_MAX ? String(shown) : shown.toExponential().toUpperCase();
}

/** Returns the text of a cell. A date is a day of ISO 8601, because its format in the sheet is that of a country. */
function cellText(cell: unknown): string {
  if (cell === null || cell === undefined) return '';
  if (typeof cell === 'boolean') return cell ? 'TRUE' : 'FALSE';
  if (!(cell instanceof Date)) return String(cell);
  return cell
    .toISOString()
    .replace(/T00:00:00\.000Z$/, '')
    .replace(/\.\d+Z$/, '');
}

/** Checks the sizes of a file, and the cells of its sheets. @throws ExplainedError, Error */
function inspect(file: Buffer): void {
  const entries = readZipDirectory(file);
  const bytes = entries.reduce((sum, entry) => sum + entry.bytes, 0);
  if (bytes > UNPACKED_MIB_MAX * MIB) {
    const size = Math.ceil(bytes / MIB);
    throw new ExplainedError(
      `The spreadsheet has ${size} MiB when it is unpacked, more than ${UNPACKED_MIB_MAX}: ${SAVE_AS_CSV}`,
    );
  }
  for (const entry of entries) {
    // A sheet may have any path. The other parts have no such cells.
    if (!entry.name.endsWith('.xml')) continue;
    inspectSheet(unpackEntry(file, entry).toString('utf8'));
  }
}

interface Cell {
  readonly name: string;
  readonly isError: boolean;
  hasFormula: boolean;
  hasValue: boolean;
}

/** Checks the cells of a sheet, of which read-excel-file makes empty ones without a word. */
function inspectSheet(xml: string): void {
  const parser = new SaxesParser();
  let cell: Cell | undefined;
  parser.on('error', (error) => {
    throw error;
  });
  parser.on('doctype', () => {
    throw new Error('it has a document type');
  });
  parser.on('opentag', ({ name, attributes }) => {
    const tag = localName(name);
    if (tag === 'row' && Number(attributes.r ?? 1) > ROW_NUMBER_MAX) throw tooManyRows();
    if (tag === 'c') {
      const isError = attributes.t === 'e';
      cell = { name: attributes.r ?? '', isError, hasFormula: false, hasValue: false };
    } else if (cell && tag === 'f') cell.hasFormula = true;
    else if (cell && (tag === 'v' || tag === 'is')) cell.hasValue = true;
  });
  parser.on('closetag', ({ name }) => {
    if (localName(name) !== 'c') return;
    if (cell) inspectCell(cell);
    cell = undefined;
  });
  parser.write(xml).close();
}

function inspectCell({ name, isError, hasFormula, hasValue }: Cell): void {
  if (isError) {
    throw new ExplainedError(`The cell ${name} has an error, such as #REF!: correct it`);
  }
  if (hasFormula && !hasValue) {
    throw new ExplainedError(
      `The cell ${name} has a formula without its result: open the file in a spreadsheet program, and save it`,
    );
  }
  if (!hasValue) return;
  const [, letters = '', row = ''] = /^([A-Z]{1,3})([1-9][0-9]{0,6})$/.exec(name) ?? [];
  if (letters === '') throw new Error(`a cell is named ${JSON.stringify(name)}`);
  if (Number(row) > ROWS_MAX + 1) throw tooManyRows();
  if (columnOf(letters) > COLUMNS_MAX) {
    throw new ExplainedError(
      `The spreadsheet has more than ${COLUMNS_MAX} columns: remove those beside the transfers`,
    );
  }
}

function tooManyRows(): ExplainedError {
  return new ExplainedError(`The spreadsheet has more than ${ROWS_MAX} rows: ${SAVE_AS_CSV}`);
}

/** Returns the number of a column: 1 for A, 27 for AA. */
function columnOf(letters: string): number {
  return Array.from(letters).reduce((sum, letter) => 26 * sum + letter.charCodeAt(0) - 64, 0);
}

function localName(name: string): string {
  return name.slice(name.indexOf(':') + 1);
}
