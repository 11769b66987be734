/**
 * Texts in the character set that all banks of SEPA take: Latin letters, digits, the space and / - ? : ( ) . , ' +
 * Source: EPC217-08. Only files in XML use it; other files have the texts as they are.
 */
import anyAscii from 'any-ascii';

/** Letters that their languages write in another way without diacritics, and signs with a name. */
const OWN_FORMS: Readonly<Record<string, string>> = {
  ä: 'ae',
  ö: 'oe',
  ü: 'ue',
  Ä: 'Ae',
  Ö: 'Oe',
  Ü: 'Ue',
  ß: 'ss',
  å: 'aa',
  Å: 'Aa',
  ø: 'oe',
  Ø: 'Oe',
  '€': 'EUR',
  '@': '(at)',
};

/** ASCII characters outside the set, and what takes their place. A character without an entry becomes a point. */
const ASCII_FORMS: Readonly<Record<string, string>> = {
  '&': '+',
  _: '-',
  '"': "'",
  '`': "'",
  '[': '(',
  ']': ')',
  '{': '(',
  '}': ')',
  '<': '(',
  '>': ')',
  '\\': '/',
  '|': '/',
  ';': ',',
};

const OWN = new RegExp(`[${Object.keys(OWN_FORMS).join('')}]`, 'g');
const OUTSIDE = /[^A-Za-z0-9/\-?:().,'+ ]/g;
const WHITE_SPACE = /[\s\p{Cc}]+/gu;

/** Most texts are in the set already. */
const WITHIN = /^[A-Za-z0-9/\-?:().,'+]+(?: [A-Za-z0-9/\-?:().,'+]+)*$/;

/**
 * Transliterates a text.
 * @param charactersMax the largest length of the result. A letter may become several
 * @returns '' for a text that has no such character at all
 */
export function toSepaText(text: string, charactersMax: number): string {
  if (text.length <= charactersMax && WITHIN.test(text)) return text;
  // Characters beyond the largest length of any text here are not examined.
  const own = text
    .slice(0, 2 * TEXT_CHARACTERS_MAX)
    .normalize('NFC')
    .replace(OWN, (character) => OWN_FORMS[character] ?? '');
  return anyAscii(own.toWellFormed())
    .replace(WHITE_SPACE, ' ')
    .replace(OUTSIDE, (character) => ASCII_FORMS[character] ?? '.')
    .trim()
    .slice(0, charactersMax)
    .trim();
}

/** The longest text of a transfer or a row, in UTF-16 units. */
const TEXT_CHARACTERS_MAX = 500;

const ID_CHARACTERS_MAX = 35;

/** Returns an identifier of SEPA, which neither begins nor ends with a slash, and has no two slashes in a row. */
export function toSepaId(text: string): string {
  return toSepaText(text, ID_CHARACTERS_MAX)
    .replace(/\/{2,}/g, '/')
    .replace(/^[/ ]+|[/ ]+$/g, '');
}
