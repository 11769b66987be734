/** Finds the source of the events of outbox messages by the subject of the messages. */
import type { AccountHead } from '../../application/ports/account-head.js';
import type { LedgerReader } from '../../application/ports/ledger-reader.js';
import { OUTBOX_SUBJECTS, type OutboxSubject } from '../../domain/kinds.js';
import { accountEvents, accountHeads } from './account-events.js';
import type { EventMessage, MessageFacts } from './events.js';
import { orderEvents } from './order-events.js';

/** Makes the events of messages about one kind of subject, and finds the accounts that changed. */
interface EventSource {
  readonly eventsOf: typeof eventsOf;
  readonly headsOf: typeof headsOf;
}

const EVENT_SOURCES: Readonly<Record<OutboxSubject, EventSource>> = {
  account: { eventsOf: accountEvents, headsOf: accountHeads },
  // An order changes no account.
  order: { eventsOf: orderEvents, headsOf: async () => [] },
};

/**
 * Yields the events of messages about one subject, in the order of the messages.
 * @throws Error for a type that this release does not know, or if a message refers to a row that does not exist
 */
export function eventsOf(
  messages: readonly MessageFacts[],
  reader: LedgerReader,
): AsyncIterable<EventMessage> {
  return sourceOf(messages).eventsOf(messages, reader);
}

/**
 * Returns the last heads of the accounts that messages about one subject changed.
 * @throws Error for a type that this release does not know, or if a message refers to a row that does not exist
 */
export function headsOf(
  messages: readonly MessageFacts[],
  reader: LedgerReader,
): Promise<readonly AccountHead[]> {
  return sourceOf(messages).headsOf(messages, reader);
}

function sourceOf(messages: readonly MessageFacts[]): EventSource {
  const sources = messages.map(({ type }) => {
    // A later release may have written the row.
    const subject: OutboxSubject | undefined = OUTBOX_SUBJECTS[type];
    if (subject === undefined) throw new Error(`The type ${type} is unknown to this release`);
    return EVENT_SOURCES[subject];
  });
  const [source] = sources;
  if (!source) throw new Error('There are no messages to publish');
  return source;
}
