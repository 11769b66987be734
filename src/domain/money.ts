import { fractionDigitsOf } from './currency.js';
import { type Problem, type ProblemCode, requiredProblem, valueProblem } from './problem.js';

/**
 * The widest amount of one transfer has nine digits before the point: 999,999,999.99 in EUR.
 * Source: EPC SEPA credit transfer rulebook, attribute AT-T002.
 */
const INTEGER_DIGITS_MAX = 9;

/**
 * The largest balance or total, in minor units: 90 trillion EUR. SQLite's driver reads integers as
 * doubles, which are exact up to there; both databases refuse anything wider by a CHECK.
 */
export const MINOR_UNITS_MAX = 9_007_199_254_740_991n;

/** ASCII digits only, no sign but a minus, no exponent, no separator but one point between digits. */
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
 * Reads an amount in major units, such as "14.5", without ever passing through a float.
 * @param text a plain decimal string
 * @param fractionDigits of the currency, 0 to 4
 * @returns minor units ("14.5" with 2 digits is 1450n), or the one problem that describes the text best
 */
export function parseAmount(text: string, fractionDigits: number): ParsedAmount {
  if (text === '') return { problem: 'REQUIRED' };
  const match = PLAIN_DECIMAL.exec(text);
  if (!match) return { problem: 'INVALID_AMOUNT' };
  const [, sign, integer = '', fraction = ''] = match;
  if (sign === '-') return { problem: 'AMOUNT_NOT_POSITIVE' };
  if (fraction.length > fractionDigits) return { problem: 'TOO_MANY_FRACTION_DIGITS' };
  const significant = integer.replace(/^0+/, '');
  if (significant.length > INTEGER_DIGITS_MAX) return { problem: 'AMOUNT_TOO_LARGE' };
  const minorUnits = BigInt(significant + fraction.padEnd(fractionDigits, '0'));
  return minorUnits === 0n ? { problem: 'AMOUNT_NOT_POSITIVE' } : { minorUnits };
}

/** What is wrong with an amount that can't be read, in the words of its code. */
export function amountProblem(
  problem: AmountProblem,
  field: string,
  text: string,
  index?: number,
): Problem {
  return problem === 'REQUIRED'
    ? requiredProblem(field, index)
    : valueProblem(problem, field, text, index);
}

/** Whether a text says zero: no amount of a transfer, and yet a bound or an opening balance. */
export function isZero(text: string): boolean {
  return /^0+(\.0+)?$/.test(text);
}

/**
 * Writes minor units in major units with exactly the currency's fraction digits: 1450n EUR is "14.50".
 * @param minorUnits may be negative
 * @param currency ISO 4217 code
 * @throws Error for a currency that ISO 4217 does not list: none such is ever stored
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
