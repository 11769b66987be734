import type { AccountHead } from '../../application/ports/account-head.js';
import type { EventMessage } from '../outbox/events.js';

/** The content of outbox messages that a broker publishes. A broker uses the part that it needs. */
export interface Publication {
  /** Yields every event in order. The events are made from the ledger as they are consumed. */
  events(): AsyncIterable<EventMessage>;
  /** Returns the head of each account that the events are about. This is enough for listeners that read the ledger. */
  heads(): Promise<readonly AccountHead[]>;
}

/** A listener that learns that an account changed. The listener reads the change itself from the ledger. */
export type AccountListener = (head: AccountHead) => void;

/** Publishes events to consumers, and tells every instance which accounts changed. */
export interface Broker {
  /** Tells whether events can be published now. */
  readonly isReady: boolean;
  /**
   * Publishes events in order, with many of them in flight at once.
   * @returns once the broker has confirmed every event
   * @throws Error if the broker did not confirm all of them; any number of the events may have been published
   */
  publish(publication: Publication): Promise<void>;
  /** Registers a listener that is called for each event about a bulk or a credit, from any instance. */
  onEvent(listener: AccountListener): void;
  /** Registers a listener that is called whenever events can be published again. */
  onReady(listener: () => void): void;
  close(): Promise<void>;
}
