/** Limits the items that are cached for subscribers that are close to the end. */
const KEPT_MAX = 300;

/**
 * The end of an append-only list, cached in memory for all subscribers. Items that one subscriber has read are there
 * for the others, at any place. Items come in the order of their places. No new item ever comes before an item that has
 * been read.
 */
export class SharedTail<Item> {
  /** All items after #from, up to #end. */
  #items: Item[] = [];
  #from: bigint;
  #end: bigint;
  /** The version of the list at which a read found no more items. */
  #wholeAt: number | undefined;
  #reading: Promise<void> | undefined;

  /**
   * @param start the place after which the tail begins
   * @param read returns the next items after a place; fewer than pageMax if there are no more
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
   * @param version the version of the list, which increases whenever there may be new items
   * @returns some of the next items after the place, none if there are none; undefined if the place is before the
   *   cached items
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

  /** Drops the cached items, which every close subscriber has read. */
  drop(): void {
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
