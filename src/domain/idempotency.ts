import { createHash } from 'node:crypto';
import { codePointOf, type Problem, quote } from './problem.js';

/** Length of an idempotency key, in characters: all are ASCII. */
export const IDEMPOTENCY_KEY_CHARACTERS_MAX = 255;

const NOT_PRINTABLE_ASCII = /[^\x20-\x7e]/u;

/**
 * Judges an idempotency key: 1 to 255 printable ASCII characters.
 * @param isRequired whether the server takes no request without one
 */
export function idempotencyKeyProblems(key: string | undefined, isRequired = false): Problem[] {
  const field = 'idempotencyKey';
  if (key === undefined) {
    const message = 'This server takes no bulk and no credit without an idempotency key.';
    return isRequired ? [{ field, code: 'REQUIRED', message }] : [];
  }
  if (key === '') return [{ field, code: 'TOO_SHORT', message: 'The key has no characters.' }];
  const problems: Problem[] = [];
  if (key.length > IDEMPOTENCY_KEY_CHARACTERS_MAX) {
    const message = `${quote(key)} has more than ${IDEMPOTENCY_KEY_CHARACTERS_MAX} characters.`;
    problems.push({ field, code: 'TOO_LONG', message });
  }
  const [forbidden] = NOT_PRINTABLE_ASCII.exec(key) ?? [];
  if (forbidden !== undefined) {
    const message = `${quote(key)} has ${codePointOf(forbidden)}; a key has printable ASCII characters alone.`;
    problems.push({ field, code: 'INVALID_CHARACTERS', message });
  }
  return problems;
}

/**
 * Fingerprints are kept for good, and a key is compared with the fingerprint that was stored with it, so a
 * fingerprint says how it was made:
 *
 * - 1: 64 hexadecimal digits without a prefix, the form of the first release. Content is an array of values
 *   in a fixed order, null where a value is absent.
 * - 2: "2:" and the hash in base64url, 45 characters. Content has names; what is absent is left out, so a new
 *   optional field changes no fingerprint of a request that does not give it.
 *
 * Anything else that changes what is hashed takes a new version; the old ones stay, for the ledgers that hold
 * them. The column has 64 characters, and version 1 fills it: hence no prefix there, and no hexadecimal digits
 * in later versions. Widening it would rewrite two large tables on every ledger for nothing but a prefix.
 */
export type FingerprintVersion = 1 | 2;

/** The version of new fingerprints. */
export const FINGERPRINT_VERSION = 2 satisfies FingerprintVersion;

const FORMS: Readonly<Record<FingerprintVersion, RegExp>> = {
  1: /^[0-9a-f]{64}$/,
  2: /^2:[A-Za-z0-9_-]{43}$/,
};

/** Returns the version of a stored fingerprint; undefined where a later release made it. */
export function fingerprintVersionOf(stored: string): FingerprintVersion | undefined {
  if (FORMS[1].test(stored)) return 1;
  return FORMS[2].test(stored) ? 2 : undefined;
}

/**
 * Tells whether a request has the content whose fingerprint was stored.
 * @param fingerprintAs makes the request's fingerprint of a version
 * @throws Error for a fingerprint of a later release, about which nothing can be said
 */
export function hasSameContent(
  stored: string,
  fingerprintAs: (version: FingerprintVersion) => string,
): boolean {
  const version = fingerprintVersionOf(stored);
  if (version === undefined) throw new Error(`Unknown version of a fingerprint: ${stored}`);
  return fingerprintAs(version) === stored;
}

/** The SHA-256 of a text that is added in parts, which end between characters. */
export class ContentHash {
  readonly #hash = createHash('sha256');

  constructor(
    private readonly version: FingerprintVersion,
    start: string,
  ) {
    this.#hash.update(start);
  }

  add(text: string): void {
    this.#hash.update(text);
  }

  /** @returns the fingerprint in the form of its version; to be called once */
  digest(end: string): string {
    this.#hash.update(end);
    return this.version === 1
      ? this.#hash.digest('hex')
      : `${this.version}:${this.#hash.digest('base64url')}`;
  }
}

/**
 * Makes the fingerprint that tells two requests with one idempotency key apart.
 * @param content of the request, normalised: strings, arrays, and objects whose keys have a fixed order; what
 *   is undefined is left out
 */
export function fingerprintOf(version: FingerprintVersion, content: object): string {
  return new ContentHash(version, JSON.stringify(content)).digest('');
}
