/**
 * Buffers events of a connection that pushes, for a reader that pulls. The buffer must be limited by its owner. When
 * it is full, the owner closes the connection, and the reader takes the buffered events before it resumes.
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

  /** Ends the queue after the buffered events. Only the first end counts. */
  end(error?: Error): void {
    this.#end ??= error ? { error } : {};
    this.#wake();
  }

  /** Ends the queue at once, without the buffered events. */
  clear(): void {
    this.#events.length = 0;
    this.end();
  }

  /** Yields events as they arrive. @throws the error with which the queue ended */
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
