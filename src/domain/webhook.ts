/** The rules of webhooks: limits, retries, and the time for which a replaced secret still signs. */

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

/** The largest number of webhooks of one organization. */
export const WEBHOOKS_PER_ORGANIZATION_MAX = 20;

/** The largest number of accounts that one webhook lists. A webhook without a list is called for all accounts. */
export const WEBHOOK_ACCOUNTS_MAX = 100;

/** The largest number of deliveries that one request may send again. */
export const REDELIVERED_MAX = 100_000;

/** The time for which the secret before the last one signs too, so that a receiver can change its secret. */
export const SECRET_OVERLAP_MS = 24 * HOUR_MS;

/** The time without a successful attempt after which a webhook is disabled. */
export const FAILING_MAX_MS = 24 * HOUR_MS;

/** The largest delay that a receiver may request by Retry-After. */
export const RETRY_AFTER_MAX_MS = 24 * HOUR_MS;

/** The delays between the attempts of a delivery. A delivery has one attempt more. */
const RETRY_DELAYS_MS: readonly number[] = [
  5 * SECOND_MS,
  30 * SECOND_MS,
  2 * MINUTE_MS,
  10 * MINUTE_MS,
  HOUR_MS,
  6 * HOUR_MS,
  24 * HOUR_MS,
];

/** The largest part of a delay that is added to it at random, so that deliveries that failed together spread. */
const JITTER_SHARE = 0.2;

/**
 * Returns the delay before the next attempt of a delivery.
 * @param failures number of failed attempts so far, 1 or more
 * @param random from 0 to 1
 * @returns milliseconds; undefined if there is no further attempt
 */
export function retryDelayMs(failures: number, random: number): number | undefined {
  const delayMs = RETRY_DELAYS_MS[failures - 1];
  return delayMs === undefined ? undefined : Math.round(delayMs * (1 + JITTER_SHARE * random));
}

/** The largest lengths of what is kept of an attempt. */
export const ATTEMPT_ERROR_CHARACTERS_MAX = 200;
export const RESPONSE_CHARACTERS_MAX = 1_024;

/** The largest number of attempts of a delivery that are listed. A delivery that was sent again may have more. */
export const ATTEMPTS_LISTED_MAX = 10;

/** The error of an attempt whose server stopped before it recorded the outcome. */
export const OUTCOME_UNKNOWN_ERROR = 'The outcome was not recorded, because the server stopped.';

/** Tells whether a response means that the receiver has the event. */
export function isDelivered(httpStatus: number | null): boolean {
  return httpStatus !== null && httpStatus >= 200 && httpStatus < 300;
}

/** The status by which a receiver says that it no longer exists: 410 Gone (RFC 9110, section 15.5.11). */
export const HTTP_GONE = 410;
