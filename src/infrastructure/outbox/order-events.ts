/** Makes the events of outbox messages about orders from the transitions of the orders. */
import type { LedgerReader } from '../../application/ports/ledger-reader.js';
import { type EventMessage, eventOf, type MessageFacts } from './events.js';

/**
 * Yields the events of messages of one order, in the order of the messages.
 * @throws Error if a message refers to a row that does not exist
 */
export async function* orderEvents(
  messages: readonly MessageFacts[],
  reader: LedgerReader,
): AsyncIterable<EventMessage> {
  const orderId = messages[0]?.subjectId ?? '';
  const sequences = messages.map(({ sequence }) => sequence);
  const transitions = await reader.orderTransitionsAt(orderId, sequences);
  const bySequence = new Map(transitions.map((transition) => [transition.sequence, transition]));
  const [account] = await reader.accountsById([transitions[0]?.accountId ?? '']);
  for (const { sequence, traceparent } of messages) {
    const transition = bySequence.get(sequence);
    if (!transition || !account) throw new Error('The transition of the order does not exist');
    yield eventOf('order.changed', transition, account, traceparent);
  }
}
