import { LRUCache } from 'lru-cache';

export interface RateLimit {
  /** Units of cost that a caller regains each second; 0 for no rate limit. */
  readonly rateLimitCostPerSecond: number;
  /** Units that a caller has at once after a time without requests. */
  readonly rateLimitBurst: number;
}

/**
 * Limits the callers whose buckets are kept. The least recently used bucket is evicted first. An evicted caller starts
 * with a full bucket again: a client with this many addresses defeats any limit by address.
 */
const CALLERS_MAX = 20_000;

interface Bucket {
  readonly left: number;
  readonly atMs: number;
}

/** The outcome of an attempt to take units: the units left, or the time until there are enough. */
export type TakeOutcome =
  | { readonly isTaken: true; readonly left: number }
  | { readonly isTaken: false; readonly retryAfterSeconds: number };

/** A bucket of units for each caller, which fills at a constant rate. */
export class TokenBuckets {
  readonly #buckets: LRUCache<string, Bucket>;

  constructor(
    readonly limit: RateLimit,
    readonly nowMs: () => number = () => performance.now(),
    callersMax = CALLERS_MAX,
  ) {
    this.#buckets = new LRUCache({ max: callersMax });
  }

  /** @param units at most the burst; more can never be taken */
  take(caller: string, units: number): TakeOutcome {
    const left = this.#leftOf(caller);
    const lacking = units - left;
    if (lacking > 0) {
      const seconds = Math.ceil(lacking / this.limit.rateLimitCostPerSecond);
      return { isTaken: false, retryAfterSeconds: seconds };
    }
    this.#buckets.set(caller, { left: left - units, atMs: this.nowMs() });
    return { isTaken: true, left: Math.floor(left - units) };
  }

  #leftOf(caller: string): number {
    const { rateLimitBurst, rateLimitCostPerSecond } = this.limit;
    const bucket = this.#buckets.get(caller);
    if (!bucket) return rateLimitBurst;
    const filled = ((this.nowMs() - bucket.atMs) / 1_000) * rateLimitCostPerSecond;
    return Math.min(rateLimitBurst, bucket.left + filled);
  }
}
