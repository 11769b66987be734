/** Traces of a server with a collector. */
import { expect, onTestFinished, test } from 'vitest';
import { ACME, aBulk, aTransfer, GLOBEX, transfersOf } from '../support/builders.js';
import { startProcess } from '../support/process.js';
import { Receiver } from '../support/receiver.js';
import { subscriptionCount } from '../support/subscriber.js';
import { createMigratedDatabase } from '../support/test-database.js';
import { pathOf, startCollector } from '../support/trace-collector.js';
import { registerWebhook } from '../support/webhooks.js';

const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';
const TRACEPARENT = `00-${TRACE_ID}-00f067aa0ba902b7-01`;

async function startTraced(env: NodeJS.ProcessEnv = {}) {
  const collector = await startCollector();
  const database = await createMigratedDatabase();
  onTestFinished(() => database.drop());
  const server = await startProcess({
    DATABASE_URL: database.url,
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    ...env,
  });
  return { ...server, server, collector };
}

test('a bulk is one trace from its request to its publication', async () => {
  const { client, server, collector } = await startTraced();
  const bulk = aBulk([
    aTransfer({ endToEndId: 'CANARY-1' }),
    aTransfer({ counterpartyIban: GLOBEX }),
  ]);

  await client.perform(bulk, { traceparent: TRACEPARENT });
  await server.stop();

  const spans = collector.spans.filter(({ traceId }) => traceId === TRACE_ID);
  const paths = new Set(spans.map((span) => pathOf(span, spans).join(' < ')));
  const group = 'group commit < POST /graphql';
  for (const path of [
    'POST /graphql',
    'validate < POST /graphql',
    'wait < POST /graphql',
    group,
    `lock < ${group}`,
    `write < ${group}`,
    `commit < ${group}`,
    'publish bulk-transfer.performed < POST /graphql',
    'SELECT < validate < POST /graphql',
    `SELECT < lock < ${group}`,
  ]) {
    expect(paths).toContain(path);
  }
  const request = spans.find(({ name }) => name === 'POST /graphql');
  expect(request).toMatchObject({
    parentId: '00f067aa0ba902b7',
    attributes: {
      'http.request.method': 'POST',
      'http.response.status_code': 200,
      'graphql.operation.type': 'mutation',
    },
  });
  const text = JSON.stringify(collector.spans);
  for (const canary of ['CANARY-1', ACME, GLOBEX, 'Bip Bip']) expect(text).not.toContain(canary);
});

test('the bulks of one group link to each other', async () => {
  const { client, server, collector } = await startTraced();

  await Promise.all(Array.from({ length: 12 }, () => client.perform(aBulk(transfersOf(1)))));
  await server.stop();

  // The groups that opened the demo accounts belong to no request.
  const groups = collector.spans.filter(
    ({ name, parentId }) => name === 'group commit' && parentId !== undefined,
  );
  const members = groups.map(({ attributes }) => Number(attributes['virement.group.members']));
  expect(members.reduce((sum, count) => sum + count)).toBe(12);
  expect(Math.max(...members)).toBeGreaterThan(1);
  const requests = collector.spans.filter(({ name }) => name === 'POST /graphql');
  const linked = new Set([
    ...groups.flatMap(({ links }) => links),
    ...groups.map(({ parentId }) => parentId),
  ]);
  for (const { id, attributes } of requests) {
    if (attributes['graphql.operation.type'] === 'mutation') expect(linked).toContain(id);
  }
});

test('a call of a webhook is a span of the trace of its bulk, without any part of its URL', async () => {
  const { client, server, collector } = await startTraced();
  const receiver = await Receiver.start();
  await registerWebhook(client, { url: `${receiver.url}?token=CANARY-2` });
  await client.perform(aBulk([aTransfer()]), { traceparent: TRACEPARENT });
  await expect.poll(() => receiver.calls.length).toBe(1);
  await server.stop();

  const spans = collector.spans.filter(({ traceId }) => traceId === TRACE_ID);
  const call = spans.find(({ name }) => name === 'webhook');
  if (!call) throw new Error('No span');
  expect(pathOf(call, spans)).toEqual(['webhook', 'POST /graphql']);
  expect(call.attributes).toMatchObject({ 'http.response.status_code': 204 });
  // The receiver continues the trace.
  expect(receiver.calls[0]?.headers.traceparent).toBe(`00-${TRACE_ID}-${call.id}-01`);
  expect(JSON.stringify(collector.spans)).not.toContain('CANARY-2');
});

test('the first event of a commit that goes out by server-sent events is a span of the trace', async () => {
  const { client, server, collector } = await startTraced();
  const query = `subscription { transferPerformed(accountIban: "${ACME}") { cursor } }`;
  const stream = await fetch(`${server.url}/graphql/stream?query=${encodeURIComponent(query)}`);
  await expect.poll(() => subscriptionCount(server.url)).toBe(1);
  await client.perform(aBulk(transfersOf(3)), { traceparent: TRACEPARENT });
  await client.perform(aBulk(transfersOf(1)));
  let text = '';
  for await (const chunk of stream.body ?? []) {
    text += Buffer.from(chunk);
    if (text.split('event: next').length > 4) break;
  }
  await server.stop();

  const spans = collector.spans.filter(({ traceId }) => traceId === TRACE_ID);
  const sent = spans.filter(({ name }) => name === 'send transferPerformed');
  expect(sent.map((span) => pathOf(span, spans))).toEqual([
    ['send transferPerformed', 'POST /graphql'],
  ]);
  expect(sent[0]?.attributes).toMatchObject({ 'network.protocol.name': 'sse' });
});

test('metrics and lines of the log lead to the trace', async () => {
  const { client, server } = await startTraced({ LOG_LEVEL: 'info' });
  await client.perform(aBulk([aTransfer()]), { traceparent: TRACEPARENT });

  const exemplar = `# {trace_id="${TRACE_ID}"}`;
  await expect
    .poll(async () => (await fetch(`${server.url}/metrics`)).text())
    .toContain(`virement_operation_duration_seconds_bucket`);
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  for (const sample of [
    'virement_operation_duration_seconds_bucket{field="performBulkTransfer"',
    'virement_bulk_transfer_phase_duration_seconds_bucket{phase="commit"',
  ]) {
    const lines = metrics.split('\n').filter((line) => line.includes(exemplar));
    expect(
      lines.some((line) => withSortedLabels(line).startsWith(sample)),
      sample,
    ).toBe(true);
  }
  const line = server
    .output()
    .split('\n')
    .find((each) => each.includes('"msg":"Operation"'));
  expect(JSON.parse(line ?? '{}')).toMatchObject({ traceId: TRACE_ID });
});

/** Moves the label of the bucket behind the others. */
const withSortedLabels = (line: string) => line.replace(/\{le="[^"]+",/, '{');

test('headers are sent to the collector, and a share of 0 records nothing', async () => {
  const all = await startTraced({ OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20secret' });
  await all.client.data('{ __typename }');
  await all.server.stop();
  expect(all.collector.headers).toMatchObject({ authorization: 'Bearer secret' });

  const none = await startTraced({ OTEL_TRACES_SAMPLER_ARG: '0' });
  await none.client.data('{ __typename }');
  await none.server.stop();
  expect(none.collector.spans).toEqual([]);
});

test('a collector that is away stops no request and no server', async () => {
  const { client, server } = await startTraced({
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9',
  });

  await client.perform(aBulk([aTransfer()]));

  expect(await server.stop()).toBe(0);
});
