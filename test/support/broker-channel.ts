import { type ConfirmChannel, connect } from 'amqplib';
import { onTestFinished } from 'vitest';
import { AMQP_URL } from './amqp-url.js';

/** Opens a channel with publisher confirms at the broker, which is closed when the test ends. */
export async function openBrokerChannel(): Promise<ConfirmChannel> {
  const connection = await connect(AMQP_URL);
  connection.on('error', () => {});
  onTestFinished(() => connection.close());
  const channel = await connection.createConfirmChannel();
  channel.on('error', () => {});
  return channel;
}
