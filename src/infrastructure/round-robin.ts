/** Queues by key that are served in turn: the first item of each key, then the second item of each. */
export class RoundRobin<Item> {
  /** The queues in the order in which they are served. */
  readonly #queues = new Map<string, Item[]>();

  get isEmpty(): boolean {
    return this.#queues.size === 0;
  }

  add(key: string, item: Item): void {
    const queue = this.#queues.get(key);
    if (queue) queue.push(item);
    else this.#queues.set(key, [item]);
  }

  /**
   * Removes and returns the next item.
   * @returns undefined if no item waits
   */
  next(): Item | undefined {
    const [first] = this.#queues;
    if (!first) return undefined;
    const [key, queue] = first;
    const item = queue.shift();
    this.#queues.delete(key);
    if (queue.length > 0) this.#queues.set(key, queue);
    return item;
  }
}
