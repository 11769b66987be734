/**
 * National check digits inside the account number, for the rules that are certain. Banks differ on these digits, and
 * some banks ignore them. Wrong digits cause a warning, not a refusal.
 *
 * ibantools has the rules of BA, BE, CZ, EE, ES, FR, HR, HU, MC, ME, MK, NO, PL, PT, RS, SI and SK. This file adds
 * Finland (Luhn, by Finance Finland's rule for account numbers in machine form). It also adds Italy and San Marino
 * (the CIN of the Italian Banking Association). The tests compare all rules with the examples of the IBAN registry.
 */
import { countrySpecs } from 'ibantools';

const COUNTRY_AND_CHECK_CHARACTERS = 4;

const OWN_RULES: Readonly<Record<string, (bban: string) => boolean>> = {
  FI: hasRightLuhnDigit,
  IT: hasRightCin,
  SM: hasRightCin,
};

/**
 * Tells whether the national check digits of an IBAN are right.
 * @param iban an IBAN without a problem: see ibanProblem
 * @returns true if no rule is known
 */
export function hasRightNationalCheckDigits(iban: string): boolean {
  const country = iban.slice(0, 2);
  const isRight = OWN_RULES[country] ?? countrySpecs[country]?.bban_validation_func;
  return isRight?.(iban.slice(COUNTRY_AND_CHECK_CHARACTERS)) ?? true;
}

/** Tells whether the last of 14 digits is the Luhn digit of the other 13. */
function hasRightLuhnDigit(bban: string): boolean {
  let sum = 0;
  for (const [place, character] of [...bban].reverse().entries()) {
    const doubled = Number(character) * (place % 2 === 0 ? 1 : 2);
    sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return sum % 10 === 0;
}

/** Values of 0 to 25, which digits and letters represent, at the odd positions of ABI, CAB and account. */
const CIN_ODD = [
  1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23,
];

const CODE_OF_0 = 48;
const CODE_OF_A = 65;

/** Tells whether the first of 23 characters is the letter for the sum of the others, modulo 26. */
function hasRightCin(bban: string): boolean {
  let sum = 0;
  for (let place = 1; place < bban.length; place += 1) {
    const code = bban.charCodeAt(place);
    const value = code < CODE_OF_A ? code - CODE_OF_0 : code - CODE_OF_A;
    sum += place % 2 === 1 ? (CIN_ODD[value] ?? 0) : value;
  }
  return bban.charCodeAt(0) === CODE_OF_A + (sum % CIN_ODD.length);
}
