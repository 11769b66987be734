import { randomInt, randomUUID } from 'node:crypto';
import { type Channel, type ConsumeMessage, connect } from 'amqplib';
import { onTestFinished } from 'vitest';
import { AMQP_URL } from './amqp-url.js';
import { ibanOf } from './builders.js';

const EVENTS = 'virement.events';
const DEAD_LETTERS = 'virement.dead-letters';

const TRANSFER = 'virement.transfer.performed.v1';

/** A dead letter that a consumer of the test sent, or the broker for it. */
export interface DeadLetter {
  readonly properties: ConsumeMessage['properties'];
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

/** The queue of a consumer, with a name of its own, and what a test does at its broker. */
export interface EventQueue {
  readonly name: string;
  /** An account of the test's own. */
  readonly account: string;
  /** Dead letters of this queue, in order of arrival. */
  readonly deadLetters: DeadLetter[];
  /** Publishes transfers as Virement's relay does. Resolves once the broker has confirmed all of them. */
  publish(events: readonly PublishedEvent[]): Promise<void>;
  /** Sends bytes to the queue, as an operator does who replays a dead letter. */
  send(content: Buffer, messageId?: string): Promise<void>;
  /** Returns how many messages wait in a queue, without those that a consumer holds. */
  depth(name?: string): Promise<number>;
  /** Returns how many processes consume the queue; 0 if it is not declared yet. */
  consumers(): Promise<number>;
  /** Declares the queue as something else than the consumer would. */
  declare(): Promise<void>;
  /** Deletes a queue while its consumers run. */
  remove(name?: string): Promise<void>;
}

export interface PublishedEvent {
  readonly id: string;
  readonly type: string;
  readonly subject: string;
  readonly data: { readonly accountIban: string; readonly sequence: string };
}

/** Makes an event that has everything that a consumer relies on. */
export function anEvent(account: string, sequence = 1, type = TRANSFER): PublishedEvent {
  const data = { accountIban: account, sequence: String(sequence) };
  return { id: randomUUID(), type, subject: account, data };
}

/** Makes events of an account, with sequences from 1. */
export function eventsOf(account: string, count: number): PublishedEvent[] {
  return Array.from({ length: count }, (_, index) => anEvent(account, index + 1));
}

export function anAccount(): string {
  return ibanOf(randomInt(2 ** 31));
}

/**
 * Makes the name of a queue, and removes everything with this name from the broker when the test ends.
 * @param retryDelaysMs the delays of its retry queues
 */
export async function makeEventQueue(retryDelaysMs: readonly number[] = []): Promise<EventQueue> {
  const name = `test-${randomUUID()}`;
  const connection = await connect(AMQP_URL);
  connection.on('error', () => {});
  const channel = await connection.createConfirmChannel();
  await channel.assertExchange(EVENTS, 'topic', { durable: true });
  await channel.assertExchange(DEAD_LETTERS, 'fanout', { durable: true });
  const deadLetters = await listen(channel, name);
  onTestFinished(async () => {
    const names = [name, ...retryDelaysMs.map((delayMs) => `${name}.retry.${delayMs}`)];
    for (const queue of names) await channel.deleteQueue(queue);
    // The letters of this test are of no interest to others.
    await channel.deleteQueue(DEAD_LETTERS);
    await connection.close();
  });
  return {
    name,
    account: anAccount(),
    deadLetters,
    publish: async (events) => {
      for (const event of events) {
        const kind = event.type.replace(/^virement\.|\.v1$/g, '');
        const options = {
          messageId: event.id,
          type: event.type,
          contentType: 'application/cloudevents+json',
          persistent: true,
          headers: { traceparent: 'trace' },
        };
        channel.publish(EVENTS, `${kind}.${event.subject}`, bodyOf(event), options);
      }
      await channel.waitForConfirms();
    },
    send: async (content, messageId) => {
      channel.sendToQueue(name, content, { ...(messageId && { messageId }), mandatory: true });
      await channel.waitForConfirms();
    },
    depth: async (queue = name) => (await channel.checkQueue(queue)).messageCount,
    consumers: async () => {
      // The broker closes the channel if the queue is missing.
      const own = await connection.createChannel();
      own.on('error', () => {});
      try {
        const { consumerCount } = await own.checkQueue(name);
        await own.close();
        return consumerCount;
      } catch {
        return 0;
      }
    },
    declare: async () => {
      await channel.assertQueue(name);
    },
    remove: async (queue = name) => {
      await channel.deleteQueue(queue);
    },
  };
}

export function bodyOf(event: PublishedEvent): Buffer {
  return Buffer.from(JSON.stringify({ specversion: '1.0', source: '/virement', ...event }));
}

/** Receives a copy of each dead letter, and keeps those of one queue. */
async function listen(channel: Channel, queue: string): Promise<DeadLetter[]> {
  const letters: DeadLetter[] = [];
  const copies = await channel.assertQueue('', { exclusive: true });
  await channel.bindQueue(copies.queue, DEAD_LETTERS, '');
  await channel.consume(
    copies.queue,
    (message) => {
      if (!message) return;
      const { headers = {} } = message.properties;
      const consumer = headers['x-virement-consumer'] ?? headers['x-death']?.[0]?.queue;
      if (consumer !== queue) return;
      const body = message.content.toString();
      letters.push({ properties: message.properties, headers, body });
    },
    { noAck: true },
  );
  return letters;
}
