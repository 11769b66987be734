import { backoffMs } from './backoff.js';
import type { VirementError } from './errors.js';

/** A connection that lived so long was a good one: what failed before it no longer counts. */
const STABLE_MS = 30_000;

/** Decides, for one request or one subscription, what follows a failure. */
export class RetryPolicy {
  #failures = 0;
  #isTokenRejected = false;
  #openedAt: number | undefined;

  /** @param hasFreshTokens whether asking for the token again may give another one */
  constructor(readonly hasFreshTokens: boolean) {}

  /** Notes that the server took the credential. */
  accepted(): void {
    this.#isTokenRejected = false;
    this.#openedAt = Date.now();
  }

  /** Notes that something came. */
  succeeded(): void {
    this.#failures = 0;
  }

  /**
   * Delay before the next attempt.
   * @throws the error itself where another attempt would end like this one
   */
  delayAfter(error: VirementError): number {
    if (error.code === 'UNAUTHENTICATED') {
      if (!this.hasFreshTokens || this.#isTokenRejected) throw error;
      this.#isTokenRejected = true;
      return 0;
    }
    if (!error.isRetryable) throw error;
    if (this.#openedAt !== undefined && Date.now() - this.#openedAt > STABLE_MS) this.#failures = 0;
    this.#openedAt = undefined;
    this.#failures += 1;
    return Math.max(backoffMs(this.#failures), error.retryAfterMs ?? 0);
  }
}
