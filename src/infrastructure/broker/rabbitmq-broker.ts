/**
 * The RabbitMQ broker. It has one connection, which amqplib reconnects, and one channel with publisher confirms for
 * events. Dead letters, and messages to the queues of consumers, have channels of their own. The topology is asserted at every connection, and after the server closes a channel. The broker is not ready while it has
 * no channel. Every event without a confirm counts as not published.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type ChannelModel,
  type ConfirmChannel,
  type ConsumeMessage,
  connect,
  type Options,
  type RecoveringChannelModel,
} from 'amqplib';
import type { QueuedMessage } from '../../application/ports/dead-letters.js';
import { UnavailableError } from '../../domain/errors.js';
import { ExplainedError } from '../observability/explained-error.js';
import type { Logger } from '../observability/logger.js';
import { reasonOf } from '../observability/secrets.js';
import { activeTraceparent, isTracing } from '../observability/tracing.js';
import { CLOUD_EVENTS_JSON, type EventMessage } from '../outbox/events.js';
import type { AccountListener, Broker, DeadLetterBroker } from './broker.js';
import { DeadLetterDrain, type DeadLetterReceiver } from './dead-letter-drain.js';
import { sendToQueue } from './queue-sender.js';
import {
  accountIbanOf,
  EXCHANGE,
  INSTANCE_BINDINGS,
  INSTANCE_QUEUE,
  routingKeyOf,
} from './topology.js';

/** Limits the events that wait for their confirm at once, and so the memory of a bulk that is being published. */
const UNCONFIRMED_MAX = 500;

const RECONNECT_FIRST_MS = 100;
const RECONNECT_MAX_MS = 5_000;

/**
 * The time for a connection to be established before the next attempt. AMQP heartbeats begin only after the handshake.
 */
const HANDSHAKE_TIMEOUT_MS = 10_000;
const CLOSE_TIMEOUT_MS = 2_000;

/** The time without any confirm after which the messages that were sent count as not published. */
const CONFIRM_TIMEOUT_MS = 10_000;

/** The delay before a channel that the server closed is opened again. */
const CHANNEL_REOPEN_MS = 200;

export class RabbitMqBroker implements Broker, DeadLetterBroker {
  /** Identifies the events of this instance, whose changes its relay has reported. */
  readonly #instanceId = randomUUID();
  readonly #eventListeners: AccountListener[] = [];
  readonly #readyListeners: (() => void)[] = [];
  #connection: RecoveringChannelModel | undefined;
  #channel: ConfirmChannel | undefined;
  /** The connection as it is now; undefined while it is lost. */
  #model: ChannelModel | undefined;
  #drain: DeadLetterDrain | undefined;
  #isClosed = false;
  /** True while RabbitMQ accepts no messages because it lacks memory or disk space. */
  #isBlocked = false;

  private constructor(private readonly logger: Logger) {}

  /**
   * Starts to connect and keeps trying, so a server can start while its broker is down.
   * @throws ExplainedError if the URL cannot be used to connect
   */
  static async start(url: string, logger: Logger): Promise<RabbitMqBroker> {
    const broker = new RabbitMqBroker(logger);
    const connection = await connect(withHeartbeat(url), {
      timeout: HANDSHAKE_TIMEOUT_MS,
      clientProperties: { connection_name: 'virement' },
      recovery: {
        initialDelay: RECONNECT_FIRST_MS,
        maxDelay: RECONNECT_MAX_MS,
        waitForConnect: false,
        setup: async (model: ChannelModel) => {
          // amqplib adds its error listener only after setup. An unhandled error of an earlier disconnect would end the
          // process.
          model.on('error', () => {});
          await broker.#openChannel(model);
          void broker.#drain?.drain(model);
        },
      },
    }).catch((error: unknown) => {
      throw new ExplainedError(`AMQP_URL cannot be used: ${reasonOf(error)}`);
    });
    connection.on('error', () => {});
    connection.on('connect-failed', (error) => {
      logger.warn({ reason: error.message }, 'RabbitMQ unreachable; retrying');
    });
    connection.on('disconnect', (error) => {
      broker.#channel = undefined;
      broker.#model = undefined;
      broker.#drain?.release();
      if (!broker.#isClosed) logger.warn({ reason: error.message }, 'RabbitMQ disconnected');
    });
    connection.on('blocked', (reason) => {
      broker.#isBlocked = true;
      logger.warn({ reason }, 'RabbitMQ publishing blocked');
    });
    connection.on('unblocked', () => {
      broker.#isBlocked = false;
      broker.#notifyReady();
    });
    broker.#connection = connection;
    return broker;
  }

  get isReady(): boolean {
    return this.#channel !== undefined && !this.#isBlocked;
  }

  onEvent(listener: AccountListener): void {
    this.#eventListeners.push(listener);
  }

  onReady(listener: () => void): void {
    this.#readyListeners.push(listener);
    if (this.isReady) listener();
  }

  async publish(events: AsyncIterable<EventMessage>): Promise<void> {
    const channel = this.#channel;
    if (!channel) throw new Error('RabbitMQ is not connected');
    const confirms = new Confirms();
    for await (const message of events) {
      confirms.throwIfRefused();
      channel.publish(
        EXCHANGE.name,
        routingKeyOf(message.kind, message.accountIban),
        Buffer.from(JSON.stringify(message.event)),
        { ...publishOptions(message), appId: this.#instanceId },
        confirms.expect(),
      );
      if (confirms.unconfirmed >= UNCONFIRMED_MAX) await confirms.untilBelow(UNCONFIRMED_MAX);
    }
    await confirms.untilBelow(1);
  }

  receiveDeadLetters(receiver: DeadLetterReceiver): void {
    this.#drain = new DeadLetterDrain(receiver, this.logger);
    if (this.#model) void this.#drain.drain(this.#model);
  }

  async send(queue: string, message: QueuedMessage): Promise<boolean> {
    if (!this.#model || !this.isReady) throw new UnavailableError('BROKER_AWAY');
    try {
      return await sendToQueue(this.#model, queue, message);
    } catch (cause) {
      this.logger.warn({ reason: reasonOf(cause) }, 'Dead letter not sent');
      throw new UnavailableError('BROKER_AWAY', { cause });
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#drain?.close();
    this.#channel = undefined;
    // A broker that does not respond does not answer the close either.
    await Promise.race([
      this.#connection?.close(),
      sleep(CLOSE_TIMEOUT_MS, undefined, { ref: false }),
    ]);
  }

  async #openChannel(model: ChannelModel): Promise<void> {
    const channel = await model.createConfirmChannel();
    // The server sends the reason before it closes the channel.
    channel.on('error', (error: Error) => {
      this.logger.warn({ reason: error.message }, 'RabbitMQ channel closed');
    });
    channel.on('return', ({ fields }) => {
      this.logger.debug({ kind: fields.routingKey.split('.')[0] }, 'Event not routed to any queue');
    });
    channel.once('close', () => {
      if (this.#channel === channel) void this.#reopenChannel(model);
    });
    await channel.assertExchange(EXCHANGE.name, EXCHANGE.type, EXCHANGE.options);
    const { queue } = await channel.assertQueue(INSTANCE_QUEUE.name, INSTANCE_QUEUE.options);
    for (const binding of INSTANCE_BINDINGS) await channel.bindQueue(queue, EXCHANGE.name, binding);
    await channel.consume(
      queue,
      (message) => {
        // The server cancelled the consumer because it deleted the queue. The whole topology is asserted again.
        if (message === null) void channel.close().catch(() => {});
        else this.#receive(message);
      },
      { noAck: true },
    );
    this.#channel = channel;
    this.#model = model;
    this.#isBlocked = false;
    this.logger.info('RabbitMQ connected');
    this.#notifyReady();
  }

  /** Reopens a channel that the server closed. If this fails, the connection and its channel are made again. */
  async #reopenChannel(model: ChannelModel): Promise<void> {
    this.#channel = undefined;
    await sleep(CHANNEL_REOPEN_MS);
    if (this.#isClosed || this.#channel) return;
    await this.#openChannel(model).catch(async (error: unknown) => {
      this.logger.warn({ reason: String(error) }, 'RabbitMQ channel not reopened; reconnecting');
      await model.close().catch(() => {});
    });
  }

  #notifyReady(): void {
    for (const listener of this.#readyListeners) listener();
  }

  #receive({ fields, properties, content }: ConsumeMessage): void {
    if (properties.appId === this.#instanceId) return;
    const sequence = sequenceOf(content);
    // Anyone may publish to an exchange, so a message that is not an event of this server is ignored.
    if (sequence === undefined) return;
    const { traceparent } = properties.headers ?? {};
    const head = {
      ...{ iban: accountIbanOf(fields.routingKey), sequence },
      ...(typeof traceparent === 'string' && isTracing() && { traceparent }),
    };
    for (const listener of this.#eventListeners) listener(head);
  }
}

/** Returns the sequence of the account that an event is about. */
function sequenceOf(content: Buffer): bigint | undefined {
  try {
    return BigInt(JSON.parse(content.toString()).data.sequence);
  } catch {
    return undefined;
  }
}

/** The interval between heartbeats, in seconds. A broker that misses two heartbeats counts as disconnected. */
const HEARTBEAT_S = '10';

function withHeartbeat(url: string): string {
  const parsed = new URL(url);
  if (!parsed.searchParams.has('heartbeat')) parsed.searchParams.set('heartbeat', HEARTBEAT_S);
  return parsed.href;
}

function publishOptions({ event }: EventMessage): Options.Publish {
  // A consumer continues the trace from the publication.
  const traceparent = activeTraceparent() ?? event.traceparent;
  return {
    messageId: event.id,
    type: event.type,
    contentType: CLOUD_EVENTS_JSON,
    timestamp: Math.floor(Date.parse(event.time) / 1_000),
    persistent: true,
    mandatory: true,
    headers: traceparent === undefined ? {} : { traceparent },
  };
}

/** The publisher confirms that one publication waits for. */
class Confirms {
  unconfirmed = 0;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;

  /**
   * Adds one expected confirm. The channel calls the returned function, with an error if the broker refused the message
   * or disconnected.
   */
  expect(): (error: unknown) => void {
    this.unconfirmed += 1;
    return (error) => {
      this.unconfirmed -= 1;
      if (error)
        this.#failure ??=
          error instanceof Error ? error : new Error('RabbitMQ did not confirm the event');
      this.#wake?.();
    };
  }

  throwIfRefused(): void {
    if (this.#failure) throw this.#failure;
  }

  #giveUp(): void {
    this.#failure ??= new Error(`RabbitMQ confirmed nothing for ${CONFIRM_TIMEOUT_MS} ms`);
    this.#wake?.();
  }

  async untilBelow(count: number): Promise<void> {
    while (this.unconfirmed >= count && !this.#failure) {
      const silence = setTimeout(() => this.#giveUp(), CONFIRM_TIMEOUT_MS);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      clearTimeout(silence);
    }
    this.throwIfRefused();
  }
}
