import { connect } from 'amqplib';
import { onTestFinished } from 'vitest';
import { AMQP_URL } from './amqp-url.js';

export interface Received {
  readonly messageId: string;
  readonly routingKey: string;
  readonly contentType: string;
  readonly headers: Readonly<Record<string, unknown>>;
  // biome-ignore lint/suspicious/noExplicitAny: what comes is what the test asserts
  readonly event: any;
}

/** A consumer of all events, with a durable queue of its own. */
export interface Consumer {
  /** In the order of arrival, repetitions included. */
  readonly received: Received[];
  /** Makes the exchange, where it is not, and binds the queue to it. */
  bind(): Promise<void>;
  /** Takes the exchange away, and all bindings with it. */
  deleteExchange(): Promise<void>;
}

export async function startConsumer(pattern = '#'): Promise<Consumer> {
  const connection = await connect(AMQP_URL);
  const channel = await connection.createChannel();
  const { queue } = await channel.assertQueue('', { durable: true });
  const bind = async () => {
    await channel.assertExchange('virement.events', 'topic', { durable: true });
    await channel.bindQueue(queue, 'virement.events', pattern);
  };
  await bind();
  const received: Received[] = [];
  await channel.consume(queue, (message) => {
    if (!message) return;
    received.push({
      messageId: message.properties.messageId,
      routingKey: message.fields.routingKey,
      contentType: message.properties.contentType,
      headers: message.properties.headers ?? {},
      event: JSON.parse(message.content.toString()),
    });
    channel.ack(message);
  });
  onTestFinished(async () => {
    await channel.deleteQueue(queue);
    await connection.close();
  });
  const deleteExchange = async () => {
    await channel.deleteExchange('virement.events');
  };
  return { received, bind, deleteExchange };
}
