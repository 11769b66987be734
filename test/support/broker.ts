import type { TestProject } from 'vitest/node';
import { OWN_BROKER, vhostOf } from './amqp-url.js';
import { startRabbitMq } from './rabbitmq.js';

/** Starts the tests' own RabbitMQ, once for all projects, with a virtual host for each worker. */
export async function setup({ vitest }: TestProject): Promise<(() => Promise<void>) | undefined> {
  if (process.env.TEST_AMQP_URL || process.env[OWN_BROKER]) return undefined;
  const workers = Array.from({ length: vitest.config.maxWorkers }, (_, index) => index + 1);
  const { url, close } = await startRabbitMq(workers.map(vhostOf));
  process.env[OWN_BROKER] = url;
  return close;
}
