import { codePointOf, type Problem, quote, requiredProblem } from './problem.js';

/** Control characters, which no bank's file format carries; lone surrogates, which no database does. */
const NEVER_STORED = /[\p{Cc}\p{Cs}]/u;

/**
 * Characters of no text, beside those above: line and paragraph separators; noncharacters, two of which no XML
 * can carry; embeddings, overrides and isolates of direction, which show a text in another order than the one
 * in which it is paid. Words of Hebrew and Arabic need none of them, and marks of direction are allowed.
 * Source: Unicode 17, UAX #9; XML 1.0, production Char.
 */
const FORBIDDEN =
  /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Noncharacter_Code_Point}\u202a-\u202e\u2066-\u2069]/u;

/**
 * A character that can be seen: none of white space, of what Unicode lets a font ignore, of annotation marks and
 * of the blank glyphs of Braille and musical notation.
 */
const VISIBLE =
  /[^\p{White_Space}\p{Default_Ignorable_Code_Point}\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}\u2800\ufff9-\ufffb\u{16fe4}\u{1d159}]/u;

/** Names and descriptions: SEPA's 140 characters of remittance information. */
export const TEXT_CHARACTERS_MAX = 140;

export interface TextRule {
  readonly charactersMin: number;
  readonly charactersMax: number;
}

/** A name: at least one character that can be seen. */
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
  if (rule.charactersMin > 0 && !VISIBLE.test(text)) return [invisibleProblem(text, field, index)];
  if (isTooLong(text, rule)) {
    problems.push({
      index,
      field,
      code: 'TOO_LONG',
      message: `${quote(text)} has more than ${rule.charactersMax} characters.`,
    });
  }
  const [forbidden] = FORBIDDEN.exec(text) ?? [];
  if (forbidden !== undefined) {
    const message = `${quote(text)} has ${codePointOf(forbidden)}, which is not allowed here.`;
    problems.push({ index, field, code: 'INVALID_CHARACTERS', message });
  }
  return problems;
}

/** A text that must be there has nothing that can be seen; the message names what it has instead. */
function invisibleProblem(text: string, field: string, index: number | undefined): Problem {
  const required = requiredProblem(field, index);
  const [character] = /[^ ]/u.exec(text) ?? [];
  if (character === undefined) return required;
  return { ...required, message: `A value is required; ${codePointOf(character)} is not visible.` };
}

function isTooLong(text: string, { charactersMax }: TextRule): boolean {
  // A character has one or two UTF-16 units, so most texts are judged by their length alone.
  if (text.length > 2 * charactersMax) return true;
  return text.length > charactersMax && characterCount(text) > charactersMax;
}

/**
 * Tells whether a ledger may have a text. Earlier releases let more characters in than textProblems does, and
 * what they stored stays as it is.
 */
export function isStoredText(text: string, rule: TextRule): boolean {
  if (rule.charactersMin > 0 && text.trim() === '') return false;
  return !isTooLong(text, rule) && !NEVER_STORED.test(text);
}

/** UTF-16 units of a text that is within TEXT_CHARACTERS_MAX. */
const TEXT_UNITS_MAX = 2 * TEXT_CHARACTERS_MAX;

/** Tells whether a text that a client sent, of any length, is the stored name. */
export function isSameName(sent: string, kept: string): boolean {
  const folded = comparableName(sent);
  return folded !== undefined && folded === comparableName(kept);
}

/**
 * Returns the form in which names are the same, without space around it.
 * @returns undefined for a text that is too long for a name
 */
export function comparableName(text: string): string | undefined {
  const trimmed = text.trim();
  return trimmed.length <= TEXT_UNITS_MAX ? foldName(trimmed) : undefined;
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
