/**
 * Consumes events at least once.
 *
 * A delivery is acknowledged after one of three things: its handler succeeded; the message for its next attempt is
 * stored in a delay queue; its dead letter is stored. Until then the broker keeps the event, and delivers it again when
 * the channel is closed: after a crash, a disconnect or a stop. Nothing else loses or ends an event.
 *
 * With an order, the queue has one active consumer at the broker, and this process chains the events of each account. A
 * failed event is retried in place: it keeps its place in the chain and its delivery, and gives its slot to others.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type ChannelModel, connect, type Message, type RecoveringChannelModel } from 'amqplib';
import type { Dedupe } from './dedupe.js';
import { MalformedEventError, parseEvent, type VirementEvent } from './event.js';
import { type Logger, reasonOf } from './logger.js';
import { type ConsumeOptions, type Settings, settingsOf } from './options.js';
import { attemptOf, deadLetterOf, retryOf, returnsOf } from './outgoing.js';
import { Session } from './session.js';
import { Slots } from './slots.js';
import { declareTopology, lacksQuorumQueues, type QueueType } from './topology.js';
import { inProcessSpan } from './tracing.js';

/** A running consumer. */
export interface Consumer {
  /** Resolves when the consumer gets events for the first time. Rejects if it is stopped before. */
  readonly ready: Promise<void>;
  /** True while the consumer is connected and gets events. */
  readonly isReady: boolean;
  /**
   * Stops. Handlers that run have until `stopTimeoutMs` to end; events that are not finished then are handed back to the
   * broker. Resolves when the connection is closed.
   */
  stop(): Promise<void>;
}

export interface HandlerContext<Transaction = undefined> {
  /** The attempt, from 1. */
  readonly attempt: number;
  /** The transaction of the `dedupe` store. Writes in it take effect only if the event is recorded. */
  readonly transaction: Transaction;
  /** Is aborted when the event was handed back to the broker, so another process may already have it. */
  readonly signal: AbortSignal;
}

/** Processes an event. The event is done when the promise is fulfilled, and has failed when it is rejected. */
export type EventHandler<Transaction = undefined> = (
  event: VirementEvent,
  context: HandlerContext<Transaction>,
) => Promise<void> | void;

const RECONNECT_FIRST_MS = 100;
const RECONNECT_MAX_MS = 5_000;
const HANDSHAKE_TIMEOUT_MS = 10_000;

/** The interval between heartbeats, in seconds. A broker that misses two heartbeats counts as disconnected. */
const HEARTBEAT_S = '10';

/** The delay before a channel that was closed is opened again. */
const CHANNEL_REOPEN_MS = 500;

/** An event that the broker took back this often may be the one on which processes crash. */
const SUSPECT_RETURNS = 2;

/** The time for a broker to answer a cancel or a close. */
const CLOSE_TIMEOUT_MS = 2_000;

/**
 * Starts a consumer, which connects and reconnects by itself.
 * @returns at once, even if the broker is away; see `ready`
 * @throws TypeError if the options cannot be used
 */
export async function consume<Transaction = undefined>(
  options: ConsumeOptions<Transaction>,
  handler: EventHandler<Transaction>,
): Promise<Consumer> {
  const settings = settingsOf(options);
  const consumer = new EventConsumer(settings, handlerOnce(settings, options.dedupe, handler));
  await consumer.connect();
  return consumer;
}

type Attempt = (event: VirementEvent, attempt: number, signal: AbortSignal) => Promise<void>;

/** Returns a handler that does nothing for an event that is recorded. */
function handlerOnce<Transaction>(
  { queue, logger }: Settings,
  dedupe: Dedupe<Transaction> | undefined,
  handler: EventHandler<Transaction>,
): Attempt {
  return async (event, attempt, signal) => {
    if (!dedupe) {
      // Without a store the type of the transaction is undefined.
      await handler(event, { attempt, transaction: undefined as Transaction, signal });
      return;
    }
    // Several consumers may share a table.
    const outcome = await dedupe.once(`${queue}/${event.id}`, async (transaction) => {
      await handler(event, { attempt, transaction, signal });
    });
    if (outcome === 'duplicate') {
      logger.debug({ queue, eventId: event.id }, 'Repeated event dropped');
    }
  };
}

/** A delivery, and which attempt it is. */
interface Delivery {
  readonly message: Message;
  readonly event: VirementEvent | MalformedEventError;
  readonly attempt: number;
}

type Outcome =
  | { readonly kind: 'done' }
  | { readonly kind: 'failed'; readonly error: unknown }
  | { readonly kind: 'handed-back' };

class EventConsumer implements Consumer {
  readonly ready: Promise<void>;
  readonly #logger: Logger;
  readonly #slots: Slots;
  /** Is aborted by `stop`: no handler starts, and no event waits for its next attempt. */
  readonly #stopping = new AbortController();
  readonly #unfinished = new Set<Promise<void>>();
  /** The last event of each account that is in progress. */
  readonly #chains = new Map<string, Promise<void>>();
  #queueType: QueueType = 'quorum';
  #connection: RecoveringChannelModel | undefined;
  #session: Session | undefined;
  /** Undefined while the session does not consume. */
  #consumerTag: string | undefined;
  #stopped: Promise<void> | undefined;
  #resolveReady: () => void = () => {};
  #rejectReady: (error: Error) => void = () => {};

  constructor(
    private readonly settings: Settings,
    private readonly attempt: Attempt,
  ) {
    this.#logger = settings.logger;
    this.#slots = new Slots(settings.concurrency);
    this.ready = new Promise((resolve, reject) => {
      this.#resolveReady = resolve;
      this.#rejectReady = reject;
    });
    // The caller need not wait for it.
    this.ready.catch(() => {});
  }

  get isReady(): boolean {
    const isConsuming = this.#session?.isOpen === true && this.#consumerTag !== undefined;
    return isConsuming && !this.#isStopping;
  }

  get #isStopping(): boolean {
    return this.#stopping.signal.aborted;
  }

  async connect(): Promise<void> {
    const { queue, url } = this.settings;
    const connection = await connect(withHeartbeat(url), {
      timeout: HANDSHAKE_TIMEOUT_MS,
      clientProperties: { connection_name: `virement consumer ${queue}` },
      recovery: {
        initialDelay: RECONNECT_FIRST_MS,
        maxDelay: RECONNECT_MAX_MS,
        waitForConnect: false,
        setup: (model: ChannelModel) => this.#open(model),
      },
    });
    connection.on('error', () => {});
    connection.on('connect-failed', (error) => {
      this.#logger.warn({ queue, reason: error.message }, 'RabbitMQ unreachable; retrying');
    });
    connection.on('disconnect', (error) => {
      if (this.#isStopping) return;
      this.#logger.warn({ queue, reason: error.message }, 'RabbitMQ disconnected');
    });
    connection.on('blocked', (reason) => {
      this.#logger.warn({ queue, reason }, 'RabbitMQ publishing blocked');
    });
    this.#connection = connection;
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    const { queue, stopTimeoutMs, isOrdered } = this.settings;
    this.#stopping.abort();
    this.#rejectReady(new Error('The consumer was stopped before it was ready'));
    const session = this.#session;
    // With an order the consumer stays the active one until its last event is settled.
    if (session?.isOpen && this.#consumerTag !== undefined && !isOrdered) {
      await inTime(CLOSE_TIMEOUT_MS, session.channel.cancel(this.#consumerTag));
    }
    // Events that wait for a slot are handed back at once.
    this.#slots.open();
    await inTime(stopTimeoutMs, Promise.all(this.#unfinished));
    if (this.#unfinished.size > 0) {
      this.#logger.warn({ queue, events: this.#unfinished.size }, 'Unfinished events handed back');
    }
    await inTime(CLOSE_TIMEOUT_MS, session?.close());
    await inTime(CLOSE_TIMEOUT_MS, this.#connection?.close());
    this.#logger.info({ queue }, 'Consumer stopped');
  }

  async #open(model: ChannelModel): Promise<void> {
    if (this.#isStopping) return;
    // amqplib adds its error listener only after setup. An unhandled error would end the process.
    model.on('error', (error) => this.#noteError(error));
    const channel = await model.createConfirmChannel();
    channel.on('error', (error) => {
      const { queue } = this.settings;
      this.#noteError(error);
      this.#logger.error({ queue, reason: error.message }, 'RabbitMQ closed the channel');
    });
    const session = new Session(model, channel);
    this.#session = session;
    this.#consumerTag = undefined;
    await declareTopology(model, channel, this.settings, this.#queueType);
    if (!session.isOpen) throw new Error('The channel was closed at once');
    channel.once('close', () => void this.#reopen(session));
    void this.#begin(session);
  }

  /** Begins to take events. If this fails, the channel is made again. */
  async #begin(session: Session): Promise<void> {
    const { queue, isOrdered } = this.settings;
    try {
      if (!isOrdered) await this.#takeSuspects(session);
      if (this.#isStopping) return;
      await this.#consume(session);
      this.#logger.info({ queue }, 'Consumer ready');
      this.#resolveReady();
    } catch (error) {
      this.#logger.warn({ queue, reason: reasonOf(error) }, 'Consumer not begun; retrying');
      await session.close();
    }
  }

  /**
   * Takes events that came back several times one by one, before any other. If the process crashes on one of them, it
   * holds no other event, for which the crash would count as well. RabbitMQ has no such request for a queue with a
   * single active consumer.
   */
  async #takeSuspects(session: Session): Promise<void> {
    while (!this.#isStopping) {
      const message = await session.channel.get(this.settings.queue);
      if (!message) return;
      const delivered = this.#receive(session, message);
      if (returnsOf(message) < SUSPECT_RETURNS) return;
      await Promise.race([delivered, session.closed]);
    }
  }

  async #consume(session: Session): Promise<void> {
    const { channel } = session;
    await channel.prefetch(this.settings.prefetch);
    const { consumerTag } = await channel.consume(this.settings.queue, (message) => {
      if (message) void this.#receive(session, message);
      // The broker cancelled the consumer, because the queue was deleted.
      else void session.close();
    });
    this.#consumerTag = consumerTag;
  }

  /** Declares classic queues from the next connection on if the broker has no quorum queues. */
  #noteError(error: Error): void {
    if (this.#queueType === 'quorum' && lacksQuorumQueues(error)) {
      this.#queueType = 'classic';
      this.#logger.warn({ queue: this.settings.queue }, 'RabbitMQ without quorum queues');
    }
  }

  /** Opens another channel in place of a closed one. If this fails, the connection is made again. */
  async #reopen(session: Session): Promise<void> {
    const { model } = session;
    await sleep(CHANNEL_REOPEN_MS);
    if (this.#isStopping || this.#session !== session) return;
    await this.#open(model).catch(() => model.close().catch(() => {}));
  }

  /** Starts to process a delivery. @returns a promise that never rejects, for when it is settled or handed back */
  async #receive(session: Session, message: Message): Promise<void> {
    if (this.#isStopping) return this.#handBack(session, message);
    const event = eventOf(message);
    const work = () =>
      this.#deliver(session, message, event).catch((error: unknown) => {
        const { queue } = this.settings;
        this.#logger.error({ queue, reason: reasonOf(error) }, 'Event not settled; handed back');
        return session.close();
      });
    const delivered = this.settings.isOrdered ? this.#chain(accountOf(event), work) : work();
    this.#unfinished.add(delivered);
    await delivered;
    this.#unfinished.delete(delivered);
  }

  /** Runs the work after all earlier work for the same account. The work never rejects. */
  #chain(account: string, work: () => Promise<void>): Promise<void> {
    const result = (this.#chains.get(account) ?? Promise.resolve()).then(work);
    this.#chains.set(account, result);
    void result.then(() => {
      if (this.#chains.get(account) === result) this.#chains.delete(account);
    });
    return result;
  }

  /**
   * Processes a delivery until it is settled or handed back.
   * @throws Error if neither the next attempt nor the dead letter could be stored
   */
  async #deliver(
    session: Session,
    message: Message,
    event: VirementEvent | MalformedEventError,
  ): Promise<void> {
    const { queue, retry, isOrdered } = this.settings;
    let { attempt, firstFailedAt } = attemptOf(message);
    for (; ; attempt += 1) {
      const outcome = await this.#try(session, { message, event, attempt });
      if (outcome.kind === 'handed-back') return this.#handBack(session, message);
      if (outcome.kind === 'done') return session.ack(message);
      const { error } = outcome;
      const lastFailedAt = new Date().toISOString();
      firstFailedAt ??= lastFailedAt;
      const failures = { attempts: attempt, firstFailedAt, lastFailedAt };
      const verdict = retry.verdictOn(error, attempt);
      const fields = { queue, ...labelsOf(event), attempt, reason: reasonOf(error) };
      if (verdict.kind === 'dead-letter') {
        const letter = deadLetterOf(message, queue, verdict.reason, { ...failures, error });
        await session.replace(message, letter);
        this.#logger.error({ ...fields, kind: verdict.reason }, 'Event dead-lettered');
        return;
      }
      const { delayMs } = verdict;
      this.#logger.warn({ ...fields, delayMs }, 'Event failed; retrying');
      if (!isOrdered) {
        return session.replace(message, retryOf(message, queue, delayMs, failures));
      }
      await this.#waitInPlace(delayMs, session.signal);
    }
  }

  /**
   * Hands a delivery back during a stop, after the consumer was cancelled. With an order, all deliveries are handed back
   * together when the channel is closed, so the next process gets them in order.
   */
  #handBack(session: Session, message: Message): void {
    if (!this.settings.isOrdered) session.requeue(message);
  }

  /** Runs the handler when a slot is free. */
  #try(session: Session, { message, event, attempt }: Delivery): Promise<Outcome> {
    const { queue } = this.settings;
    return this.#slots.use<Outcome>(async () => {
      if (this.#isStopping || !session.isOpen) return { kind: 'handed-back' };
      if (event instanceof MalformedEventError) return { kind: 'failed', error: event };
      try {
        await inProcessSpan(message, { queue, attempt }, () =>
          this.attempt(event, attempt, session.signal),
        );
        return { kind: 'done' };
      } catch (error) {
        // The broker delivers the event again, with the attempt that it had.
        return session.isOpen ? { kind: 'failed', error } : { kind: 'handed-back' };
      }
    });
  }

  /** Waits for the next attempt; ends early when the event is to be handed back. */
  async #waitInPlace(delayMs: number, taken: AbortSignal): Promise<void> {
    const signal = AbortSignal.any([taken, this.#stopping.signal]);
    await sleep(delayMs, undefined, { signal }).catch(() => {});
  }
}

function withHeartbeat(url: string): string {
  const parsed = new URL(url);
  if (!parsed.searchParams.has('heartbeat')) parsed.searchParams.set('heartbeat', HEARTBEAT_S);
  return parsed.href;
}

function eventOf({ content }: Message): VirementEvent | MalformedEventError {
  try {
    return parseEvent(content);
  } catch (error) {
    if (error instanceof MalformedEventError) return error;
    throw error;
  }
}

/** Messages that are no events have no account, and no order among accounts. */
function accountOf(event: VirementEvent | MalformedEventError): string {
  return event instanceof MalformedEventError ? '' : event.subject;
}

function labelsOf(event: VirementEvent | MalformedEventError): object {
  return event instanceof MalformedEventError ? {} : { eventId: event.id, type: event.type };
}

/** Waits for a promise, but not longer than a time. Its failure is of no interest. */
async function inTime(timeoutMs: number, promise: Promise<unknown> | undefined): Promise<void> {
  const timeout = new AbortController();
  await Promise.race([
    promise?.catch(() => {}),
    sleep(timeoutMs, undefined, { signal: timeout.signal }).catch(() => {}),
  ]);
  timeout.abort();
}
