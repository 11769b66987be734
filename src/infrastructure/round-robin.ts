/** Queues by key that are served in turn: the first of each key, then the second of each. */
export class RoundRobin<Item> {
  /** The first key is served next. */
  readonly #queues = new Map<string, Item[]>();

  get isEmpty(): boolean {
    return this.#queues.size === 0;
  }

  add(key: string, item: Item): void {
    const queue = this.#queues.get(key);
    if (queue) queue.push(item);
    else this.#queues.set(key, [item]);
  }

  /** Takes the item whose turn it is. @returns undefined where nothing waits */
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
