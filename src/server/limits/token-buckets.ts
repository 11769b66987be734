export interface RateLimit {
  /** Units of cost that a caller gets back each second; 0: no limit. */
  readonly rateLimitCostPerSecond: number;
  /** Units that a caller who was quiet has at once. */
  readonly rateLimitBurst: number;
}

/**
 * Callers that are remembered. One that is forgotten starts with a full bucket again: as many addresses
 * as this defeat any limit by address.
 */
const CALLERS_MAX = 20_000;

interface Bucket {
  readonly left: number;
  readonly atMs: number;
}

/** What is left after a taking, or how long until as much is there. */
export type Taking =
  | { readonly isTaken: true; readonly left: number }
  | { readonly isTaken: false; readonly retryAfterSeconds: number };

/** A bucket of units for each caller, which fills at a constant rate. */
export class TokenBuckets {
  /** Those taken from last stand last. */
  readonly #buckets = new Map<string, Bucket>();

  constructor(
    readonly limit: RateLimit,
    readonly nowMs: () => number = () => performance.now(),
    readonly callersMax = CALLERS_MAX,
  ) {}

  /** @param units at most the burst, or it is never had */
  take(caller: string, units: number): Taking {
    const left = this.#leftOf(caller);
    const lacking = units - left;
    if (lacking > 0) {
      const seconds = Math.ceil(lacking / this.limit.rateLimitCostPerSecond);
      return { isTaken: false, retryAfterSeconds: seconds };
    }
    this.#buckets.delete(caller);
    this.#buckets.set(caller, { left: left - units, atMs: this.nowMs() });
    this.#forget();
    return { isTaken: true, left: Math.floor(left - units) };
  }

  #leftOf(caller: string): number {
    const { rateLimitBurst, rateLimitCostPerSecond } = this.limit;
    const bucket = this.#buckets.get(caller);
    if (!bucket) return rateLimitBurst;
    const filled = ((this.nowMs() - bucket.atMs) / 1_000) * rateLimitCostPerSecond;
    return Math.min(rateLimitBurst, bucket.left + filled);
  }

  #forget(): void {
    for (const caller of this.#buckets.keys()) {
      if (this.#buckets.size <= this.callersMax) return;
      this.#buckets.delete(caller);
    }
  }
}
