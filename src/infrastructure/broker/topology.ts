/**
 * Names and arguments of everything that the server declares at a RabbitMQ broker, asserted at each connection. Every
 * argument works on both RabbitMQ 3.10 and 4.x.
 */
import { EVENT_KINDS, type EventKind } from '../../domain/kinds.js';

/** The durable topic exchange that receives all events. Consumers bind their own queues to it. */
export const EXCHANGE = {
  name: 'virement.events',
  type: 'topic',
  options: { durable: true },
} as const;

/**
 * The queue on which each instance receives events for its own subscribers. RabbitMQ deletes the queue when the
 * instance disconnects.
 */
export const INSTANCE_QUEUE = {
  name: '',
  options: {
    exclusive: true,
    autoDelete: true,
    durable: false,
    // The next wake-up or a poll makes up for a wake-up that was dropped.
    arguments: { 'x-max-length': 10_000, 'x-overflow': 'drop-head' },
  },
} as const;

/** The durable exchange to which consumers send the messages on which they give up, and RabbitMQ those of its own. */
export const DEAD_LETTER_EXCHANGE = {
  name: 'virement.dead-letters',
  type: 'fanout',
  options: { durable: true },
} as const;

/**
 * The queue of dead letters, which every server drains. Consumers declare it with the same arguments. It is a quorum
 * queue, or a classic one at a broker without quorum queues.
 */
export const DEAD_LETTER_QUEUE = {
  name: 'virement.dead-letters',
  quorum: { durable: true, arguments: { 'x-queue-type': 'quorum' } },
  classic: { durable: true, arguments: { 'x-queue-type': 'classic' } },
} as const;

/**
 * Tells whether an instance receives a kind of event. Transfers are read from the ledger, so one wake-up for each bulk
 * and each credit is enough.
 */
const WAKES: Readonly<Record<EventKind, boolean>> = {
  'bulk-transfer.performed': true,
  'transfer.performed': false,
  'account.credited': true,
  'transfer.received': false,
  'order.changed': false,
};

export const INSTANCE_BINDINGS: readonly string[] = EVENT_KINDS.filter((kind) => WAKES[kind]).map(
  (kind) => `${kind}.*`,
);

/** Returns the routing key of an event: its kind, then the IBAN of the account. */
export function routingKeyOf(kind: EventKind, accountIban: string): string {
  return `${kind}.${accountIban}`;
}

/** Returns the IBAN at the end of a routing key. */
export function accountIbanOf(routingKey: string): string {
  return routingKey.slice(routingKey.lastIndexOf('.') + 1);
}
