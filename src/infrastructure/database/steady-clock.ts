/**
 * The clock that dates the ledger. Its time is the wall clock's time at one moment, plus the monotonic time since then.
 * A change of the wall clock does not change its time.
 */
export class SteadyClock {
  #wallMs = Date.now();
  #monotonicMs = performance.now();

  now(): Date {
    return new Date(this.#nowMs());
  }

  /** Returns how far the wall clock is ahead of this clock, in milliseconds; negative if the wall clock is behind. */
  driftMs(): number {
    return Date.now() - this.#nowMs();
  }

  /** Sets this clock to the wall clock's time minus a known error. */
  followWallClock(aheadMs = 0): void {
    this.#wallMs = Date.now() - aheadMs;
    this.#monotonicMs = performance.now();
  }

  #nowMs(): number {
    return Math.round(this.#wallMs + performance.now() - this.#monotonicMs);
  }
}
