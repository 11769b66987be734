/** Tests the consumer package on a RabbitMQ without quorum queues. */
import { consume } from '@virement/consumer';
import { connect } from 'amqplib';
import { expect, onTestFinished, test } from 'vitest';
import { canRun } from '../support/can-run.js';
import { SILENT } from '../support/client-consumer.js';
import { anAccount, anEvent, bodyOf } from '../support/event-queue.js';
import { missingRabbitMq, startRabbitMq } from '../support/rabbitmq.js';

/** Only this feature flag is enabled, so that of quorum queues is not. */
const FEATURE_FLAGS = 'implicit_default_bindings';

test.runIf(canRun('a RabbitMQ without quorum queues', await missingRabbitMq()))(
  'a broker without quorum queues gets classic ones, with retries and dead letters',
  async ({ skip }) => {
    const rabbitMq = await startRabbitMq([], { RABBITMQ_FEATURE_FLAGS: FEATURE_FLAGS });
    onTestFinished(() => rabbitMq.close());
    const connection = await connect(rabbitMq.url);
    onTestFinished(() => connection.close());
    const { version } = connection.connection.serverProperties;
    skip(!/^3\.(8|9|10)\./.test(version), `RabbitMQ ${version} always has quorum queues`);
    const account = anAccount();
    const attempts: number[] = [];
    const warnings: string[] = [];
    const consumer = await consume(
      {
        url: rabbitMq.url,
        queue: 'payroll',
        accounts: [account],
        retry: { delaysMs: [10], jitter: 0 },
        logger: { ...SILENT, warn: (_fields, message) => warnings.push(message) },
      },
      (_event, { attempt }) => {
        attempts.push(attempt);
        throw new Error('Never');
      },
    );
    onTestFinished(() => consumer.stop());
    await consumer.ready;
    const channel = await connection.createConfirmChannel();
    const event = anEvent(account);

    channel.publish('virement.events', `transfer.performed.${account}`, bodyOf(event));
    await channel.waitForConfirms();

    const letters = async () => (await channel.checkQueue('virement.dead-letters')).messageCount;
    await expect.poll(letters).toBe(1);
    expect(attempts).toEqual([1, 2]);
    expect(warnings).toContain('RabbitMQ without quorum queues');
  },
);
