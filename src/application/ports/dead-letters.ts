import type { RequestSource } from '../../domain/caller.js';
import type { DeadLetter } from '../../entities/dead-letter.entity.js';
import type { ListPage, PageRange } from './page.js';

/** The dead letters that operators see. Each change that an operator makes is audited in its own commit. */
export interface DeadLetterStore {
  /** Lists dead letters in order of id, newest first. With a consumer, only its dead letters are listed. */
  list(consumer: string | undefined, range: PageRange<string>): Promise<ListPage<DeadLetter>>;
  byId(id: string): Promise<DeadLetter | null>;
  /**
   * Deletes a dead letter that was sent again. It stays if it arrived once more since it was read, because its consumer
   * gave up on it again.
   */
  deleteSent(sent: DeadLetter, source: RequestSource): Promise<void>;
  /** Deletes dead letters. @returns the number of those that existed */
  discard(ids: readonly string[], reason: string, source: RequestSource): Promise<number>;
  /** Counts the dead letters of the consumers with the most, and those of all others together. */
  counts(): Promise<readonly DeadLetterCount[]>;
}

export interface DeadLetterCount {
  /** The consumer; `other` for all consumers that are not counted alone. */
  readonly consumer: string;
  readonly count: number;
}

/** A message for the queue of a consumer. */
export interface QueuedMessage {
  readonly messageId: string;
  readonly type: string;
  readonly content: Uint8Array;
}

/** The queues of the consumers at the broker. */
export interface ConsumerQueues {
  /**
   * Sends a message to a queue, and waits until the broker has it.
   * @returns false if the queue does not exist
   * @throws UnavailableError BROKER_AWAY; the message may have been sent
   */
  send(queue: string, message: QueuedMessage): Promise<boolean>;
}
