import currencyCodes from 'currency-codes';

/**
 * Where the table of currency-codes 2.2.0, list one of ISO 4217 of 2024-06-25, is behind.
 * Source: ISO 4217, lists one and three, as maintained by SIX; compared on 2026-11-26.
 */
const ADDED: readonly (readonly [code: string, fractionDigits: number])[] = [
  // The Caribbean guilder of Curaçao and Sint Maarten, since 2025-03-31.
  ['XCG', 2],
];

/** Currencies that a ledger may have and that no longer are any. */
const WITHDRAWN: ReadonlySet<string> = new Set([
  // The guilder of the Netherlands Antilles; XCG took its place.
  'ANG',
  // Bulgaria has the euro since 2026-01-01.
  'BGN',
  // Cuba's convertible peso, 2021.
  'CUC',
]);

/**
 * Codes of ISO 4217 that are no money: metals, units of account of institutions and of the bond market, a code
 * for tests and one for no currency. It gives them no minor unit, so their amounts have no form.
 */
const NO_MONEY: ReadonlySet<string> = new Set(
  'XAG XAU XBA XBB XBC XBD XDR XPD XPT XSU XTS XUA XXX'.split(' '),
);

const FRACTION_DIGITS: ReadonlyMap<string, number> = new Map([
  ...currencyCodes.data.map(({ code, digits }) => [code, digits] as const),
  ...ADDED,
]);

/**
 * How many fraction digits an amount of this currency has: 2 for EUR, 0 for JPY, 3 for KWD. Accounts of
 * earlier releases may have currencies that none is opened in any more: these have theirs as well.
 * @param code ISO 4217 alphabetic code, upper case
 * @returns undefined for a code that ISO 4217 never listed
 */
export function fractionDigitsOf(code: string): number | undefined {
  return FRACTION_DIGITS.get(code);
}

/** Returns a currency if ISO 4217 lists it, and another one if it does not. */
export function listedCurrency(code: string, otherwise: string): string {
  return FRACTION_DIGITS.has(code) ? code : otherwise;
}

/**
 * Returns why no account is opened in a currency, as a sentence.
 * @returns undefined where one may be
 */
export function openingFaultOf(code: string): string | undefined {
  if (!FRACTION_DIGITS.has(code)) return 'The currency is not an ISO 4217 code.';
  if (WITHDRAWN.has(code)) return `${code} was withdrawn from ISO 4217.`;
  if (NO_MONEY.has(code)) return `${code} is no currency that is paid in: it has no minor unit.`;
  return undefined;
}
