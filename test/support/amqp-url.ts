/** Where the global setup says which broker it started; without a virtual host. */
export const OWN_BROKER = 'VIREMENT_TEST_BROKER';

/** Names the virtual host that a worker has for itself, by the worker's number from 1 up. */
export function vhostOf(worker: number | string | undefined): string {
  return `worker-${worker}`;
}

/**
 * The RabbitMQ that tests publish to: the one that TEST_AMQP_URL names, or a virtual host of the tests' own
 * broker.
 */
export const AMQP_URL =
  process.env.TEST_AMQP_URL || `${process.env[OWN_BROKER]}/${vhostOf(process.env.VITEST_POOL_ID)}`;
