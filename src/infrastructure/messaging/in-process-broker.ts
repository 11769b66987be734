import type { AccountListener, Broker, EventMessage } from './broker.js';
import { type EventKind, INSTANCE_BINDINGS } from './topology.js';

const HEARD_KINDS: readonly string[] = INSTANCE_BINDINGS.map((binding) =>
  binding.slice(0, -'.*'.length),
);

/** The broker of a server that is alone: what is published is heard by this process, and by nobody else. */
export class InProcessBroker implements Broker {
  readonly isReady = true;
  readonly #listeners: AccountListener[] = [];

  carries(kind: EventKind): boolean {
    return HEARD_KINDS.includes(kind);
  }

  async publish(messages: AsyncIterable<EventMessage>): Promise<void> {
    for await (const { kind, accountIban } of messages) {
      if (!this.carries(kind)) continue;
      for (const listener of this.#listeners) queueMicrotask(() => listener(accountIban));
    }
  }

  onEvent(listener: AccountListener): void {
    this.#listeners.push(listener);
  }

  onReady(listener: () => void): void {
    listener();
  }

  async close(): Promise<void> {
    this.#listeners.length = 0;
  }
}
