import { randomUUID } from 'node:crypto';
import { type Channel, type ChannelModel, type ConsumeMessage, connect } from 'amqplib';
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

/** A consumer of events with its own durable queue. It reconnects when the broker is back. */
export interface Consumer {
  /** Received messages in order of arrival, including repetitions. */
  readonly received: Received[];
  /** Declares the exchange and binds the queue to it. */
  bind(): Promise<void>;
  /** Deletes the exchange with all its bindings. */
  deleteExchange(): Promise<void>;
}

export async function startConsumer(pattern = '#', amqpUrl = AMQP_URL): Promise<Consumer> {
  const queue = `test-${randomUUID()}`;
  const received: Received[] = [];
  let channel: Channel | undefined;
  const open = () => {
    if (!channel) throw new Error('The consumer is not connected');
    return channel;
  };
  const bind = async () => {
    await open().assertExchange('virement.events', 'topic', { durable: true });
    await open().bindQueue(queue, 'virement.events', pattern);
  };
  const connection = await connect(amqpUrl, {
    recovery: {
      async setup(model: ChannelModel) {
        model.on('error', () => {});
        const opened = await model.createChannel();
        opened.on('error', () => {});
        channel = opened;
        await opened.assertQueue(queue, { durable: true });
        await bind();
        await opened.consume(queue, (message: ConsumeMessage | null) => {
          if (!message) return;
          received.push({
            messageId: message.properties.messageId,
            routingKey: message.fields.routingKey,
            contentType: message.properties.contentType,
            headers: message.properties.headers ?? {},
            event: JSON.parse(message.content.toString()),
          });
          opened.ack(message);
        });
      },
    },
  });
  connection.on('error', () => {});
  onTestFinished(async () => {
    await open().deleteQueue(queue);
    await connection.close();
  });
  const deleteExchange = async () => {
    await open().deleteExchange('virement.events');
  };
  return { received, bind, deleteExchange };
}
