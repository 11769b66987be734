import type { AccountHead } from '../../application/ports/account-head.js';
import type { EventMessage } from '../outbox/events.js';

/** What outbox messages have to tell: a broker takes from it what it carries. */
export interface Publication {
  /** Every event in order, made from the ledger as it is taken. */
  events(): AsyncIterable<EventMessage>;
  /** How far the accounts have come that the events are about: enough for those who read the ledger. */
  heads(): Promise<readonly AccountHead[]>;
}

/** Hears that something happened to an account; what, the ledger knows. */
export type AccountListener = (head: AccountHead) => void;

/** Carries events to whoever consumes them, and tells every instance which accounts they are about. */
export interface Broker {
  /** Whether events can be published now. */
  readonly isReady: boolean;
  /**
   * Publishes events in order, many under way at once.
   * @returns once the broker has taken responsibility for every one of them
   * @throws Error where it did not; any number of them may have been published all the same
   */
  publish(publication: Publication): Promise<void>;
  /** Calls back for each event about a bulk or a credit, of whichever instance. */
  onEvent(listener: AccountListener): void;
  /** Calls back whenever events can be published again. */
  onReady(listener: () => void): void;
  close(): Promise<void>;
}
