import { codePointOf, type Problem, quote, requiredProblem } from './problem.js';

/** Control characters, which no bank file format allows, and lone surrogates, which no database stores. */
const NEVER_STORED = /[\p{Cc}\p{Cs}]/u;

/**
 * Characters that are forbidden in every text, in addition to NEVER_STORED. They are line and paragraph separators,
 * noncharacters, and embeddings, overrides and isolates of direction. XML cannot contain two of the noncharacters.
 * The direction characters show a text in another order than the one in which it is paid. Words of Hebrew and Arabic
 * need none of them. Direction marks are allowed. Source: Unicode 17, UAX #9; XML 1.0, production Char.
 */
const FORBIDDEN =
  /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Noncharacter_Code_Point}\u202a-\u202e\u2066-\u2069]/u;

/**
 * A visible character. White space, characters that Unicode lets a font ignore, annotation marks, and the blank
 * glyphs of Braille and musical notation are not visible.
 */
const VISIBLE =
  /[^\p{White_Space}\p{Default_Ignorable_Code_Point}\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}\u2800\ufff9-\ufffb\u{16fe4}\u{1d159}]/u;

/** The largest length of names and descriptions: the 140 characters of remittance information in SEPA. */
export const TEXT_CHARACTERS_MAX = 140;

/** The length of a text. A text with a fixed form, such as a code, needs a rule of its own as well. */
export interface TextRule {
  /** 0 for a text that may be empty; 1 for a text that needs a visible character. Larger values mean the same as 1. */
  readonly charactersMin: number;
  readonly charactersMax: number;
}

/** The rule of a name, which needs at least one visible character. */
export const NAME: TextRule = { charactersMin: 1, charactersMax: TEXT_CHARACTERS_MAX };
/** The rule of a description, which may be empty. */
export const DESCRIPTION: TextRule = { charactersMin: 0, charactersMax: TEXT_CHARACTERS_MAX };
/** The rule of an end-to-end identification: Max35Text of ISO 20022. */
export const END_TO_END_ID: TextRule = { charactersMin: 1, charactersMax: 35 };

/** Counts the characters of a text, as code points. The databases count code points too. */
export function characterCount(text: string): number {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

/**
 * Judges a text. A text is stored unchanged: it is not trimmed, folded or transliterated.
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
    const message = `${quote(text)} contains ${codePointOf(forbidden)}, which is not allowed here.`;
    problems.push({ index, field, code: 'INVALID_CHARACTERS', message });
  }
  return problems;
}

/**
 * Returns the problem of a required text without a visible character. The message names the characters that it has.
 */
function invisibleProblem(text: string, field: string, index: number | undefined): Problem {
  const required = requiredProblem(field, index);
  const [character] = /[^ ]/u.exec(text) ?? [];
  if (character === undefined) return required;
  return {
    ...required,
    message: `A value is required: the text has only invisible characters, such as ${codePointOf(character)}.`,
  };
}

function isTooLong(text: string, { charactersMax }: TextRule): boolean {
  // A character has one or two UTF-16 units, so the length alone decides for most texts.
  if (text.length > 2 * charactersMax) return true;
  return text.length > charactersMax && characterCount(text) > charactersMax;
}

/**
 * Tells whether a stored text is valid. Earlier releases allowed more characters than textProblems does, and their
 * texts stay unchanged.
 */
export function isStoredText(text: string, rule: TextRule): boolean {
  if (rule.charactersMin > 0 && text.trim() === '') return false;
  return !isTooLong(text, rule) && !NEVER_STORED.test(text);
}

/** The largest number of UTF-16 units of a text within TEXT_CHARACTERS_MAX. */
const TEXT_UNITS_MAX = 2 * TEXT_CHARACTERS_MAX;

/** Tells whether a text from a client, of any length, is the stored name. */
export function isSameName(sent: string, kept: string): boolean {
  const folded = comparableName(sent);
  return folded !== undefined && folded === comparableName(kept);
}

/**
 * Returns the form in which names are compared, without white space around it.
 * @returns undefined for a text that is too long for a name
 */
export function comparableName(text: string): string | undefined {
  const trimmed = text.trim();
  return trimmed.length <= TEXT_UNITS_MAX ? foldName(trimmed) : undefined;
}

/**
 * Returns the form in which names are compared and searched: lower case, composed, with one sigma. A prefix of a name
 * folds to a prefix of the folded name. The form is the same on every database, while collations differ. It is at
 * most three times as long as the name.
 * @throws RangeError for a text that is too long for a name. Composing takes quadratic time over combining marks, so
 *   callers check the length first
 */
export function foldName(name: string): string {
  if (name.length > TEXT_UNITS_MAX) throw new RangeError('The text is too long for a name');
  return name.toLowerCase().normalize('NFC').replaceAll('ς', 'σ');
}
