import type { DeadLetter } from '../../entities/dead-letter.entity.js';
import type { ListPage, PageRange } from './page.js';

/** The dead letters that operators see. */
export interface DeadLetterStore {
  /** Lists dead letters in order of id, newest first. With a consumer, only its dead letters are listed. */
  list(consumer: string | undefined, range: PageRange<string>): Promise<ListPage<DeadLetter>>;
  byId(id: string): Promise<DeadLetter | null>;
  /** Counts the dead letters of the consumers with the most, and those of all others together. */
  counts(): Promise<readonly DeadLetterCount[]>;
}

export interface DeadLetterCount {
  /** The consumer; `other` for all consumers that are not counted alone. */
  readonly consumer: string;
  readonly count: number;
}
