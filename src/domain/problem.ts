/** Everything that can be wrong with a value that a client sent. */
export const PROBLEM_CODES = [
  'REQUIRED',
  'TOO_LONG',
  'TOO_SHORT',
  'TOO_FEW',
  'TOO_MANY',
  'INVALID_AMOUNT',
  'AMOUNT_NOT_POSITIVE',
  'AMOUNT_TOO_LARGE',
  'TOO_MANY_FRACTION_DIGITS',
  'CURRENCY_MISMATCH',
  'INVALID_IBAN',
  'INVALID_IBAN_CHECKSUM',
  'INVALID_BIC',
  'INVALID_CHARACTERS',
  'DUPLICATE',
  'SAME_ACCOUNT',
  'MISMATCH',
] as const;

export type ProblemCode = (typeof PROBLEM_CODES)[number];

/** One thing that is wrong with a request. */
export interface Problem {
  /** The row, 0-based; undefined where the request itself is wrong. */
  readonly index?: number | undefined;
  /** The input's field name. */
  readonly field: string;
  readonly code: ProblemCode;
  /** A sentence for a person. */
  readonly message: string;
}

/** How many problems one answer lists at most; their count is always told in full. */
export const PROBLEMS_LISTED_MAX = 1_000;

const QUOTED_CHARACTERS_MAX = 50;

/**
 * Quotes a client's value for a message: cut at 50 characters; line breaks, control characters and what
 * changes the direction of writing escaped; lone surrogates replaced. So the message is always well-formed
 * text, and reads in one direction.
 */
export function quote(value: string): string {
  // A character is two UTF-16 units at most: a long value is never walked as a whole.
  const characters = Array.from(value.slice(0, 2 * (QUOTED_CHARACTERS_MAX + 1)).toWellFormed());
  const isCut = characters.length > QUOTED_CHARACTERS_MAX;
  const cut = characters.slice(0, QUOTED_CHARACTERS_MAX).join('') + (isCut ? '…' : '');
  // JSON escapes the control characters below the space alone.
  return JSON.stringify(cut).replace(
    /[\u007f-\u009f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Returns how Unicode names a character: "U+202E". */
export function codePointOf(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return `U+${code.toString(16).toUpperCase().padStart(4, '0')}`;
}

/** What is wrong, after the quoted value. A code that needs more than the value writes its own sentence. */
const SENTENCES = {
  INVALID_AMOUNT: 'is not a plain decimal number such as 14.50.',
  AMOUNT_NOT_POSITIVE: 'is not a positive amount.',
  TOO_MANY_FRACTION_DIGITS: 'has more fraction digits than the currency.',
  CURRENCY_MISMATCH: 'is not the currency of the account.',
  INVALID_IBAN: 'is not an IBAN: its country, length or structure is wrong.',
  INVALID_IBAN_CHECKSUM: 'is not an IBAN: its check digits are wrong.',
  INVALID_BIC: 'is not a BIC: 8 or 11 letters and digits are expected.',
  DUPLICATE: 'is used by an earlier row of this bulk.',
  SAME_ACCOUNT: 'is the account that is debited.',
  MISMATCH: 'is not what the account has.',
} as const satisfies Partial<Record<ProblemCode, string>>;

/** A problem with a value, in the words of its code. */
export function valueProblem(
  code: keyof typeof SENTENCES,
  field: string,
  value: string,
  index?: number,
): Problem {
  return { index, field, code, message: `${quote(value)} ${sentenceOf(code, field)}` };
}

/** The name is the organization's, whatever account it is sent with. */
function sentenceOf(code: keyof typeof SENTENCES, field: string): string {
  const isOfOrganization = code === 'MISMATCH' && field === 'organizationName';
  return isOfOrganization ? 'is not the name of the organization.' : SENTENCES[code];
}

/** A value that must be there is empty or blank. */
export function requiredProblem(field: string, index?: number): Problem {
  return { index, field, code: 'REQUIRED', message: 'A value is required.' };
}
