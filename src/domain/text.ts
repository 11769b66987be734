import { type Problem, quote, requiredProblem, valueProblem } from './problem.js';

/** Control characters, which no bank's file format carries; lone surrogates, which no database does. */
const FORBIDDEN = /[\p{Cc}\p{Cs}]/u;

/** Names and descriptions: SEPA's 140 characters of remittance information. */
export const TEXT_CHARACTERS_MAX = 140;

export interface TextRule {
  readonly charactersMin: number;
  readonly charactersMax: number;
}

/** A name: at least one character that is not a space. */
export const NAME: TextRule = { charactersMin: 1, charactersMax: TEXT_CHARACTERS_MAX };
/** A description may be empty. */
export const DESCRIPTION: TextRule = { charactersMin: 0, charactersMax: TEXT_CHARACTERS_MAX };
/** End-to-end identification, ISO 20022's Max35Text. */
export const END_TO_END_ID: TextRule = { charactersMin: 1, charactersMax: 35 };

/** How many characters (code points, as the databases count them) a text has. */
export function characterCount(text: string): number {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

/**
 * Judges a text. It is stored as it came: nothing is trimmed, folded or transliterated.
 * @returns every problem of this text, at most two
 */
export function textProblems(
  text: string,
  field: string,
  rule: TextRule,
  index?: number,
): Problem[] {
  const problems: Problem[] = [];
  if (rule.charactersMin > 0 && text.trim() === '') return [requiredProblem(field, index)];
  // A character has one or two UTF-16 units, so most texts are judged by their length alone.
  const isLong = text.length > 2 * rule.charactersMax;
  if (isLong || (text.length > rule.charactersMax && characterCount(text) > rule.charactersMax)) {
    problems.push({
      index,
      field,
      code: 'TOO_LONG',
      message: `${quote(text)} has more than ${rule.charactersMax} characters.`,
    });
  }
  if (FORBIDDEN.test(text)) problems.push(valueProblem('INVALID_CHARACTERS', field, text, index));
  return problems;
}

/** UTF-16 units of a text that is within TEXT_CHARACTERS_MAX. */
const TEXT_UNITS_MAX = 2 * TEXT_CHARACTERS_MAX;

/** Tells whether a text that a client sent, of any length, is the stored name. */
export function isSameName(sent: string, kept: string): boolean {
  const trimmed = sent.trim();
  return trimmed.length <= TEXT_UNITS_MAX && foldName(trimmed) === foldName(kept.trim());
}

/**
 * The form in which names are compared and searched: lower case, composed, with one sigma, so that a
 * prefix folds as the name it begins does. The same on every database, where a collation would differ.
 * It is at most three times as long as the name.
 * @throws RangeError for a text that is too long for a name: composing takes quadratic time over combining
 *   marks, so lengths are judged before
 */
export function foldName(name: string): string {
  if (name.length > TEXT_UNITS_MAX) throw new RangeError('The text is too long for a name');
  return name.toLowerCase().normalize('NFC').replaceAll('ς', 'σ');
}
