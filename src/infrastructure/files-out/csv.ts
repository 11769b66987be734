/** Writes CSV as RFC 4180 has it, for spreadsheets and for programs. */

/** Without a byte order mark, Excel would read the file in the character set of its machine. */
export const BYTE_ORDER_MARK = '\ufeff';

const LINE_END = '\r\n';

/**
 * Matches a cell that a spreadsheet would read as a formula, and a cell that only looks so because it was escaped.
 * Source: OWASP, CSV Injection.
 */
const FORMULA = /^'*[=+\-@\t\r\n]/;

/** Matches a number, which is no formula. */
const NUMBER = /^-?[0-9]+(?:\.[0-9]+)?$/;

/** Matches a cell that needs quotes. Other separators need them too, because a spreadsheet may split at them. */
const QUOTED = /[",;|\t\r\n]|^\s|\s$/;

/**
 * Returns a line. A cell that begins like a formula gets an apostrophe before it. A reader that removes one apostrophe
 * from each cell that matches FORMULA with an apostrophe gets the text back.
 */
export function csvLine(cells: readonly (string | null)[]): string {
  return cells.map(cellOf).join(',') + LINE_END;
}

function cellOf(value: string | null): string {
  const text = value ?? '';
  const safe = FORMULA.test(text) && !NUMBER.test(text) ? `'${text}` : text;
  return QUOTED.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
