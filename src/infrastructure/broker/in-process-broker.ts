import type { AccountListener, Broker, Publication } from './broker.js';

/**
 * The broker of a single server without RabbitMQ. Only listeners in this process receive its publications. These
 * listeners read the ledger, so the broker makes no events for them.
 */
export class InProcessBroker implements Broker {
  readonly isReady = true;
  readonly #listeners: AccountListener[] = [];

  async publish(publication: Publication): Promise<void> {
    for (const head of await publication.heads()) {
      for (const listener of this.#listeners) queueMicrotask(() => listener(head));
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
