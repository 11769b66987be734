/** Files that a program imports by the client library. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createVirementClient, type ImportOptions } from '@virement/client';
import { expect, onTestFinished, test } from 'vitest';
import { ACME, ibanOf } from '../support/builders.js';
import type { Client } from '../support/client.js';
import { csvOf, pain001Of } from '../support/imports.js';
import { submitOrder } from '../support/orders.js';
import { portOf, startProxy } from '../support/proxy.js';
import { startServer } from '../support/server.js';

type Progress = Parameters<NonNullable<ImportOptions['onProgress']>>[0];

const OF_ACME = { account: ACME } as const;

async function startBehindProxy(env: NodeJS.ProcessEnv = {}) {
  const server = await startServer(env);
  const proxy = await startProxy({ host: '127.0.0.1', port: portOf(server.url) });
  const retries: string[] = [];
  const client = createVirementClient({
    url: `http://127.0.0.1:${proxy.port}/graphql`,
    onRetry: ({ code }) => retries.push(code),
  });
  return { server, proxy, client, retries };
}

const orderCount = async (client: Client): Promise<number> =>
  (await client.data('{ orders { totalCount } }')).orders.totalCount;

const streamOf = (text: string) =>
  new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(new TextEncoder().encode(text));
      controller.close();
    },
  });

test('a file in every form becomes a draft order', async () => {
  const { url } = await startServer();
  const client = createVirementClient({ url: `${url}/graphql` });
  const text = csvOf(3);
  const file = new File([text], 'zoë & co.csv');
  const forms = [text, new TextEncoder().encode(text), new Blob([text]), streamOf(text)];

  const { orders, replayed } = await client.importFile(file, OF_ACME);
  expect(replayed).toBe(false);
  expect(orders).toEqual([
    {
      id: expect.any(String),
      name: null,
      status: 'DRAFT',
      source: 'CSV',
      fileName: 'zoë & co.csv',
      rowCount: 3,
      problemCount: 0,
      totalAmount: { amount: '3.00', currency: 'EUR' },
    },
  ]);
  for (const form of forms) {
    const result = await client.importFile(form, { ...OF_ACME, fileName: 'payroll.csv' });
    expect(result.orders).toMatchObject([{ fileName: 'payroll.csv', rowCount: 3 }]);
  }
  const named = await client.importFile(pain001Of([ACME, ACME], 2), { format: 'PAIN_001' });
  expect(named.orders).toMatchObject([{ name: 'Part 0' }, { name: 'Part 1' }]);
});

test.each([
  ['text', () => csvOf(12_000), true],
  ['a stream', () => streamOf(csvOf(12_000)), false],
] as const)('%s is imported with its progress', async (_form, make, isLengthKnown) => {
  const { url } = await startServer();
  const client = createVirementClient({ url: `${url}/graphql` });
  const bytesTotal = csvOf(12_000).length;
  const seen: Progress[] = [];

  const { orders } = await client.importFile(make(), {
    ...OF_ACME,
    onProgress: (progress) => seen.push(progress),
  });

  const uploading = seen.filter(({ phase }) => phase === 'uploading');
  const total = isLengthKnown ? { bytesTotal } : {};
  expect(uploading[0]).toEqual({ phase: 'uploading', ...total });
  expect(uploading.at(-1)).toEqual({ phase: 'uploading', bytesSent: bytesTotal, ...total });
  expect(uploading.length).toBeGreaterThan(5);
  const orderIds = orders.map(({ id }) => id);
  expect(seen.filter(({ phase }) => phase === 'reading')).toEqual(
    [0, 5_000, 10_000, 12_000].map((rowsDone) => ({
      phase: 'reading',
      rowsDone,
      rowsTotal: 12_000,
      orderIds,
    })),
  );
});

test('a file that cannot be read is refused with its problems, and an unknown account by its code', async () => {
  const { server, client, retries } = await startBehindProxy();

  await expect(client.importFile('a,b\n1,2\n', OF_ACME)).rejects.toMatchObject({
    name: 'VirementError',
    code: 'INVALID_INPUT',
    status: 422,
    isOutcomeUnknown: false,
    problems: expect.arrayContaining([
      { field: expect.any(String), code: 'MISSING_COLUMN', message: expect.any(String) },
    ]),
  });
  await expect(client.importFile(csvOf(1), { account: ibanOf(1) })).rejects.toMatchObject({
    code: 'ACCOUNT_NOT_FOUND',
    status: 404,
    problems: [],
  });
  expect(retries).toEqual([]);
  expect(await orderCount(server.client)).toBe(0);
});

test.each(['before', 'sent', 'answered'] as const)(
  'a file is imported once even if its connection is cut when it is %s',
  async (moment) => {
    const { server, proxy, client, retries } = await startBehindProxy();
    const cut = proxy.cutAt('POST /imports', moment);

    const { orders } = await client.importFile(csvOf(3), OF_ACME);
    await cut;

    expect(orders).toMatchObject([{ rowCount: 3 }]);
    expect(retries[0]).toBe('NETWORK_ERROR');
    // The server removes the order of an import whose client disconnected.
    await expect.poll(() => orderCount(server.client)).toBe(1);
  },
);

test('a file whose outcome stays unknown gives an error with its key, which finds its orders', async () => {
  const { server, proxy, client } = await startBehindProxy();
  const first = await client.importFile(csvOf(3), { ...OF_ACME, idempotencyKey: 'november' });
  void proxy.cutAt('POST /imports', 'sent');

  const error = await client
    .importFile(csvOf(3), { ...OF_ACME, idempotencyKey: 'november', attemptsMax: 1 })
    .catch((thrown) => thrown);

  expect(error).toMatchObject({ code: 'NETWORK_ERROR', isOutcomeUnknown: true });
  expect(error.message).toContain('import it again with the same key');
  const { idempotencyKey } = error;
  expect(await client.importFile(csvOf(3), { ...OF_ACME, idempotencyKey })).toEqual({
    orders: first.orders,
    replayed: true,
  });
  expect(await orderCount(server.client)).toBe(1);
  await expect(client.importFile(csvOf(4), { ...OF_ACME, idempotencyKey })).rejects.toMatchObject({
    code: 'IDEMPOTENCY_KEY_REUSED',
    isOutcomeUnknown: false,
  });
});

/** Starts a gateway that gives the listed answers in turn, and then passes requests on. */
async function startGateway(target: string, answers: readonly object[]) {
  const left = [...answers];
  const gateway = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const own = left.shift() as { status: number } | undefined;
    if (own) {
      response.writeHead(own.status, { 'content-type': 'application/json' });
      return response.end(JSON.stringify(own));
    }
    const answer = await fetch(`${target}${request.url}`, {
      method: 'POST',
      headers: {
        accept: request.headers.accept ?? '',
        'content-type': request.headers['content-type'] ?? '',
        'idempotency-key': String(request.headers['idempotency-key']),
      },
      body: Buffer.concat(chunks),
    });
    response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? '' });
    response.end(Buffer.from(await answer.arrayBuffer()));
  }).listen(0, '127.0.0.1');
  await once(gateway, 'listening');
  onTestFinished(() => {
    gateway.closeAllConnections();
    gateway.close();
  });
  return `http://127.0.0.1:${(gateway.address() as AddressInfo).port}/graphql`;
}

test('a file is sent again after a 503 and while the same file is imported, but a stream is not', async () => {
  const server = await startServer();
  const refusals = [
    { status: 503, errors: [{ message: 'Away.', extensions: { code: 'UNAVAILABLE' } }] },
    { status: 409, errors: [{ message: 'Soon.', extensions: { code: 'IMPORT_IN_PROGRESS' } }] },
    { status: 429, errors: [{ message: 'Wait.', extensions: { code: 'TOO_MANY_IMPORTS' } }] },
  ];
  const retries: string[] = [];
  const client = createVirementClient({
    url: await startGateway(server.url, refusals),
    onRetry: ({ code }) => retries.push(code),
  });

  const { orders } = await client.importFile(csvOf(2), OF_ACME);

  expect(orders).toMatchObject([{ rowCount: 2 }]);
  expect(retries).toEqual(['UNAVAILABLE', 'IMPORT_IN_PROGRESS', 'TOO_MANY_IMPORTS']);
  const other = createVirementClient({ url: await startGateway(server.url, refusals) });
  await expect(other.importFile(streamOf(csvOf(2)), OF_ACME)).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    isOutcomeUnknown: false,
  });
  expect(await orderCount(server.client)).toBe(1);
});

test('an import that is aborted makes no order that can be submitted, and may be sent again', async () => {
  const { server, client } = await startBehindProxy({ LOG_LEVEL: 'info' });
  const aborting = new AbortController();
  const onProgress = ({ rowsDone = 0 }: Progress) => {
    if (rowsDone > 0) aborting.abort();
  };

  const error = await client
    .importFile(csvOf(40_000), { ...OF_ACME, onProgress, signal: aborting.signal })
    .catch((thrown) => thrown);
  const { idempotencyKey } = error;
  expect(error).toMatchObject({ code: 'ABORTED', idempotencyKey: expect.any(String) });
  await expect(
    client.importFile(csvOf(1), { ...OF_ACME, signal: AbortSignal.abort() }),
  ).rejects.toMatchObject({ code: 'ABORTED' });

  await expect
    .poll(() => server.log.filter(({ msg }) => msg === 'Import'))
    .toEqual([expect.objectContaining({ outcome: 'ABANDONED' })]);
  // The server removes the order soon.
  const { orders } = await server.client.data('{ orders { nodes { id } } }');
  for (const { id } of orders.nodes) {
    expect(await submitOrder(server.client, id)).toMatchObject({
      __typename: 'OrderStateConflict',
    });
  }
  const again = { ...OF_ACME, idempotencyKey, attemptsMax: 1 };
  expect(await client.importFile(csvOf(40_000), again)).toMatchObject({
    orders: [{ rowCount: 40_000 }],
    replayed: false,
  });
});
