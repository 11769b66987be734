import { createHash } from 'node:crypto';
import { type Problem, quote, valueProblem } from './problem.js';

/** Length of an idempotency key, in characters: all are ASCII. */
export const IDEMPOTENCY_KEY_CHARACTERS_MAX = 255;

const PRINTABLE_ASCII = /^[\x20-\x7e]*$/;

/** Judges an idempotency key: 1 to 255 printable ASCII characters. */
export function idempotencyKeyProblems(key: string | undefined): Problem[] {
  const field = 'idempotencyKey';
  if (key === undefined) return [];
  if (key === '') return [{ field, code: 'TOO_SHORT', message: 'The key has no characters.' }];
  const problems: Problem[] = [];
  if (key.length > IDEMPOTENCY_KEY_CHARACTERS_MAX) {
    const message = `${quote(key)} has more than ${IDEMPOTENCY_KEY_CHARACTERS_MAX} characters.`;
    problems.push({ field, code: 'TOO_LONG', message });
  }
  if (!PRINTABLE_ASCII.test(key)) problems.push(valueProblem('INVALID_CHARACTERS', field, key));
  return problems;
}

/** The SHA-256 of a text that is added in parts, which end between characters. */
export class ContentHash {
  readonly #hash = createHash('sha256');

  constructor(start: string) {
    this.#hash.update(start);
  }

  add(text: string): void {
    this.#hash.update(text);
  }

  /** @returns 64 hexadecimal digits; to be called once */
  digest(end: string): string {
    return this.#hash.update(end).digest('hex');
  }
}

/**
 * What tells two requests with one idempotency key apart.
 * @param content of the request, normalised: strings, bigints, nulls and arrays in a fixed order
 * @returns SHA-256, 64 hexadecimal digits
 */
export function fingerprintOf(content: readonly unknown[]): string {
  const canonical = JSON.stringify(content, (_, value) =>
    typeof value === 'bigint' ? value.toString() : value,
  );
  return createHash('sha256').update(canonical).digest('hex');
}
