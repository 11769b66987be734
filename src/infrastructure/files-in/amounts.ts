/**
 * The amounts of a CSV file, without floating point and without a guess.
 *
 * A file has one decimal sign. The first reading notes what each amount allows: "14.50" needs the point, "14,50" and
 * "1.234,50" need the comma, "1450" allows both with the same value, "1,234" allows both with different values. The
 * decimal sign is the one that every amount allows. If no amount needs a sign while one allows two values, or if two
 * amounts need different signs, the amounts of the file are ambiguous, and all of them are kept as they are written.
 */

import { fractionDigitsOf } from '../../domain/currency.js';
import type { FileProblem } from '../../domain/order-warnings.js';
import { quote } from '../../domain/problem.js';

export type DecimalSign = '.' | ',';

/** An amount in a cell, and the currency beside it. */
export interface WrittenAmount {
  readonly text: string;
  /** The code beside the amount. */
  readonly currency?: string | undefined;
}

/** The longest cell that is read as an amount. */
const AMOUNT_CHARACTERS_MAX = 64;

/**
 * An amount with a code of three letters or a euro sign before or after it. Other signs name several currencies, so
 * their amounts are not read.
 */
const WITH_CURRENCY =
  /^(?:([A-Z]{3}|€)[ \u00a0\u202f]*)?(-?[0-9](?:[0-9.,'’ \u00a0\u202f]*[0-9])?)(?:[ \u00a0\u202f]*([A-Z]{3}|€))?$/;

/** A number that a spreadsheet has written with an exponent. The digits that it has left out are lost. */
const SPREADSHEET_NUMBER = /^[+-]?[0-9]+(?:[.,][0-9]+)?E[+-]?[0-9]+$/i;

/** Tells whether a cell is a number that a spreadsheet has made. */
export function isSpreadsheetNumber(text: string): boolean {
  return text.length <= AMOUNT_CHARACTERS_MAX && SPREADSHEET_NUMBER.test(text.trim());
}

/** Splits a cell into its amount and the currency beside it. A cell of another form is returned unchanged. */
export function splitCurrency(cell: string): WrittenAmount {
  if (cell.length > AMOUNT_CHARACTERS_MAX) return { text: cell };
  const [, before, amount, after] = WITH_CURRENCY.exec(cell.trim()) ?? [];
  if (amount === undefined || (before !== undefined && after !== undefined)) return { text: cell };
  const sign = before ?? after;
  return { text: amount, currency: sign === '€' ? 'EUR' : sign };
}

/**
 * An integer in groups of three digits. The first group does not begin with 0, and all separators are the same: a
 * space, a no-break space, an apostrophe, or the mark that is not the decimal sign.
 */
const GROUPED: Readonly<Record<DecimalSign, RegExp>> = {
  '.': /^[1-9][0-9]{0,2}([,'’ \u00a0\u202f])[0-9]{3}(?:\1[0-9]{3})*$/,
  ',': /^[1-9][0-9]{0,2}([.'’ \u00a0\u202f])[0-9]{3}(?:\1[0-9]{3})*$/,
};

/**
 * Returns an amount as a plain decimal: "1.234,50" with a comma as decimal sign is "1234.50".
 * @returns undefined if the amount has another form
 */
export function plainAmount(text: string, decimalSign: DecimalSign): string | undefined {
  if (text.length > AMOUNT_CHARACTERS_MAX) return undefined;
  const sign = text.startsWith('-') ? '-' : '';
  const [whole = '', fraction, ...others] = text.slice(sign.length).split(decimalSign);
  if (others.length > 0 || (fraction !== undefined && !/^[0-9]+$/.test(fraction))) return undefined;
  const digits = ungrouped(whole, decimalSign);
  if (digits === undefined) return undefined;
  return fraction === undefined ? sign + digits : `${sign}${digits}.${fraction}`;
}

function ungrouped(whole: string, decimalSign: DecimalSign): string | undefined {
  if (/^[0-9]+$/.test(whole)) return whole;
  return GROUPED[decimalSign].test(whole) ? whole.replace(/[^0-9]/g, '') : undefined;
}

interface Evidence {
  readonly text: string;
  readonly line: number;
}

/** The decimal sign of a file, found from all its amounts. */
export class DecimalConvention {
  /** The first amount that needs each sign. */
  readonly #needs: Partial<Record<DecimalSign, Evidence>> = {};
  /** The first amount with two values, of which the plain one is more likely. It decides nothing by itself. */
  #plain: Evidence | undefined;
  /** The first amount with two values. */
  #either: Evidence | undefined;

  /**
   * Notes an amount. Amounts that cannot be read in either way are problems of their rows and say nothing.
   * @param currency the currency of the row
   */
  note(text: string, currency: string, line: number): void {
    const withPoint = plainAmount(text, '.');
    const withComma = plainAmount(text, ',');
    if (withPoint === withComma) return;
    if (withComma === undefined) this.#needs['.'] ??= { text, line };
    else if (withPoint === undefined) this.#needs[','] ??= { text, line };
    else if (isPlainIn(currency, text)) this.#plain ??= { text, line };
    else this.#either ??= { text, line };
  }

  /** Returns the decimal sign; undefined if the amounts are ambiguous. */
  decimalSign(): DecimalSign | undefined {
    const { '.': point, ',': comma } = this.#needs;
    if (comma && (point ?? this.#plain)) return undefined;
    if (point) return '.';
    if (comma) return ',';
    return this.#either ? undefined : '.';
  }

  /** Returns the problem of ambiguous amounts. @param column the name of the column of amounts */
  problem(column: string): FileProblem | undefined {
    if (this.decimalSign() !== undefined) return undefined;
    const { '.': point = this.#plain, ',': comma } = this.#needs;
    const place = { field: 'amount', code: 'AMBIGUOUS_AMOUNTS', column } as const;
    if (point && comma) {
      const message = `The amounts have different decimal signs: ${quote(point.text)} in line ${point.line}, but ${quote(comma.text)} in line ${comma.line}. Write all of them like 1234.50.`;
      return { ...place, message, line: Math.max(point.line, comma.line) };
    }
    const { text = '', line } = this.#either ?? {};
    const message = `${quote(text)} can be read in two ways, and no other amount shows which sign is the decimal one. Write all amounts like 1234.50.`;
    return { ...place, message, line };
  }
}

/**
 * Tells whether an amount such as "1.234" is a plain decimal of its currency. Amounts of such currencies have three
 * digits after the point in every file that we write. In other currencies, this can only be a thousand.
 */
function isPlainIn(currency: string, text: string): boolean {
  return /^-?[0-9]+\.[0-9]{3}$/.test(text) && fractionDigitsOf(currency) === 3;
}
