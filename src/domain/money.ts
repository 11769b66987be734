import { fractionDigitsOf } from './currency.js';
import { type Problem, type ProblemCode, quote, requiredProblem, valueProblem } from './problem.js';

/**
 * The largest balance or total, in minor units: 90 trillion EUR. The SQLite driver reads integers as doubles, which
 * are exact up to this value. Both databases refuse larger values by a CHECK.
 */
export const MINOR_UNITS_MAX = 9_007_199_254_740_991n;

/** The number of digits of MINOR_UNITS_MAX. A text with more digits is never converted to a bigint. */
const MINOR_UNIT_DIGITS_MAX = 16;

/**
 * The largest amount of one transfer in euro: 999,999,999.99.
 * Source: EPC SEPA credit transfer rulebook, attribute AT-T002.
 */
const EURO_CENTS_MAX = 99_999_999_999n;

/**
 * Returns the largest amount of one transfer in a currency, in minor units. SEPA's limit applies to the euro only:
 * 1,500,000,000 is an ordinary total of salaries in IDR or VND.
 */
export function minorUnitsMaxOf(currency: string): bigint {
  return currency === 'EUR' ? EURO_CENTS_MAX : MINOR_UNITS_MAX;
}

/**
 * A plain decimal: ASCII digits, an optional minus, and an optional point between digits. Exponents and other
 * separators are not allowed.
 */
const PLAIN_DECIMAL = /^(-?)([0-9]+)(?:\.([0-9]+))?$/;

export type AmountProblem = Extract<
  ProblemCode,
  | 'REQUIRED'
  | 'INVALID_AMOUNT'
  | 'AMOUNT_NOT_POSITIVE'
  | 'AMOUNT_TOO_LARGE'
  | 'TOO_MANY_FRACTION_DIGITS'
>;

export type ParsedAmount =
  | { readonly minorUnits: bigint; readonly problem?: undefined }
  | { readonly minorUnits?: undefined; readonly problem: AmountProblem };

/**
 * Reads an amount in major units, such as "14.5", without floating point.
 * @param text a plain decimal string
 * @param fractionDigits fraction digits of the currency, 0 to 4
 * @param minorUnitsMax the largest amount: see minorUnitsMaxOf
 * @returns minor units ("14.5" with 2 digits is 1450n), or the one problem that describes the text best
 */
export function parseAmount(
  text: string,
  fractionDigits: number,
  minorUnitsMax: bigint,
): ParsedAmount {
  if (text === '') return { problem: 'REQUIRED' };
  const match = PLAIN_DECIMAL.exec(text);
  if (!match) return { problem: 'INVALID_AMOUNT' };
  const [, sign, integer = '', fraction = ''] = match;
  if (sign === '-') return { problem: 'AMOUNT_NOT_POSITIVE' };
  if (fraction.length > fractionDigits) return { problem: 'TOO_MANY_FRACTION_DIGITS' };
  const digits = integer.replace(/^0+/, '') + fraction.padEnd(fractionDigits, '0');
  if (digits.length > MINOR_UNIT_DIGITS_MAX) return { problem: 'AMOUNT_TOO_LARGE' };
  const minorUnits = BigInt(digits);
  if (minorUnits > minorUnitsMax) return { problem: 'AMOUNT_TOO_LARGE' };
  return minorUnits === 0n ? { problem: 'AMOUNT_NOT_POSITIVE' } : { minorUnits };
}

/** Reads an amount of a transfer in a currency that exists: see parseAmount. */
export function parseAmountIn(text: string, currency: string): ParsedAmount {
  return parseAmount(text, fractionDigitsOf(currency) ?? 2, minorUnitsMaxOf(currency));
}

/** An amount as the client sent it, and its place in the request. */
export interface SentAmount {
  readonly field: string;
  readonly text: string;
  /** The currency, which must exist: a message names its largest amount. */
  readonly currency: string;
  /** The index of the row; absent outside rows. */
  readonly index?: number;
}

/** Returns the problem of an amount that cannot be read. */
export function amountProblem(
  problem: AmountProblem,
  { field, text, currency, index }: SentAmount,
): Problem {
  if (problem === 'REQUIRED') return requiredProblem(field, index);
  if (problem !== 'AMOUNT_TOO_LARGE') return valueProblem(problem, field, text, index);
  const max = formatAmount(minorUnitsMaxOf(currency), currency);
  const message = `${quote(text)} is more than ${max} ${currency}, the largest amount.`;
  return { index, field, code: problem, message };
}

/** Tells whether a text is zero. Zero is no amount of a transfer, but it is a valid limit or opening balance. */
export function isZero(text: string): boolean {
  return /^0+(\.0+)?$/.test(text);
}

/**
 * Writes minor units in major units with exactly the currency's fraction digits: 1450n EUR is "14.50".
 * @param minorUnits may be negative
 * @param currency ISO 4217 code
 * @throws Error for a currency that ISO 4217 does not list; no such currency is ever stored
 */
export function formatAmount(minorUnits: bigint, currency: string): string {
  const fractionDigits = fractionDigitsOf(currency);
  if (fractionDigits === undefined) throw new Error(`Unknown currency ${currency}`);
  const sign = minorUnits < 0n ? '-' : '';
  const digits = (minorUnits < 0n ? -minorUnits : minorUnits).toString();
  if (fractionDigits === 0) return sign + digits;
  const padded = digits.padStart(fractionDigits + 1, '0');
  return `${sign}${padded.slice(0, -fractionDigits)}.${padded.slice(-fractionDigits)}`;
}
