/** Items that are kept for those who follow closely. */
const KEPT_MAX = 300;

/**
 * The end of a list that only grows, kept in memory for all who follow it: what one of them has read on
 * is there for the others, wherever in it they are. Items come in the order of their places, and none
 * ever comes before one that has been read.
 */
export class SharedTail<Item> {
  /** All that comes after #from, up to #end. */
  #items: Item[] = [];
  #from: bigint;
  #end: bigint;
  /** The version of the list at which a read found nothing more. */
  #wholeAt: number | undefined;
  #reading: Promise<void> | undefined;

  /**
   * @param start the place after which it begins
   * @param read the next items after a place; fewer than pageMax where there are no more
   */
  constructor(
    start: bigint,
    private readonly pageMax: number,
    private readonly read: (after: bigint) => Promise<readonly Item[]>,
    private readonly placeOf: (item: Item) => bigint,
  ) {
    this.#from = start;
    this.#end = start;
  }

  /**
   * @param version of the list: it grows whenever something may have come
   * @returns the next items after a place, some, or none if there are none; undefined where the place
   *   lies before what is kept
   */
  async after(place: bigint, version: number): Promise<readonly Item[] | undefined> {
    while (place >= this.#end && this.#wholeAt !== version) {
      this.#reading ??= this.#readOn(version).finally(() => {
        this.#reading = undefined;
      });
      await this.#reading;
    }
    if (place < this.#from) return undefined;
    const next = this.#items.findIndex((item) => this.placeOf(item) > place);
    return next === -1 ? [] : this.#items.slice(next, next + this.pageMax);
  }

  /** Keeps nothing for those who have it all. */
  rest(): void {
    this.#items = [];
    this.#from = this.#end;
  }

  async #readOn(version: number): Promise<void> {
    const items = await this.read(this.#end);
    if (items.length < this.pageMax) this.#wholeAt = version;
    const kept = [...this.#items, ...items];
    const dropped = kept.splice(0, Math.max(0, kept.length - KEPT_MAX));
    this.#items = kept;
    const lastDropped = dropped.at(-1);
    const last = kept.at(-1);
    if (lastDropped !== undefined) this.#from = this.placeOf(lastDropped);
    if (last !== undefined) this.#end = this.placeOf(last);
  }
}
