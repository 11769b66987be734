/** The names at the broker. */

/** The topic exchange to which Virement publishes. */
export const EVENTS = 'virement.events';

/** The fanout exchange, and the queue bound to it, of events that consumers gave up. */
export const DEAD_LETTERS = 'virement.dead-letters';

/** Returns the name of the queue in which events wait for one delay. */
export function retryQueueOf(queue: string, delayMs: number): string {
  return `${queue}.retry.${delayMs}`;
}
