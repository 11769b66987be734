/** The rules of SEPA credit transfers for texts. They are stricter than the rules of this server. */
import type { CreditTransferRequest } from './bulk-transfer.js';
import { codePointOf, type Problem, quote } from './problem.js';
import { characterCount } from './text.js';

/**
 * The largest length of a name.
 * Source: EPC132-08, customer-to-PSP implementation guidelines of SEPA credit transfers, Creditor/Name.
 */
const SEPA_NAME_CHARACTERS_MAX = 70;

/**
 * The largest length of unstructured remittance information, which may occur once.
 * Source: EPC132-08, Remittance Information/Unstructured.
 */
const SEPA_DESCRIPTION_CHARACTERS_MAX = 140;

/**
 * A character outside the set that every bank of SEPA supports.
 * Source: EPC217-08, best practices of the character set.
 */
const OUTSIDE_SEPA = /[^a-zA-Z0-9/\-?:().,'+ ]/gu;

/** The largest number of characters that a message lists. */
const CHARACTERS_LISTED_MAX = 10;

/**
 * Judges the texts of a transfer by the rules of SEPA. Lengths of the end-to-end id, amounts and account numbers are
 * judged by the rules of a bulk transfer.
 * @returns every problem, without a row
 */
export function sepaProblems(values: CreditTransferRequest): Problem[] {
  const { counterpartyName, description, endToEndId } = values;
  return [
    ...textProblems('counterpartyName', counterpartyName, SEPA_NAME_CHARACTERS_MAX),
    ...textProblems('description', description, SEPA_DESCRIPTION_CHARACTERS_MAX),
    ...(endToEndId == null ? [] : identificationProblems('endToEndId', endToEndId)),
  ];
}

function textProblems(field: string, text: string, charactersMax: number): Problem[] {
  const problems: Problem[] = [];
  if (text.length > charactersMax && characterCount(text) > charactersMax) {
    const message = `${quote(text)} has more than ${charactersMax} characters, the largest number in SEPA.`;
    problems.push({ field, code: 'TOO_LONG', message });
  }
  const outside = charactersOutsideSepa(text);
  if (outside !== undefined) {
    const message = `${quote(text)} contains ${outside}: banks replace characters that SEPA does not have.`;
    problems.push({ field, code: 'INVALID_CHARACTERS', message });
  }
  return problems;
}

/**
 * Judges an identification. A slash at its beginning or end, or two slashes in a row, may separate fields in other
 * messages. Source: EPC217-08.
 */
function identificationProblems(field: string, text: string): Problem[] {
  const problems: Problem[] = [];
  const outside = charactersOutsideSepa(text);
  if (outside !== undefined) {
    const message = `${quote(text)} contains ${outside}, which no identification in SEPA may have.`;
    problems.push({ field, code: 'INVALID_CHARACTERS', message });
  }
  if (text.startsWith('/') || text.endsWith('/') || text.includes('//')) {
    const message = `${quote(text)} begins or ends with a slash, or has two slashes in a row. SEPA does not allow this.`;
    problems.push({ field, code: 'INVALID_CHARACTERS', message });
  }
  return problems;
}

/** Returns the characters of a text that SEPA does not have, each once; undefined if there are none. */
function charactersOutsideSepa(text: string): string | undefined {
  const characters = new Set<string>();
  for (const [character] of text.matchAll(OUTSIDE_SEPA)) {
    characters.add(character);
    if (characters.size > CHARACTERS_LISTED_MAX) break;
  }
  if (characters.size === 0) return undefined;
  const listed = [...characters].slice(0, CHARACTERS_LISTED_MAX).map(nameOf).join(', ');
  return characters.size > CHARACTERS_LISTED_MAX ? `${listed} and others` : listed;
}

/** Returns a letter, sign or number with its code point, and other characters as the code point alone. */
function nameOf(character: string): string {
  const code = codePointOf(character);
  return /[\p{Letter}\p{Number}\p{Punctuation}\p{Symbol}]/u.test(character)
    ? `${character} (${code})`
    : code;
}
