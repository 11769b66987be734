import { type Problem, quote } from './problem.js';

/** The largest number of UTF-16 units of a webhook's URL. */
export const WEBHOOK_URL_CHARACTERS_MAX = 2_000;

/** Which URLs a company may register. */
export interface WebhookUrlRules {
  /** Whether receivers on this machine are allowed, also by http. It is meant for development. */
  readonly allowsLoopback: boolean;
}

/** Matches white space and everything without a shape, which the URL parser would drop or encode without a word. */
const INVISIBLE = /[\s\p{C}]/u;

const FIELD = 'url';

/**
 * Returns the problems of the URL of a webhook; none if the URL is valid. A URL has at most one problem. The address
 * behind a host name is checked before each call, because it can change.
 */
export function webhookUrlProblems(text: string, rules: WebhookUrlRules): readonly Problem[] {
  if (text === '') return [{ field: FIELD, code: 'REQUIRED', message: 'A value is required.' }];
  if (text.length > WEBHOOK_URL_CHARACTERS_MAX) {
    const message = `The URL has ${text.length} characters: at most ${WEBHOOK_URL_CHARACTERS_MAX} are allowed.`;
    return [{ field: FIELD, code: 'TOO_LONG', message }];
  }
  const message = faultOf(text, rules);
  return message === undefined ? [] : [{ field: FIELD, code: 'INVALID_URL', message }];
}

/** Tells whether the host of a parsed URL is this machine: localhost, a name below it, 127.0.0.0/8 or ::1. */
function isLoopbackHost(hostname: string): boolean {
  const name = hostname.replace(/\.$/, '');
  return (
    name === 'localhost' ||
    name.endsWith('.localhost') ||
    name === '[::1]' ||
    /^127(\.[0-9]{1,3}){3}$/.test(name)
  );
}

/** Returns the sentence about the fault of a URL. A URL with a password is never quoted. */
function faultOf(text: string, { allowsLoopback }: WebhookUrlRules): string | undefined {
  if (INVISIBLE.test(text) || !URL.canParse(text)) {
    // A text with @ can have a password, although it is not a URL.
    return `${text.includes('@') ? 'The text' : quote(text)} is not a URL.`;
  }
  const { protocol, hostname, port, username, password } = new URL(text);
  if (username !== '' || password !== '') {
    return 'The URL contains a user name or a password: the signature identifies the server instead.';
  }
  if (text.includes('#')) return `${quote(text)} has a fragment, which is never sent.`;
  if (protocol !== 'https:' && !(protocol === 'http:' && allowsLoopback)) {
    return `${quote(text)} does not begin with https://.`;
  }
  if (port === '0') return `${quote(text)} has the port 0.`;
  if (hostname.endsWith('.')) return `${quote(text)} has a host name that ends with a dot.`;
  if (isLoopbackHost(hostname)) {
    return allowsLoopback ? undefined : `${quote(text)} is an address of this machine.`;
  }
  return protocol === 'https:' ? undefined : `${quote(text)} does not begin with https://.`;
}
