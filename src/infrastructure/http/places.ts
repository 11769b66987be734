/** Gives a place back; more than once does nothing more. */
export type Release = () => void;

/** A number of places, in all and for each caller: connections, subscriptions. */
export class Places {
  readonly #taken = new Map<string, number>();
  #total = 0;

  constructor(
    readonly perCallerMax: number,
    readonly totalMax = Number.POSITIVE_INFINITY,
  ) {}

  /** @returns gives the place back; undefined where none is free */
  take(caller: string): Release | undefined {
    const taken = this.#taken.get(caller) ?? 0;
    if (taken >= this.perCallerMax || this.#total >= this.totalMax) return undefined;
    this.#taken.set(caller, taken + 1);
    this.#total += 1;
    let isReleased = false;
    return () => {
      if (isReleased) return;
      isReleased = true;
      this.#give(caller);
    };
  }

  #give(caller: string): void {
    const left = (this.#taken.get(caller) ?? 1) - 1;
    this.#total -= 1;
    if (left === 0) this.#taken.delete(caller);
    else this.#taken.set(caller, left);
  }
}
