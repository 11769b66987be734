import type { RequestSource } from '../../domain/caller.js';
import type { OutboxMessage } from '../../entities/outbox-message.entity.js';

/** Shows the outbox to operators, and lets them retry messages that could not be published. */
export interface OutboxAdmin {
  /** Counts the messages that are not published. */
  counts(): Promise<OutboxCounts>;
  /** Returns the parked messages, oldest first, 100 at most. The relay no longer retries them. */
  parked(): Promise<OutboxMessage[]>;
  /**
   * Makes a parked message due again.
   * @returns true if a parked message has the id
   */
  retry(id: string, source: RequestSource): Promise<boolean>;
}

/** The number of unpublished messages in each state. */
export interface OutboxCounts {
  readonly due: number;
  readonly parked: number;
  /** The time since which the oldest due message waits; undefined if no message is due. */
  readonly oldestDueSince: Date | undefined;
}
