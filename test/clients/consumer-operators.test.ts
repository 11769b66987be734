/** Tests that operators see the dead letters of a consumer at the server, and that the consumer gets them again. */
import { consume } from '@virement/consumer';
import { expect, onTestFinished, test } from 'vitest';
import { AMQP_URL } from '../support/amqp-url.js';
import { ACME, aBulk, aTransfer } from '../support/builders.js';
import { SILENT } from '../support/client-consumer.js';
import { makeEventQueue } from '../support/event-queue.js';
import { startServer } from '../support/server.js';

const DEAD_LETTERS = `query ($consumer: String!) {
  deadLetters(consumer: $consumer, first: 10) {
    nodes { id consumer type messageId reason attempts lastError }
  }
}`;
const REPLAY = 'mutation ($ids: [ID!]!) { replayDeadLetters(ids: $ids) { count } }';

test('an event that a consumer gave up is listed at the server, and a replay starts it at its first attempt', async () => {
  const queue = await makeEventQueue([10]);
  const attempts: string[] = [];
  let isRepaired = false;
  const consumer = await consume(
    {
      url: AMQP_URL,
      queue: queue.name,
      events: ['virement.transfer.performed.v1'],
      accounts: [ACME],
      retry: { delaysMs: [10], jitter: 0 },
      logger: SILENT,
    },
    ({ id }, { attempt }) => {
      attempts.push(`${id}, attempt ${attempt}`);
      if (!isRepaired) throw new Error('The ledger of the payroll is closed');
    },
  );
  onTestFinished(() => consumer.stop());
  await consumer.ready;
  const { client } = await startServer({ AMQP_URL });
  const { bulkTransfer } = await client.perform(aBulk([aTransfer()]));
  const eventId = bulkTransfer.transfers.nodes[0].id;
  const letters = async () =>
    (await client.data(DEAD_LETTERS, { consumer: queue.name })).deadLetters.nodes;

  await expect.poll(letters).toMatchObject([
    {
      consumer: queue.name,
      type: 'virement.transfer.performed.v1',
      messageId: eventId,
      reason: 'ATTEMPTS_EXHAUSTED',
      attempts: 2,
      lastError: 'The ledger of the payroll is closed',
    },
  ]);
  isRepaired = true;
  const [{ id }] = await letters();
  const { replayDeadLetters } = await client.data(REPLAY, { ids: [id] });

  expect(replayDeadLetters.count).toBe(1);
  await expect
    .poll(() => attempts)
    .toEqual([1, 2, 1].map((attempt) => `${eventId}, attempt ${attempt}`));
  expect(await letters()).toEqual([]);
});
