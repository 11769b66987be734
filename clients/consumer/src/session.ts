import type { ChannelModel, ConfirmChannel, Message } from 'amqplib';
import type { Outgoing } from './outgoing.js';

/**
 * One channel with its deliveries. When the channel is closed, whoever closed it, the broker takes back all deliveries
 * that were not acknowledged: the signal is aborted, and acknowledgements no longer have an effect.
 */
export class Session {
  /** Resolves when the deliveries were taken back. */
  readonly closed: Promise<void>;
  readonly #closing = new AbortController();
  /** The number of returns of each message: no queue took it. The confirms follow, perhaps after several returns. */
  readonly #returned = new Map<string, number>();

  constructor(
    readonly model: ChannelModel,
    readonly channel: ConfirmChannel,
  ) {
    this.closed = new Promise((resolve) => {
      this.signal.addEventListener('abort', () => resolve(), { once: true });
    });
    channel.once('close', () => this.#abort());
    channel.on('return', ({ fields, properties }) => {
      const key = keyOf(fields.exchange, fields.routingKey, properties.messageId);
      this.#returned.set(key, (this.#returned.get(key) ?? 0) + 1);
    });
  }

  /** Is aborted when the deliveries were taken back. */
  get signal(): AbortSignal {
    return this.#closing.signal;
  }

  get isOpen(): boolean {
    return !this.#closing.signal.aborted;
  }

  ack(message: Message): void {
    if (this.isOpen) this.channel.ack(message);
  }

  /** Lets the broker deliver a message again, to another process as well. */
  requeue(message: Message): void {
    if (this.isOpen) this.channel.nack(message, false, true);
  }

  /**
   * Publishes a message in place of a delivery, and acknowledges the delivery once a queue has stored the message. The
   * message is published twice if the connection breaks in between.
   * @throws Error if the message was not stored, so that the delivery must be taken back
   */
  async replace(delivery: Message, outgoing: Outgoing): Promise<void> {
    await this.#publish(outgoing);
    this.ack(delivery);
  }

  /** Closes the channel. Everything that was acknowledged before stays acknowledged. */
  async close(): Promise<void> {
    if (!this.isOpen) return;
    this.#abort();
    await this.channel.close().catch(() => {});
  }

  #abort(): void {
    this.#closing.abort(new Error('The event was handed back to the broker'));
  }

  /** Tells whether a message was returned, and counts one return less. */
  #takeReturn(key: string): boolean {
    const count = this.#returned.get(key) ?? 0;
    if (count > 1) this.#returned.set(key, count - 1);
    else this.#returned.delete(key);
    return count > 0;
  }

  #publish({ exchange, routingKey, content, options }: Outgoing): Promise<void> {
    return new Promise((resolve, reject) => {
      if (!this.isOpen) return reject(this.signal.reason);
      this.channel.publish(exchange, routingKey, content, options, (error) => {
        const isReturned = this.#takeReturn(keyOf(exchange, routingKey, options.messageId));
        if (error) reject(error);
        else if (isReturned) reject(new Error(`No queue for ${exchange || routingKey}`));
        else resolve();
      });
    });
  }
}

function keyOf(exchange: string, routingKey: string, messageId: unknown): string {
  return JSON.stringify([exchange, routingKey, messageId]);
}
