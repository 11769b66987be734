/** The longest time that a receiver can ask to wait. */
export const RETRY_AFTER_MS_MAX = 86_400_000;

/** Matches the preferred form of a date in HTTP: Sun, 06 Nov 1994 08:49:37 GMT. */
const HTTP_DATE = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;

/**
 * Reads the header Retry-After: seconds, or a date (RFC 9110, 10.2.3).
 * @param nowMs the current time in milliseconds since 1970
 * @returns milliseconds from 0 up to RETRY_AFTER_MS_MAX; null if there is no such header or its value is wrong
 */
export function readRetryAfter(value: string | undefined, nowMs: number): number | null {
  const text = value?.trim() ?? '';
  const delayMs = /^\d+$/.test(text) ? Number(text) * 1_000 : dateOf(text) - nowMs;
  return Number.isNaN(delayMs) ? null : Math.min(Math.max(delayMs, 0), RETRY_AFTER_MS_MAX);
}

const dateOf = (text: string) => (HTTP_DATE.test(text) ? Date.parse(text) : Number.NaN);
