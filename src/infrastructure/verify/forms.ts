/** The forms of stored values that several tables share. */
import { hasIbanShape } from '../../domain/iban.js';
import { isStoredText, type TextRule } from '../../domain/text.js';
import { type Form, textOf } from './row-check.js';

const UUID_BYTES = 16;

/** Checks that an id is a UUIDv7: see newId. */
export const isStoredId: Form = (value) =>
  value instanceof Uint8Array &&
  value.length === UUID_BYTES &&
  (value[6] ?? 0) >> 4 === 7 &&
  (value[8] ?? 0) >> 6 === 2;

/** Returns the form of a column that may be null. */
export const absentOr =
  (form: Form): Form =>
  (value) =>
    value === null || form(value);

/** Returns the form of a text that matches a pattern. */
export const matching =
  (pattern: RegExp): Form =>
  (value) =>
    typeof value === 'string' && pattern.test(value);

/** Returns the form of a text that is a member of a closed set. */
export const oneOf = (values: readonly string[]): Form => {
  const known = new Set<unknown>(values);
  return (value) => known.has(value);
};

/** Returns the form of a text that follows a rule of the domain. */
export const text =
  (rule: TextRule): Form =>
  (value) =>
    isStoredText(textOf(value), rule);

/** Checks that a text has the shape of an IBAN. */
export const isIban: Form = (value) => typeof value === 'string' && hasIbanShape(value);

/** Returns the form of a list, which is stored with commas between its items. */
export const listOf =
  (isItem: (item: string) => boolean): Form =>
  (value) =>
    typeof value === 'string' && value.split(',').every(isItem);
