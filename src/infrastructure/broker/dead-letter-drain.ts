/**
 * Drains the queue of dead letters into a receiver, which stores them. Every server drains the queue.
 *
 * A message is acknowledged after its receiver has stored it. If the receiver fails, the server stops consuming, returns
 * the message to the queue, and hands it to the receiver at growing intervals until it is stored; then it consumes
 * again. The message comes again, which stores the same row. A quorum queue counts how often a message is returned, and
 * RabbitMQ 4.0 drops a message at its limit of 20, so an outage of the database costs one return and not one for each
 * attempt.
 *
 * The drain has a channel of its own: if the broker refuses to declare the queue, events are still published.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Channel, ChannelModel, ConsumeMessage } from 'amqplib';
import { backoffMs } from '../backoff.js';
import { isOutage } from '../database/unavailability.js';
import type { Logger } from '../observability/logger.js';
import { reasonOf } from '../observability/secrets.js';
import { DEAD_LETTER_EXCHANGE, DEAD_LETTER_QUEUE } from './topology.js';

/** A message as it came from the queue of dead letters. Anyone may publish to its exchange. */
export interface DeadMessage {
  readonly content: Uint8Array;
  readonly messageId: unknown;
  readonly type: unknown;
  readonly headers: Readonly<Record<string, unknown>>;
}

/** Stores a dead message. It resolves after the commit. */
export type DeadLetterReceiver = (message: DeadMessage) => Promise<void>;

/** The messages that a server has at once. RabbitMQ limits the size of a message to 16 MiB, or to 128 MiB before 4.0. */
const PREFETCH = 1;

/** The delays before a message is handed to its receiver again. */
const STORE_BACKOFF = { firstMs: 500, maxMs: 30_000 };

/** The delays before a channel is opened again. */
const OPEN_BACKOFF = { firstMs: 500, maxMs: 60_000 };

/**
 * The number of connections in a row that are lost during a declaration until the next one is tried. A broker without
 * quorum queues may close the connection instead of the channel.
 */
const CONNECTIONS_LOST_MAX = 3;

/** The time for a message in progress to be stored when the server stops. */
const CLOSE_TIMEOUT_MS = 2_000;

/** The ways to declare the queue, in the order in which they are tried. */
const DECLARATIONS: readonly ((channel: Channel) => Promise<unknown>)[] = [
  (channel) => declare(channel, DEAD_LETTER_QUEUE.quorum),
  (channel) => declare(channel, DEAD_LETTER_QUEUE.classic),
  // Somebody else declared the queue with other arguments, or this server's user may not declare it.
  (channel) => channel.checkQueue(DEAD_LETTER_QUEUE.name),
];

async function declare(
  channel: Channel,
  options: (typeof DEAD_LETTER_QUEUE)['quorum' | 'classic'],
): Promise<void> {
  const { name, type, options: durable } = DEAD_LETTER_EXCHANGE;
  await channel.assertExchange(name, type, durable);
  await channel.assertQueue(DEAD_LETTER_QUEUE.name, options);
  await channel.bindQueue(DEAD_LETTER_QUEUE.name, name, '');
}

export class DeadLetterDrain {
  readonly #stopping = new AbortController();
  #model: ChannelModel | undefined;
  /** The index of the declaration to try. A refusal may close the connection, so it is remembered. */
  #declaration = 0;
  /** The number of connections in a row that were lost during this declaration. */
  #connectionsLost = 0;
  /** The storing in progress. */
  #storing: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly receiver: DeadLetterReceiver,
    private readonly logger: Logger,
  ) {}

  /** Drains over a connection until it is lost or replaced. */
  async drain(model: ChannelModel): Promise<void> {
    this.#model = model;
    for (let attempt = 1; this.#isCurrent(model); attempt += 1) {
      try {
        const channel = await this.#openChannel(model);
        const closed = untilClosed(channel);
        await this.#consume(channel);
        attempt = 0;
        await closed;
      } catch (error) {
        if (!this.#isCurrent(model)) return;
        this.logger.warn({ reason: reasonOf(error) }, 'Dead letter queue unavailable; retrying');
      }
      await this.#pause(backoffMs(Math.max(attempt, 1), OPEN_BACKOFF));
    }
  }

  /** Tells the drain that its connection is lost. */
  release(): void {
    this.#model = undefined;
  }

  /** Stops. A message that is not stored in time returns to the queue. */
  async close(): Promise<void> {
    this.#stopping.abort();
    await Promise.race([this.#storing, sleep(CLOSE_TIMEOUT_MS, undefined, { ref: false })]);
  }

  #isCurrent(model: ChannelModel): boolean {
    return this.#model === model && !this.#stopping.signal.aborted;
  }

  /** @throws the broker's error if it refuses every declaration */
  async #openChannel(model: ChannelModel): Promise<Channel> {
    for (;;) {
      const channel = await model.createChannel();
      // An error without a listener would end the process.
      channel.on('error', () => {});
      try {
        await DECLARATIONS[this.#declaration]?.(channel);
        await channel.prefetch(PREFETCH);
        this.#connectionsLost = 0;
        return channel;
      } catch (error) {
        const isLost = !this.#isCurrent(model);
        if (isLost) this.#connectionsLost += 1;
        if (isLost && this.#connectionsLost < CONNECTIONS_LOST_MAX) throw error;
        this.#connectionsLost = 0;
        this.#declaration = (this.#declaration + 1) % DECLARATIONS.length;
        if (isLost || this.#declaration === 0) throw error;
      }
    }
  }

  async #consume(channel: Channel): Promise<void> {
    // The first message may arrive before the promise of consume resolves, so the tag is made here.
    const consumerTag = randomUUID();
    const receive = (message: ConsumeMessage | null) => {
      // The server cancelled the consumer because it deleted the queue. The queue is declared again.
      if (this.#stopping.signal.aborted) return;
      if (message === null) void channel.close().catch(() => {});
      else this.#storing = this.#receive(channel, message, consumerTag);
    };
    await channel.consume(DEAD_LETTER_QUEUE.name, receive, { consumerTag });
  }

  /** Stores a message and acknowledges it. It never rejects. */
  async #receive(channel: Channel, message: ConsumeMessage, consumerTag: string): Promise<void> {
    const { content, properties } = message;
    const { messageId, type, headers = {} } = properties;
    const dead: DeadMessage = { content, messageId, type, headers };
    try {
      if (await this.#store(dead)) {
        channel.ack(message);
        return;
      }
      await channel.cancel(consumerTag);
      channel.nack(message, false, true);
      if (await this.#storeAtLast(channel, dead)) await this.#consume(channel);
    } catch (error) {
      // The channel is closed, and the message is back in the queue.
      this.logger.debug({ reason: reasonOf(error) }, 'Dead letter not acknowledged');
    }
  }

  /** @returns false if the receiver failed */
  async #store(dead: DeadMessage): Promise<boolean> {
    try {
      await this.receiver(dead);
      return true;
    } catch (error) {
      // An outage of the database has its own log line.
      this.logger[isOutage(error) ? 'debug' : 'error'](
        { err: error },
        'Dead letter not stored; retrying',
      );
      return false;
    }
  }

  /** Tries until the message is stored. @returns false if the channel was closed or the server stops */
  async #storeAtLast(channel: Channel, dead: DeadMessage): Promise<boolean> {
    const closed = new AbortController();
    channel.once('close', () => closed.abort());
    const signal = AbortSignal.any([closed.signal, this.#stopping.signal]);
    for (let attempt = 1; !signal.aborted; attempt += 1) {
      await this.#pause(backoffMs(attempt, STORE_BACKOFF), signal);
      if (!signal.aborted && (await this.#store(dead))) return !signal.aborted;
    }
    return false;
  }

  async #pause(ms: number, signal: AbortSignal = this.#stopping.signal): Promise<void> {
    await sleep(ms, undefined, { signal, ref: false }).catch(() => {});
  }
}

/** Resolves when a channel is closed. @throws the error for which the server closed the channel */
function untilClosed(channel: Channel): Promise<void> {
  const closed = new Promise<void>((resolve, reject) => {
    channel.once('error', reject);
    channel.once('close', () => resolve());
  });
  // The channel may fail before anybody waits.
  closed.catch(() => {});
  return closed;
}
