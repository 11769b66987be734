/**
 * The clock that dates the ledger: the machine's wall clock as it was at some moment, and the monotonic
 * time since. Whatever sets the wall clock does not move it.
 */
export class SteadyClock {
  #wallMs = Date.now();
  #monotonicMs = performance.now();

  now(): Date {
    return new Date(this.#nowMs());
  }

  /** How far the wall clock is ahead of this clock, in milliseconds; negative where it is behind. */
  driftMs(): number {
    return Date.now() - this.#nowMs();
  }

  /** Takes the wall clock's time, less what the wall clock is known to be ahead. */
  followWallClock(aheadMs = 0): void {
    this.#wallMs = Date.now() - aheadMs;
    this.#monotonicMs = performance.now();
  }

  #nowMs(): number {
    return Math.round(this.#wallMs + performance.now() - this.#monotonicMs);
  }
}
