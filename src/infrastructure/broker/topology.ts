/**
 * Every name and argument that we have at a RabbitMQ broker, asserted at each connection. What works
 * here works on RabbitMQ 3.10 and on 4.x: no argument is of one alone.
 */
import { EVENT_KINDS, type EventKind } from '../../domain/kinds.js';

/** Where all events go: a durable topic exchange. Consumers bind queues of their own to it. */
export const EXCHANGE = {
  name: 'virement.events',
  type: 'topic',
  options: { durable: true },
} as const;

/** What each instance hears all events by, for its own subscribers: gone with its connection. */
export const INSTANCE_QUEUE = {
  name: '',
  options: {
    exclusive: true,
    autoDelete: true,
    durable: false,
    // A wake-up that is dropped is made up for by the next one, or by a poll.
    arguments: { 'x-max-length': 10_000, 'x-overflow': 'drop-head' },
  },
} as const;

/** Whether an instance hears a kind of event: one wake-up for each bulk and each credit is enough, as transfers are read from the ledger. */
const WAKES: Readonly<Record<EventKind, boolean>> = {
  'bulk-transfer.performed': true,
  'transfer.performed': false,
  'account.credited': true,
  'transfer.received': false,
};

export const INSTANCE_BINDINGS: readonly string[] = EVENT_KINDS.filter((kind) => WAKES[kind]).map(
  (kind) => `${kind}.*`,
);

/** Returns the routing key of an event: its kind, then the IBAN of the account. */
export function routingKeyOf(kind: EventKind, accountIban: string): string {
  return `${kind}.${accountIban}`;
}

/** The IBAN at the end of a routing key. */
export function accountIbanOf(routingKey: string): string {
  return routingKey.slice(routingKey.lastIndexOf('.') + 1);
}
