/**
 * Every name and argument that we have at a RabbitMQ broker, asserted at each connection. What works
 * here works on RabbitMQ 3.10 and on 4.x: no argument is of one alone.
 */

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

/** One wake-up for each bulk and each credit; transfers are read from the ledger. */
export const INSTANCE_BINDINGS = ['bulk-transfer.performed.*', 'account.credited.*'] as const;

/** The kinds of events: the first words of a routing key, the last is the account's IBAN. */
export const EVENT_KINDS = [
  'bulk-transfer.performed',
  'transfer.performed',
  'account.credited',
  'transfer.received',
] as const;

export type EventKind = (typeof EVENT_KINDS)[number];

export function routingKeyOf(kind: EventKind, accountIban: string): string {
  return `${kind}.${accountIban}`;
}

/** The IBAN at the end of a routing key. */
export function accountIbanOf(routingKey: string): string {
  return routingKey.slice(routingKey.lastIndexOf('.') + 1);
}
