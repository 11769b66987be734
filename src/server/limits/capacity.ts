/** Releases a place. Further calls have no effect. */
export type Release = () => void;

/** Limits places, in total and for each caller: connections, subscriptions, or the bytes that subscriptions keep. */
export class Capacity {
  readonly #taken = new Map<string, number>();
  #total = 0;

  constructor(
    readonly perCallerMax: number,
    readonly totalMax = Number.POSITIVE_INFINITY,
  ) {}

  /** Returns a function that releases the places; undefined if too few places are free. */
  take(caller: string, count = 1): Release | undefined {
    const taken = this.#taken.get(caller) ?? 0;
    if (taken + count > this.perCallerMax || this.#total + count > this.totalMax) return undefined;
    this.#taken.set(caller, taken + count);
    this.#total += count;
    let isReleased = false;
    return () => {
      if (isReleased) return;
      isReleased = true;
      this.#give(caller, count);
    };
  }

  #give(caller: string, count: number): void {
    const left = (this.#taken.get(caller) ?? count) - count;
    this.#total -= count;
    if (left === 0) this.#taken.delete(caller);
    else this.#taken.set(caller, left);
  }
}
