/** The codes of all possible problems of a value that a client sent. */
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
  'INVALID_URL',
  'INVALID_TIME_ZONE',
  'DUPLICATE',
  'SAME_ACCOUNT',
  'MISMATCH',
  'UNREADABLE_FILE',
  'MISSING_COLUMN',
  'DUPLICATE_COLUMN',
  'CELL_COUNT_MISMATCH',
  'AMBIGUOUS_AMOUNTS',
  'SPREADSHEET_NUMBER',
  'ROW_COUNT_MISMATCH',
  'CONTROL_SUM_MISMATCH',
  'INVALID_DATE',
  'UNSUPPORTED',
] as const;

export type ProblemCode = (typeof PROBLEM_CODES)[number];

/** One problem of a request. */
export interface Problem {
  /** The row, 0-based; undefined if the problem is in the request itself. */
  readonly index?: number | undefined;
  /** The field name of the input. */
  readonly field: string;
  readonly code: ProblemCode;
  /** A sentence for people. */
  readonly message: string;
}

/** The largest number of problems that one answer lists. The count in the answer is always the full one. */
export const PROBLEMS_LISTED_MAX = 1_000;

const QUOTED_CHARACTERS_MAX = 50;

/**
 * Quotes a client's value for a message. The value is cut at 50 characters. Line breaks, control characters and
 * characters that change the direction of writing are escaped. Lone surrogates are replaced. The message is always
 * well-formed text that reads in one direction.
 */
export function quote(value: string): string {
  // A character has at most two UTF-16 units, so only the beginning of a long value is walked.
  const characters = Array.from(value.slice(0, 2 * (QUOTED_CHARACTERS_MAX + 1)).toWellFormed());
  const isCut = characters.length > QUOTED_CHARACTERS_MAX;
  const cut = characters.slice(0, QUOTED_CHARACTERS_MAX).join('') + (isCut ? '…' : '');
  // JSON escapes only the control characters below the space.
  return JSON.stringify(cut).replace(
    /[\u007f-\u009f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Returns the Unicode notation of a character: "U+202E". */
export function codePointOf(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return `U+${code.toString(16).toUpperCase().padStart(4, '0')}`;
}

/** The sentence after the quoted value. A code that needs more than the value writes its own sentence. */
const SENTENCES = {
  INVALID_AMOUNT: 'is not a plain decimal number such as 14.50.',
  AMOUNT_NOT_POSITIVE: 'is not a positive amount.',
  TOO_MANY_FRACTION_DIGITS: 'has more fraction digits than the currency.',
  CURRENCY_MISMATCH: 'is not the currency of the account.',
  INVALID_IBAN: 'is not an IBAN: its country, length or structure is wrong.',
  INVALID_IBAN_CHECKSUM: 'is not an IBAN: its check digits are wrong.',
  INVALID_BIC: 'is not a BIC: 8 or 11 letters and digits are expected.',
  DUPLICATE: 'is used by an earlier row of this bulk.',
  SAME_ACCOUNT: 'is the account that is debited: name another account.',
  MISMATCH: 'differs from the value of the account.',
} as const satisfies Partial<Record<ProblemCode, string>>;

/** Returns the problem of a value, with the sentence of its code. */
export function valueProblem(
  code: keyof typeof SENTENCES,
  field: string,
  value: string,
  index?: number,
): Problem {
  return { index, field, code, message: `${quote(value)} ${sentenceOf(code, field)}` };
}

/** Returns the sentence of a code. The name is the name of the organization, for every account that is sent. */
function sentenceOf(code: keyof typeof SENTENCES, field: string): string {
  const isOfOrganization = code === 'MISMATCH' && field === 'organizationName';
  return isOfOrganization ? 'is not the name of the organization.' : SENTENCES[code];
}

/** Returns the problem of a required value that is empty or blank. */
export function requiredProblem(field: string, index?: number): Problem {
  return { index, field, code: 'REQUIRED', message: 'A value is required.' };
}
