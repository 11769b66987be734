import { countrySpecs, ValidationErrorsIBAN, validateIBAN } from 'ibantools';
import type { ProblemCode } from './problem.js';

/** strict: country, length, structure and check digits. format: shape only, for sandboxes and masked data. */
export type IbanCheck = 'strict' | 'format';

/** IBAN2007Identifier of ISO 20022, at most 34 characters as in ISO 13616. */
const IBAN_SHAPE = /^[A-Z]{2}[0-9]{2}[A-Z0-9]{1,30}$/;

/** Whether a normalised text could be an IBAN: whatever else it is, no account here has it. */
export function hasIbanShape(iban: string): boolean {
  return IBAN_SHAPE.test(iban);
}

/** ISO 20022's BICFIDec2014Identifier, 8 or 11 characters. */
const BIC_SHAPE = /^[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}(?:[A-Z0-9]{3})?$/;

/**
 * The electronic form: no spaces, ASCII letters in upper case. Everything else stays, to be judged by
 * the checks below: full upper-casing would make ASCII letters of some that are none.
 */
export function normaliseIban(text: string): string {
  return text.replaceAll(' ', '').replace(/[a-z]+/g, (letters) => letters.toUpperCase());
}

/** Likewise for a BIC. */
export const normaliseBic = normaliseIban;

/**
 * Judges a normalised IBAN by the tables of ibantools, which are the SWIFT registry and the countries
 * that use IBANs without being in it: country, length, structure, mod 97 (ISO 13616).
 * National check digits inside the account number are not looked at: banks differ on them.
 * @returns undefined where it is fine
 */
export function ibanProblem(
  iban: string,
  check: IbanCheck,
): Extract<ProblemCode, 'INVALID_IBAN' | 'INVALID_IBAN_CHECKSUM'> | undefined {
  if (!hasIbanShape(iban)) return 'INVALID_IBAN';
  if (check === 'format') return undefined;
  const wrong = validateIBAN(iban).errorCodes.filter(
    (code) => code !== ValidationErrorsIBAN.WrongAccountBankBranchChecksum,
  );
  if (wrong.length === 0) return undefined;
  return wrong.every((code) => code === ValidationErrorsIBAN.WrongIBANChecksum)
    ? 'INVALID_IBAN_CHECKSUM'
    : 'INVALID_IBAN';
}

/** Whether a normalised BIC has the right shape and, in the strict check, a country that exists. */
export function isBic(bic: string, check: IbanCheck): boolean {
  return BIC_SHAPE.test(bic) && (check === 'format' || bic.slice(4, 6) in countrySpecs);
}

/** A BIC of 8 characters names the head office, as does one of 11 that ends in XXX (ISO 9362). */
export function isSameBic(one: string, other: string): boolean {
  return one.padEnd(11, 'X') === other.padEnd(11, 'X');
}
