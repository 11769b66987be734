import { createHash } from 'node:crypto';
import { codePointOf, type Problem, quote } from './problem.js';

/** The largest length of an idempotency key, in characters. All characters are ASCII. */
export const IDEMPOTENCY_KEY_CHARACTERS_MAX = 255;

const NOT_PRINTABLE_ASCII = /[^\x20-\x7e]/u;

/**
 * Judges an idempotency key: 1 to 255 printable ASCII characters.
 * @param isRequired tells whether the server refuses a request without a key
 */
export function idempotencyKeyProblems(key: string | undefined, isRequired = false): Problem[] {
  const field = 'idempotencyKey';
  if (key === undefined) {
    const message = 'This server requires an idempotency key for every bulk and every credit.';
    return isRequired ? [{ field, code: 'REQUIRED', message }] : [];
  }
  if (key === '') return [{ field, code: 'TOO_SHORT', message: 'The idempotency key is empty.' }];
  const problems: Problem[] = [];
  if (key.length > IDEMPOTENCY_KEY_CHARACTERS_MAX) {
    const message = `${quote(key)} has more than ${IDEMPOTENCY_KEY_CHARACTERS_MAX} characters.`;
    problems.push({ field, code: 'TOO_LONG', message });
  }
  const [forbidden] = NOT_PRINTABLE_ASCII.exec(key) ?? [];
  if (forbidden !== undefined) {
    const message = `${quote(key)} has ${codePointOf(forbidden)}; a key may have printable ASCII characters only.`;
    problems.push({ field, code: 'INVALID_CHARACTERS', message });
  }
  return problems;
}

/**
 * The version of a fingerprint. Fingerprints are kept forever, and a key is compared with its stored fingerprint.
 * Therefore each fingerprint carries its version:
 *
 * - 1: 64 hexadecimal digits without a prefix, the form of the first release. The content is an array of values in a
 *   fixed order, with null for an absent value.
 * - 2: "2:" and the hash in base64url, 45 characters. The content has names, and absent values are left out. A new
 *   optional field changes no fingerprint of a request that does not give it.
 *
 * Any other change of the hashed content needs a new version. The old versions stay, for the ledgers that contain
 * them. The column has 64 characters, and version 1 fills it. Therefore version 1 has no prefix, and later versions
 * have no hexadecimal digits. A wider column would rewrite two large tables on every ledger for a prefix alone.
 */
export type FingerprintVersion = 1 | 2;

/** The version of new fingerprints. */
export const FINGERPRINT_VERSION = 2 satisfies FingerprintVersion;

const FORMS: Readonly<Record<FingerprintVersion, RegExp>> = {
  1: /^[0-9a-f]{64}$/,
  2: /^2:[A-Za-z0-9_-]{43}$/,
};

/** Returns the version of a stored fingerprint; undefined if a later release made it. */
export function fingerprintVersionOf(stored: string): FingerprintVersion | undefined {
  if (FORMS[1].test(stored)) return 1;
  return FORMS[2].test(stored) ? 2 : undefined;
}

/**
 * Tells whether a request has the same content as the stored fingerprint.
 * @param fingerprintAs makes the request's fingerprint in a given version
 * @throws Error for a fingerprint of a later release, which this release cannot compare
 */
export function hasSameContent(
  stored: string,
  fingerprintAs: (version: FingerprintVersion) => string,
): boolean {
  const version = fingerprintVersionOf(stored);
  if (version === undefined) throw new Error(`Unknown fingerprint version: ${stored}`);
  return fingerprintAs(version) === stored;
}

/** Computes the SHA-256 of a text that is added in parts. Each part ends between characters. */
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

  /** @returns the fingerprint in the form of its version; call this once */
  digest(end: string): string {
    this.#hash.update(end);
    return this.version === 1
      ? this.#hash.digest('hex')
      : `${this.version}:${this.#hash.digest('base64url')}`;
  }
}

/**
 * Makes the fingerprint that tells two requests with one idempotency key apart.
 * @param content the normalised content of the request: strings, arrays, and objects whose keys have a fixed order.
 *   Undefined values are left out
 */
export function fingerprintOf(version: FingerprintVersion, content: object): string {
  return new ContentHash(version, JSON.stringify(content)).digest('');
}
