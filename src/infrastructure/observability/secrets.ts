/** A URL up to its password: the scheme and the user. Percent-encoding is often forgotten, so the last @ ends it. */
const PASSWORD_IN_URL = /\b([a-z][a-z0-9+.-]*:\/\/[^\s:@/]*):\S*@/gi;

/** Returns a text with *** for the password of each URL in it. */
export function withoutPasswords(text: string): string {
  return text.replace(PASSWORD_IN_URL, '$1:***@');
}

/** Returns the message of whatever was thrown, without passwords. */
export function reasonOf(error: unknown): string {
  return withoutPasswords(error instanceof Error ? error.message : String(error));
}
