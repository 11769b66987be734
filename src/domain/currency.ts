import currencyCodes from 'currency-codes';

const FRACTION_DIGITS: ReadonlyMap<string, number> = new Map(
  currencyCodes.data.map((currency) => [currency.code, currency.digits]),
);

/**
 * How many fraction digits an amount of this currency has: 2 for EUR, 0 for JPY, 3 for KWD.
 * @param code ISO 4217 alphabetic code, upper case
 * @returns undefined for a code that ISO 4217 does not list
 */
export function fractionDigitsOf(code: string): number | undefined {
  return FRACTION_DIGITS.get(code);
}
