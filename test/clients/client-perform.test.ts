import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createVirementClient } from '@virement/client';
import { expect, onTestFinished, test } from 'vitest';
import { ACME, aBulk, aTransfer, ibanOf } from '../support/builders.js';
import { startIdentityProvider } from '../support/identity-provider.js';
import { portOf, startProxy } from '../support/proxy.js';
import { startServer } from '../support/server.js';

const ONE = aBulk([aTransfer({ amount: '1.00' })]) as Parameters<
  ReturnType<typeof createVirementClient>['perform']
>[0];

async function startBehindProxy() {
  const server = await startServer();
  const proxy = await startProxy({ host: '127.0.0.1', port: portOf(server.url) });
  const retries: string[] = [];
  const client = createVirementClient({
    url: `http://127.0.0.1:${proxy.port}/graphql`,
    onRetry: ({ code }) => retries.push(code),
  });
  return { server, proxy, client, retries };
}

test.each([
  ['before', false],
  // The client cannot know whether the server received the request.
  ['sent', expect.any(Boolean)],
  ['answered', true],
] as const)(
  'a bulk is performed once even if its connection is cut when it is %s',
  async (moment, replayed) => {
    const { server, proxy, client, retries } = await startBehindProxy();
    const cut = proxy.cutAt('performBulkTransfer', moment);

    const result = await client.perform(ONE);
    await cut;

    expect(result).toMatchObject({
      __typename: 'BulkTransferPerformed',
      replayed,
      bulkTransfer: { idempotencyKey: expect.any(String), totalAmount: { amount: '1.00' } },
    });
    expect(retries).toEqual(['NETWORK_ERROR']);
    expect(await server.client.balance(ACME)).toBe('99999.00');
  },
);

test('a bulk whose outcome stays unknown gives an error with its idempotency key', async () => {
  const { server, proxy, client } = await startBehindProxy();
  void proxy.cutAt('performBulkTransfer', 'answered');

  const error = await client.perform(ONE, { attemptsMax: 1 }).catch((thrown) => thrown);

  expect(error).toMatchObject({ code: 'NETWORK_ERROR', isOutcomeUnknown: true });
  expect(await client.perform(ONE, { key: error.idempotencyKey })).toMatchObject({
    replayed: true,
  });
  expect(await server.client.balance(ACME)).toBe('99999.00');
});

test('a definite answer is returned at once', async () => {
  const { client, retries } = await startBehindProxy();
  const key = 'payroll-1';
  await client.perform(ONE, { key });

  const results = [
    await client.perform({ ...ONE, creditTransfers: [] }),
    await client.perform({ ...ONE, organizationIban: ibanOf(1) }),
    await client.perform(
      { ...ONE, creditTransfers: ONE.creditTransfers.concat(ONE.creditTransfers) },
      { key },
    ),
    await client.perform(aBulk([aTransfer({ amount: '100000.00' })]) as typeof ONE),
  ];

  expect(results.map(({ __typename }) => __typename)).toEqual([
    'InvalidBulkTransfer',
    'AccountNotFound',
    'IdempotencyKeyReused',
    'InsufficientFunds',
  ]);
  expect(results[2]).toMatchObject({ existingBulkTransfer: { idempotencyKey: key } });
  expect(retries).toEqual([]);
});

test('a bulk waits for its rate limit and fails with RATE_LIMITED if that lasts', async () => {
  const { url } = await startServer({
    RATE_LIMIT_COST_PER_SECOND: '2',
    RATE_LIMIT_BURST: '14',
    OPERATION_COST_MAX: '14',
  });
  const retries: [string, number][] = [];
  const client = createVirementClient({
    url: `${url}/graphql`,
    onRetry: ({ code, retryAfterMs = 0 }, delayMs) =>
      retries.push([code, Math.sign(delayMs - retryAfterMs)]),
  });
  const results = [await client.perform(ONE), await client.perform(ONE)];
  const refused = await client.perform(ONE, { attemptsMax: 1 }).catch((error) => error);

  expect(results.map(({ __typename }) => __typename)).toEqual([
    'BulkTransferPerformed',
    'BulkTransferPerformed',
  ]);
  // A retry never comes earlier than the server says.
  expect(retries).not.toEqual([]);
  expect(retries.filter(([code, sign]) => code !== 'RATE_LIMITED' || sign < 0)).toEqual([]);
  expect(refused).toMatchObject({ code: 'RATE_LIMITED', isOutcomeUnknown: false });
});

test('a refused token is replaced once', async () => {
  const provider = await startIdentityProvider();
  const { client: anyone, url } = await startServer(provider.env);
  const operator = anyone.as(await provider.token({ roles: ['operator'] }));
  const { accounts } = await operator.data('{ accounts { nodes { iban organizationId } } }');
  const org = accounts.nodes.find(({ iban }: { iban: string }) => iban === ACME).organizationId;
  const right = await provider.token({ org, roles: ['initiator'] });
  const tokens = ['expired', right, 'wrong', 'wrong', right];
  const client = createVirementClient({
    url: `${url}/graphql`,
    token: () => tokens.shift() ?? '',
  });

  expect(await client.perform(ONE)).toMatchObject({ __typename: 'BulkTransferPerformed' });
  await expect(client.perform(ONE)).rejects.toMatchObject({
    code: 'UNAUTHENTICATED',
    isOutcomeUnknown: false,
  });
  expect(tokens).toEqual([right]);
  const viewer = createVirementClient({
    url: `${url}/graphql`,
    token: await provider.token({ org }),
  });
  await expect(viewer.perform(ONE)).rejects.toMatchObject({ code: 'FORBIDDEN' });
});

/** Starts a gateway between client and server that gives the listed answers in turn, and then passes requests on. */
async function startGateway(
  answers: readonly { readonly status: number; readonly body: string }[],
) {
  const { client: direct } = await startServer();
  const left = [...answers];
  const gateway = createServer(async (request, response) => {
    const own = left.shift();
    if (own) return response.writeHead(own.status).end(own.body);
    let body = '';
    for await (const chunk of request) body += chunk;
    const answer = await direct.post(body);
    response.setHeader('content-type', 'application/json').end(await answer.text());
  }).listen(0, '127.0.0.1');
  await once(gateway, 'listening');
  onTestFinished(() => {
    gateway.closeAllConnections();
    gateway.close();
  });
  const { port } = gateway.address() as AddressInfo;
  return createVirementClient({ url: `http://127.0.0.1:${port}/graphql` });
}

test('a request that a proxy answers is retried if the status allows it', async () => {
  const body = '<html>The gateway has a problem</html>';
  const failing = await startGateway([502, 503].map((status) => ({ status, body })));
  const wrong = await startGateway([{ status: 404, body }]);

  expect(await failing.perform(ONE)).toMatchObject({ __typename: 'BulkTransferPerformed' });
  await expect(wrong.perform(ONE)).rejects.toMatchObject({
    code: 'HTTP_ERROR',
    status: 404,
    isOutcomeUnknown: false,
  });
});

test('a bulk on a busy account is retried, and its result is AccountBusy if the account stays busy and nothing is in doubt', async () => {
  const busy = {
    status: 200,
    body: JSON.stringify({
      data: {
        performBulkTransfer: {
          __typename: 'AccountBusy',
          code: 'ACCOUNT_BUSY',
          message: 'Busy.',
          retryable: true,
        },
      },
    }),
  };
  const passing = await startGateway([busy, busy]);
  const lasting = await startGateway([busy, busy]);
  const doubtful = await startGateway([{ status: 504, body: '' }, busy]);

  expect(await passing.perform(ONE)).toMatchObject({ __typename: 'BulkTransferPerformed' });
  expect(await lasting.perform(ONE, { attemptsMax: 2 })).toMatchObject({
    __typename: 'AccountBusy',
  });
  // The first attempt may be the one that keeps the account busy.
  await expect(doubtful.perform(ONE, { attemptsMax: 2 })).rejects.toMatchObject({
    code: 'ACCOUNT_BUSY',
    isOutcomeUnknown: true,
    idempotencyKey: expect.any(String),
  });
});

test('an aborted bulk gives an error with its key', async () => {
  const { client } = await startBehindProxy();
  const aborted = AbortSignal.abort();

  await expect(client.perform(ONE, { signal: aborted, key: 'k' })).rejects.toMatchObject({
    code: 'ABORTED',
    idempotencyKey: 'k',
  });
});
