/** Environment variable with the URL of the broker that the global setup started, without a virtual host. */
export const OWN_BROKER = 'VIREMENT_TEST_BROKER';

/** Returns the name of a worker's own virtual host. Workers are numbered from 1. */
export function vhostOf(worker: number | string | undefined): string {
  return `worker-${worker}`;
}

/** The RabbitMQ that tests publish to: the one in TEST_AMQP_URL, or a virtual host of the tests' own broker. */
export const AMQP_URL =
  process.env.TEST_AMQP_URL || `${process.env[OWN_BROKER]}/${vhostOf(process.env.VITEST_POOL_ID)}`;
