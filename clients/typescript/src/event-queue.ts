/**
 * Events of a connection that pushes, for a reader that pulls. It holds a bounded number: when more come
 * than are taken, the connection is to be closed, and the reader takes what is there before it resumes.
 */
export class EventQueue<Event extends object> {
  readonly #events: Event[] = [];
  #end: { readonly error?: Error } | undefined;
  #wake: () => void = () => {};

  get length(): number {
    return this.#events.length;
  }

  push(event: Event): void {
    if (this.#end) return;
    this.#events.push(event);
    this.#wake();
  }

  /** Ends the events after those that are here; the first end counts. */
  end(error?: Error): void {
    this.#end ??= error ? { error } : {};
    this.#wake();
  }

  /** Ends the events at once. */
  clear(): void {
    this.#events.length = 0;
    this.end();
  }

  /** Yields events as they come. @throws the error that they ended with */
  async *take(): AsyncGenerator<Event, void, undefined> {
    for (;;) {
      for (let event = this.#events.shift(); event !== undefined; event = this.#events.shift()) {
        yield event;
      }
      if (this.#end?.error) throw this.#end.error;
      if (this.#end) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
