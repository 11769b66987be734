import { type ConsumeOptions, type Consumer, consume } from '@virement/consumer';
import { onTestFinished } from 'vitest';
import { AMQP_URL } from './amqp-url.js';

/** A logger that logs nothing. */
export const SILENT = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

export type Handler = Parameters<typeof consume>[1];

/** Starts a consumer of the client package, which stops with the test. Resolves once it gets events. */
export async function startConsumer(
  options: Omit<ConsumeOptions, 'url'> & { readonly url?: string },
  handler: Handler,
): Promise<Consumer> {
  const consumer = await consume({ url: AMQP_URL, logger: SILENT, ...options }, handler);
  onTestFinished(() => consumer.stop());
  await consumer.ready;
  return consumer;
}
