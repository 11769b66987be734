import type { AccountHead } from '../../application/ports/account-head.js';
import type { ConsumerQueues } from '../../application/ports/dead-letters.js';
import type { EventMessage } from '../outbox/events.js';
import type { DeadLetterReceiver } from './dead-letter-drain.js';

/** A listener that learns that an account changed. The listener reads the change itself from the ledger. */
export type AccountListener = (head: AccountHead) => void;

/** Publishes events to consumers, and tells this instance which accounts other instances changed. */
export interface Broker {
  /** Tells whether events can be published now. */
  readonly isReady: boolean;
  /**
   * Publishes events in order, with many of them in flight at once.
   * @param events are made from the ledger as they are consumed. A broker without consumers consumes none
   * @returns once the broker has confirmed every event
   * @throws Error if the broker did not confirm all of them; any number of the events may have been published
   */
  publish(events: AsyncIterable<EventMessage>): Promise<void>;
  /** Registers a listener that is called for each event about a bulk or a credit that another instance published. */
  onEvent(listener: AccountListener): void;
  /** Registers a listener that is called whenever events can be published again. */
  onReady(listener: () => void): void;
  close(): Promise<void>;
}

/** The side of a broker on which consumers are: the messages on which they give up, and their queues. */
export interface DeadLetterBroker extends ConsumerQueues {
  /** Begins to hand dead letters to a receiver, one at a time. It is called once. */
  receiveDeadLetters(receiver: DeadLetterReceiver): void;
}
