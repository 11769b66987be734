/** The trace of a bulk reaches everyone who learns of it: consumers, and the subscribers of every server. */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import { AMQP_URL } from '../support/amqp-url.js';
import { openBrokerChannel } from '../support/broker-channel.js';
import { ACME, aBulk, aTransfer, GLOBEX } from '../support/builders.js';
import { endProcess } from '../support/end-process.js';
import { startProcess } from '../support/process.js';
import { subscribe, subscriptionCount } from '../support/subscriber.js';
import { createMigratedDatabase } from '../support/test-database.js';
import { pathOf, startCollector } from '../support/trace-collector.js';

/** A server notices a commit of another one by polling too, and then does not know its trace. So there are two bulks. */
const TRACE_IDS = ['4bf92f3577b34da6a3ce929d0e0e4736', '4bf92f3577b34da6a3ce929d0e0e4737'];

/** Starts a service that uses OpenTelemetry and consumes all events; its first attempts fail. */
async function startTracedConsumer(collector: string): Promise<string> {
  const queue = `traced-${randomUUID()}`;
  const service = spawn(process.execPath, ['test/support/traced-consumer.mjs'], {
    env: { ...process.env, AMQP_URL, QUEUE: queue, COLLECTOR: collector },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(async () => {
    await endProcess(service, 'SIGKILL');
    const channel = await openBrokerChannel();
    await channel.deleteQueue(queue);
  });
  await once(service.stdout, 'data');
  return queue;
}

test('a bulk is one trace from its request to the handler of a consumer and the frames of subscribers', async () => {
  const collector = await startCollector();
  const database = await createMigratedDatabase();
  onTestFinished(() => database.drop());
  const env = { DATABASE_URL: database.url, AMQP_URL, OTEL_EXPORTER_OTLP_ENDPOINT: collector.url };
  const performing = await startProcess(env);
  const other = await startProcess(env);
  const queue = await startTracedConsumer(collector.url);
  const performed = `subscription { transferPerformed(accountIban: "${ACME}") { cursor } }`;
  const received = `subscription { transferReceived(accountIban: "${GLOBEX}") { cursor } }`;
  const balance = `subscription { balanceUpdated(accountIban: "${GLOBEX}") { sequence } }`;
  const subscribers = [performing, other].map(({ url }) => subscribe(url, performed));
  const [here, there] = [subscribe(performing.url, received), subscribe(other.url, balance)];
  // The first event is the balance as it is.
  await expect.poll(() => there.events.length).toBe(1);
  for (const { url } of [performing, other]) {
    await expect.poll(() => subscriptionCount(url)).toBe(2);
  }

  for (const [index, traceId] of TRACE_IDS.entries()) {
    const rows = [aTransfer({ counterpartyIban: GLOBEX }), aTransfer(), aTransfer()];
    const traceparent = `00-${traceId}-00f067aa0ba902b7-01`;
    await performing.client.perform(aBulk(rows), { traceparent });
    const count = index + 1;
    for (const { events } of subscribers) await expect.poll(() => events.length).toBe(3 * count);
    await expect.poll(() => here.events.length).toBe(count);
    await expect.poll(() => there.events.length).toBe(1 + count);
  }
  const spansOf = (traceId: string) => collector.spans.filter((span) => span.traceId === traceId);
  const processed = `process ${queue}`;
  // One event of each bulk, three of its transfers, and two of the account that received one, each in two attempts.
  for (const traceId of TRACE_IDS) {
    await expect
      .poll(() => spansOf(traceId).filter(({ name }) => name === processed).length)
      .toBe(12);
  }
  await Promise.all([performing.stop(), other.stop()]);

  const published = 'publish bulk-transfer.performed < POST /graphql';
  const pathsOf = TRACE_IDS.map(spansOf).map((spans) =>
    spans.map((span) => pathOf(span, spans).join(' < ')).toSorted(),
  );
  for (const paths of pathsOf) expect(paths).toContain(`book < ${processed} < ${published}`);
  // Three transfers of one commit are one span for each subscriber.
  expect(pathsOf.map((paths) => paths.filter((path) => path.startsWith('send ')))).toContainEqual([
    `send balanceUpdated < ${published}`,
    'send transferPerformed < POST /graphql',
    `send transferPerformed < ${published}`,
    'send transferReceived < POST /graphql',
  ]);
  const attempt = collector.spans.find(({ name }) => name === processed);
  expect(attempt?.attributes).toMatchObject({
    'messaging.system': 'rabbitmq',
    'messaging.operation.type': 'process',
    'messaging.destination.name': queue,
    'virement.attempt': 1,
    'error.type': 'RangeError',
  });
});
