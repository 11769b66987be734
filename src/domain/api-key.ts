import type { Caller } from './caller.js';

/** The prefix of every API key. It identifies a text as an API key wherever the text is found. */
const MARK = 'vmt_';

/** The form of a key: the mark, 6 bytes in hexadecimal, 32 bytes in base64url. */
const API_KEY = /^vmt_([0-9a-f]{12})_([A-Za-z0-9_-]{43})$/;

export interface ApiKeyParts {
  /** The public name of the key; the prefix is no secret. */
  readonly prefix: string;
  readonly secret: string;
}

const PREFIX = /^[0-9a-f]{12}$/;

/** Tells whether a text has the form of a key's prefix. No other text names a key. */
export function isApiKeyPrefix(text: string): boolean {
  return PREFIX.test(text);
}

/** Tells whether a text begins as an API key does. */
export function isApiKey(text: string): boolean {
  return text.startsWith(MARK);
}

export function formatApiKey({ prefix, secret }: ApiKeyParts): string {
  return `${MARK}${prefix}_${secret}`;
}

/** @returns undefined for a text that is no key */
export function parseApiKey(text: string): ApiKeyParts | undefined {
  const [, prefix, secret] = API_KEY.exec(text) ?? [];
  return prefix === undefined || secret === undefined ? undefined : { prefix, secret };
}

/** The owner of an API key that is valid. */
export interface ApiKeyOwner {
  readonly caller: Caller;
  /** The time from which the key is refused; null if it does not expire. */
  readonly expiresAt: Date | null;
}

/** Why an API key is refused. */
export type ApiKeyFault = 'EXPIRED' | 'INVALID';
