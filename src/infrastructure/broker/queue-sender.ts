/** Sends single messages to the queues of consumers. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ChannelModel } from 'amqplib';
import type { QueuedMessage } from '../../application/ports/dead-letters.js';
import { CLOUD_EVENTS_JSON } from '../outbox/events.js';

/** The time without a confirm after which a message counts as not sent. */
const CONFIRM_TIMEOUT_MS = 10_000;

/**
 * Sends a message to a queue by the default exchange. Each message has a channel of its own, so a message that the
 * broker returns is this one.
 * @returns false if the queue does not exist
 * @throws Error if the broker did not confirm the message; it may have been sent
 */
export async function sendToQueue(
  model: ChannelModel,
  queue: string,
  { messageId, type, content }: QueuedMessage,
): Promise<boolean> {
  const channel = await model.createConfirmChannel();
  channel.on('error', () => {});
  let isReturned = false;
  // The broker returns a message before it confirms the message.
  channel.on('return', () => {
    isReturned = true;
  });
  try {
    const options = { contentType: CLOUD_EVENTS_JSON, persistent: true, mandatory: true };
    const confirmed = new Promise<void>((resolve, reject) => {
      channel.publish('', queue, Buffer.from(content), { ...options, messageId, type }, (error) =>
        error ? reject(error) : resolve(),
      );
    });
    await Promise.race([confirmed, silence()]);
    return !isReturned;
  } finally {
    // A broker that does not respond does not answer the close either.
    void channel.close().catch(() => {});
  }
}

async function silence(): Promise<never> {
  await sleep(CONFIRM_TIMEOUT_MS, undefined, { ref: false });
  throw new Error(`RabbitMQ confirmed nothing for ${CONFIRM_TIMEOUT_MS} ms`);
}
