/** What every key begins with, so that it is known for one wherever it is found. */
const MARK = 'vmt_';

/** 6 bytes in hexadecimal, and 32 in base64url. */
const API_KEY = /^vmt_([0-9a-f]{12})_([A-Za-z0-9_-]{43})$/;

export interface ApiKeyParts {
  /** What it is called by; no secret. */
  readonly prefix: string;
  readonly secret: string;
}

const PREFIX = /^[0-9a-f]{12}$/;

/** Tells whether a text has the form of a key's prefix: no other text names a key. */
export function isApiKeyPrefix(text: string): boolean {
  return PREFIX.test(text);
}

/** Whether a text says that it is a key. */
export function isApiKey(text: string): boolean {
  return text.startsWith(MARK);
}

export function formatApiKey({ prefix, secret }: ApiKeyParts): string {
  return `${MARK}${prefix}_${secret}`;
}

/** @returns undefined for what is no key */
export function parseApiKey(text: string): ApiKeyParts | undefined {
  const [, prefix, secret] = API_KEY.exec(text) ?? [];
  return prefix === undefined || secret === undefined ? undefined : { prefix, secret };
}
