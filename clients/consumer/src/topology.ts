/**
 * Names and arguments of everything that a consumer declares, asserted at each connection. Every argument works on
 * RabbitMQ 3.10 to 4.x.
 *
 * A quorum queue dead-letters at least once if its strategy says so, its overflow is reject-publish and its broker has
 * the feature flag stream_queue, which a new 3.10 has. Otherwise RabbitMQ would publish a dead letter without a confirm.
 */
import type { Channel, ChannelModel } from 'amqplib';
import { routingKindOf } from './event.js';
import { DEAD_LETTERS, EVENTS, retryQueueOf } from './names.js';
import type { Settings } from './options.js';

/** The deliveries of an event that no process settled, after which RabbitMQ itself makes it a dead letter. */
const DELIVERY_LIMIT = 20;

/** The type of the queues. Classic queues have no delivery limit, and dead-letter at most once. */
export type QueueType = 'quorum' | 'classic';

const NOT_FOUND = 404;

/** Returns the patterns of the routing keys: the kind of event, then the IBAN of the account. */
function bindingsOf({ events, accounts }: Settings): readonly string[] {
  if (events.length === 0 && accounts.length === 0) return ['#'];
  // Every kind has two words.
  const kinds = events.length === 0 ? ['*.*'] : events.map(routingKindOf);
  const ibans = accounts.length === 0 ? ['*'] : accounts;
  return kinds.flatMap((kind) => ibans.map((iban) => `${kind}.${iban}`));
}

/**
 * Declares the exchanges and queues, and binds the queue last, when its dead letters have somewhere to go.
 * @throws Error if the broker refuses a declaration; the channel is then closed
 */
export async function declareTopology(
  model: ChannelModel,
  channel: Channel,
  settings: Settings,
  queueType: QueueType,
): Promise<void> {
  await channel.assertExchange(EVENTS, 'topic', { durable: true });
  await channel.assertExchange(DEAD_LETTERS, 'fanout', { durable: true });
  // Servers and other consumers share this queue, and an operator may have declared it with other arguments.
  if (!(await hasQueue(model, DEAD_LETTERS))) {
    await channel.assertQueue(DEAD_LETTERS, { arguments: { 'x-queue-type': queueType } });
  }
  await channel.bindQueue(DEAD_LETTERS, DEAD_LETTERS, '');
  if (!settings.isOrdered) {
    for (const delayMs of settings.retry.allDelaysMs) {
      await channel.assertQueue(retryQueueOf(settings.queue, delayMs), {
        messageTtl: delayMs,
        deadLetterRoutingKey: settings.queue,
        arguments: deadLetteringTo('', queueType),
      });
    }
  }
  await channel.assertQueue(settings.queue, {
    arguments: {
      ...deadLetteringTo(DEAD_LETTERS, queueType),
      ...(queueType === 'quorum' && { 'x-delivery-limit': DELIVERY_LIMIT }),
      ...(settings.isOrdered && { 'x-single-active-consumer': true }),
    },
  });
  for (const binding of bindingsOf(settings)) {
    await channel.bindQueue(settings.queue, EVENTS, binding);
  }
}

function deadLetteringTo(exchange: string, queueType: QueueType): object {
  return {
    'x-queue-type': queueType,
    'x-dead-letter-exchange': exchange,
    'x-overflow': 'reject-publish',
    ...(queueType === 'quorum' && { 'x-dead-letter-strategy': 'at-least-once' }),
  };
}

/** Tells whether a queue exists, on a channel of its own: the broker closes the channel if it does not. */
async function hasQueue(model: ChannelModel, queue: string): Promise<boolean> {
  const channel = await model.createChannel();
  channel.on('error', () => {});
  try {
    await channel.checkQueue(queue);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === NOT_FOUND) return false;
    throw error;
  }
  await channel.close();
  return true;
}

/** Tells whether an error of the connection or the channel means that the broker has no quorum queues. */
export function lacksQuorumQueues({ message }: Error): boolean {
  return /rabbit_quorum_queue.* is disabled|quorum queues are not supported/i.test(message);
}
