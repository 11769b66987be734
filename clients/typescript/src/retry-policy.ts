import { backoffMs } from './backoff.js';
import type { VirementError } from './errors.js';

/** The time after which a connection counts as stable. Failures before a stable connection no longer count. */
const STABLE_MS = 30_000;

/** Decides how one request or one subscription continues after a failure. */
export class RetryPolicy {
  #failures = 0;
  #isTokenRejected = false;
  #openedAt: number | undefined;

  /** @param hasFreshTokens tells whether the next call for a token may return another token */
  constructor(readonly hasFreshTokens: boolean) {}

  /** Notes that the server accepted the credential. */
  accepted(): void {
    this.#isTokenRejected = false;
    this.#openedAt = Date.now();
  }

  /** Notes that an event or an answer arrived. */
  succeeded(): void {
    this.#failures = 0;
  }

  /**
   * Returns the delay before the next attempt, in milliseconds.
   * @throws the error itself if another attempt would end in the same way
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
