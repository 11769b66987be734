import currencyCodes from 'currency-codes';

/**
 * Current codes that the table of currency-codes 2.2.0 lacks.
 * Source: ISO 4217, amendments of list one since 2024-06-25, the day of that table.
 */
const ADDED: readonly (readonly [code: string, fractionDigits: number])[] = [
  // The Caribbean guilder of Curaçao and Sint Maarten, since 2025-03-31.
  ['XCG', 2],
  // The Arab accounting dinar of the Arab Monetary Fund, since 2025-05-12.
  ['XAD', 2],
];

/**
 * Currencies that were withdrawn since the end of 2014. Amounts in them stay readable. Source: ISO 4217, list three,
 * from public copies of 2026-11. List three has no minor units: the values here are the last ones of list one.
 */
const WITHDRAWN: ReadonlyMap<string, number> = new Map([
  // Lithuania has the euro since 2015-01-01.
  ['LTL', 2],
  // The rouble of Belarus before 2016-07-01; BYN took its place.
  ['BYR', 0],
  // The ouguiya of Mauritania before 2018; MRU took its place.
  ['MRO', 2],
  // The dobra of São Tomé and Príncipe before 2018; STN took its place.
  ['STD', 2],
  // The bolívar of Venezuela before 2018-08-20; VES took its place.
  ['VEF', 2],
  // Cuba's convertible peso, withdrawn in 2021.
  ['CUC', 2],
  // Croatia has the euro since 2023-01-01.
  ['HRK', 2],
  // The leone of Sierra Leone before its redenomination by 1,000 in 2022; SLE took its place.
  ['SLL', 2],
  // The dollar of Zimbabwe, withdrawn in 2024; ZWG took its place.
  ['ZWL', 2],
  // The guilder of the Netherlands Antilles, withdrawn in 2025; XCG took its place.
  ['ANG', 2],
  // Bulgaria has the euro since 2026-01-01.
  ['BGN', 2],
]);

/**
 * Codes of ISO 4217 that are no money: metals, units of account of institutions and of the bond market, a code for
 * tests and a code for no currency. ISO 4217 gives them no minor unit, so their amounts have no form.
 */
const NO_MONEY: ReadonlySet<string> = new Set(
  'XAG XAU XBA XBB XBC XBD XDR XPD XPT XSU XTS XUA XXX'.split(' '),
);

/**
 * Codes with a minor unit that are no money either. They are the funds of list one and two units of account that list
 * one does not mark as funds: UYW (Uruguay's pensions) and XAD (the Arab Monetary Fund).
 */
const FUNDS: ReadonlySet<string> = new Set('BOV CHE CHW CLF COU MXV USN UYI UYW XAD'.split(' '));

const FRACTION_DIGITS: ReadonlyMap<string, number> = new Map([
  ...currencyCodes.data.map(({ code, digits }) => [code, digits] as const),
  ...ADDED,
  ...WITHDRAWN,
]);

/**
 * Returns the number of fraction digits of a currency: 2 for EUR, 0 for JPY, 3 for KWD. Accounts of earlier releases
 * may have currencies in which no account is opened any more. These currencies are included.
 * @param code ISO 4217 alphabetic code, upper case
 * @returns undefined for a code that ISO 4217 does not list, or withdrew before the end of 2014
 */
export function fractionDigitsOf(code: string): number | undefined {
  return FRACTION_DIGITS.get(code);
}

/** Returns a currency if its fraction digits are known; otherwise returns the other currency. */
export function listedCurrency(code: string, otherwise: string): string {
  return FRACTION_DIGITS.has(code) ? code : otherwise;
}

/**
 * Returns the reason why no account is opened in a currency, as a sentence.
 * @returns undefined if an account may be opened
 */
export function openingFaultOf(code: string): string | undefined {
  if (!FRACTION_DIGITS.has(code)) return 'The currency is not an ISO 4217 code.';
  if (WITHDRAWN.has(code)) return `${code} was withdrawn from ISO 4217.`;
  if (NO_MONEY.has(code)) return `${code} cannot be used for payments: it has no minor unit.`;
  if (FUNDS.has(code))
    return `${code} cannot be used for payments: it is a fund or a unit of account.`;
  return undefined;
}
