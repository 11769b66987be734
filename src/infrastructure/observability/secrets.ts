/**
 * Matches a URL up to the end of its password. The last @ ends the password, because percent-encoding is often
 * forgotten.
 */
const PASSWORD_IN_URL = /\b([a-z][a-z0-9+.-]*:\/\/[^\s:@/]*):\S*@/gi;

/** Matches the parameter of a URL that signs it: see files-out/export-links.ts. */
const SIGNATURE_IN_URL = /([?&]signature=)[^&\s"']+/gi;

/** Returns a text in which *** replaces the password and the signature of each URL. */
export function withoutPasswords(text: string): string {
  return text.replace(PASSWORD_IN_URL, '$1:***@').replace(SIGNATURE_IN_URL, '$1***');
}

/** Returns the message of any thrown value, without passwords. */
export function reasonOf(error: unknown): string {
  return withoutPasswords(error instanceof Error ? error.message : String(error));
}
