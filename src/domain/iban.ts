import { countrySpecs } from 'ibantools';
import { BBAN_STRUCTURES, bbanPatternOf } from './iban-structures.js';
import { type Problem, type ProblemCode, quote, valueProblem } from './problem.js';

/**
 * The depth of the check. strict: country, length, structure and check digits. format: shape only, for sandboxes and
 * masked data.
 */
export type IbanCheck = 'strict' | 'format';

/** The IBAN2007Identifier of ISO 20022, with at most 34 characters as in ISO 13616. */
const IBAN_SHAPE = /^[A-Z]{2}[0-9]{2}[A-Z0-9]{1,30}$/;

/** Tells whether a normalised text could be an IBAN. No account here has an IBAN of another shape. */
export function hasIbanShape(iban: string): boolean {
  return IBAN_SHAPE.test(iban);
}

/** The BICFIDec2014Identifier of ISO 20022, with 8 or 11 characters. */
const BIC_SHAPE = /^[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}(?:[A-Z0-9]{3})?$/;

const ELECTRONIC = /^[A-Z0-9]*$/;

/** The largest number of characters of an IBAN or a BIC as people write it, spaces included. */
const WRITTEN_CHARACTERS_MAX = 1_024;

/**
 * Characters that are copied with an IBAN from a page, a table or a letter: white space of every kind, and invisible
 * characters such as a byte order mark or a soft hyphen. Direction overrides are not removed and make an IBAN wrong,
 * because they show its digits in another order.
 */
const PASTED = /[[\p{White_Space}\p{Default_Ignorable_Code_Point}]--[\u202d\u202e]]/gv;

/**
 * Returns the electronic form of an IBAN, without pasted characters and with ASCII letters in upper case. All other
 * characters stay, and the checks below judge them. Full upper-casing would turn some characters that are no ASCII
 * letters into ASCII letters.
 */
export function normaliseIban(text: string): string {
  // Most IBANs arrive in electronic form. A text that exceeds the limit is no IBAN in any spelling.
  if (text.length > WRITTEN_CHARACTERS_MAX || ELECTRONIC.test(text)) return text;
  return text.replace(PASTED, '').replace(/[a-z]+/g, (letters) => letters.toUpperCase());
}

/** Returns the electronic form of a BIC, by the rules of normaliseIban. */
export function normaliseBic(text: string): string {
  return normaliseIban(text);
}

/**
 * Judges a normalised IBAN: country, length, structure, and mod 97 (ISO 13616). The rules are the tables of ibantools
 * and BBAN_STRUCTURES. The tables are the SWIFT registry and the countries that use IBANs without being in the
 * registry. National check digits inside the account number are not checked, because banks differ on them.
 * @returns undefined if the IBAN has no problem
 */
export function ibanProblem(
  iban: string,
  check: IbanCheck,
): Extract<ProblemCode, 'INVALID_IBAN' | 'INVALID_IBAN_CHECKSUM'> | undefined {
  if (!hasIbanShape(iban)) return 'INVALID_IBAN';
  if (check === 'format') return undefined;
  const country = countryOf(iban);
  if (!country || (country.characters !== null && country.characters !== iban.length)) {
    return 'INVALID_IBAN';
  }
  if (country.bban?.test(iban.slice(COUNTRY_AND_CHECK_CHARACTERS)) === false) return 'INVALID_IBAN';
  return hasRightCheckDigits(iban) ? undefined : 'INVALID_IBAN_CHECKSUM';
}

const COUNTRY_AND_CHECK_CHARACTERS = 4;

interface Country {
  readonly characters: number | null;
  readonly bban: RegExp | null;
}

const countries = new Map<string, Country | undefined>();

/**
 * Returns the IBAN rules of a country; undefined if the country has none. The rules are compiled once per country.
 * ibantools would compile them for each IBAN.
 */
function countryOf(iban: string): Country | undefined {
  const code = iban.slice(0, 2);
  if (countries.has(code)) return countries.get(code);
  const { chars = null, bban_regexp: pattern = null } = countrySpecs[code] ?? {};
  const structure = BBAN_STRUCTURES[code];
  const isUsed = chars !== null || pattern !== null;
  const listed = pattern === null ? null : new RegExp(pattern);
  const bban = structure === undefined ? listed : bbanPatternOf(structure);
  const country = isUsed ? { characters: chars, bban } : undefined;
  countries.set(code, country);
  return country;
}

const CODE_OF_0 = 48;
const CODE_OF_A = 65;
const VALUE_OF_A = 10;

/**
 * Tells whether the check digits are right by mod 97-10 of ISO 7064. The BBAN, then country and check digits, with
 * letters as two digits, must leave 1.
 */
function hasRightCheckDigits(iban: string): boolean {
  // 00, 01 and 99 leave the same remainder as 97, 98 and 02. Only 97, 98 and 02 are ever issued.
  const checkDigits = Number(iban.slice(2, COUNTRY_AND_CHECK_CHARACTERS));
  if (checkDigits < 2 || checkDigits > 98) return false;
  let rest = 0;
  for (let place = 0; place < iban.length; place += 1) {
    const code = iban.charCodeAt((place + COUNTRY_AND_CHECK_CHARACTERS) % iban.length);
    rest =
      code < CODE_OF_A
        ? (rest * 10 + code - CODE_OF_0) % 97
        : (rest * 100 + code - CODE_OF_A + VALUE_OF_A) % 97;
  }
  return rest === 1;
}

/** Tells whether a normalised BIC has the right shape. The strict check also needs a country that exists. */
export function isBic(bic: string, check: IbanCheck): boolean {
  return BIC_SHAPE.test(bic) && (check === 'format' || bicCountryOf(bic) in countrySpecs);
}

/** Returns the country of a BIC, as two letters of ISO 3166. */
export function bicCountryOf(bic: string): string {
  return bic.slice(4, 6);
}

/**
 * Judges a BIC as the client sent it.
 * @returns undefined if the BIC has no problem
 */
export function bicProblem(
  sent: string,
  field: string,
  check: IbanCheck,
  index?: number,
): Problem | undefined {
  const bic = normaliseBic(sent);
  if (bic === '') {
    const message = 'A BIC has 8 or 11 characters; omit the field if there is no BIC.';
    return { index, field, code: 'INVALID_BIC', message };
  }
  if (isBic(bic, check)) return undefined;
  if (!isBic(bic, 'format')) return valueProblem('INVALID_BIC', field, sent, index);
  const message = `${quote(sent)} is not a BIC: no country has the code ${bicCountryOf(bic)}.`;
  return { index, field, code: 'INVALID_BIC', message };
}

/**
 * Tells whether two BICs name the same office. A BIC of 8 characters and the same BIC with XXX at its end both name
 * the head office (ISO 9362).
 */
export function isSameBic(one: string, other: string): boolean {
  return one.padEnd(11, 'X') === other.padEnd(11, 'X');
}
