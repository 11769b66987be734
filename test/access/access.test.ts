import { randomUUID } from 'node:crypto';
import { request } from 'node:http';
import { connect } from 'node:net';
import { createClient } from 'graphql-ws';
import { UnsecuredJWT } from 'jose';
import { expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { ApiKey } from '../../src/entities/api-key.entity.js';
import { MikroOrmApiKeys } from '../../src/infrastructure/ledger/api-keys.js';
import { ACME, aBulk, aTransfer, GLOBEX } from '../support/builders.js';
import type { Client } from '../support/client.js';
import { startIdentityProvider, startJwksProvider } from '../support/identity-provider.js';
import { startServer } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';
import { DIALECT } from '../support/test-database.js';

const ACCOUNTS = '{ accounts { nodes { iban organizationId } } }';
const BALANCE = `subscription { balanceUpdated(accountIban: "${ACME}") { balance { amount } } }`;

const CREATE_KEY = `mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) {
  ... on ApiKeyCreated { apiKey { roles organizationIds createdBy } }
  ... on InvalidInput { problems { field code message } } } }`;

/** Starts a server with authentication, and makes tokens for the demo companies. */
async function startGuarded(algorithm?: string) {
  const provider = await startIdentityProvider(algorithm);
  const server = await startServer(provider.env);
  const operator = await provider.token({ sub: 'teller', roles: ['operator'] });
  const { accounts } = await server.client.as(operator).data(ACCOUNTS);
  const organizationOf = (iban: string): string =>
    accounts.nodes.find((account: { iban: string }) => account.iban === iban).organizationId;
  const acme = organizationOf(ACME);
  const globex = organizationOf(GLOBEX);
  return { ...server, provider, operator, acme, globex };
}

const codesOf = async (client: Client, query: string, variables = {}) => {
  const { status, errors = [] } = await client.send(query, variables);
  return [status, ...errors.map(({ extensions }) => extensions.code)];
};

test('a request without a credential is told only how to authenticate', async () => {
  const { client, url } = await startGuarded();

  const response = await client.post(JSON.stringify({ query: '{ __typename }' }));
  expect([response.status, response.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
  expect(await response.json()).toMatchObject({
    errors: [{ extensions: { code: 'UNAUTHENTICATED' } }],
  });
  expect((await fetch(`${url}/graphql?query={__typename}`)).status).toBe(401);
  expect((await fetch(`${url}/graphql/stream?query={__typename}`)).status).toBe(401);
  expect((await fetch(`${url}/metrics`)).status).toBe(401);
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
});

test.each(['RS256', 'ES256', 'EdDSA'])(
  'a token that is signed by %s is accepted',
  async (algorithm) => {
    const { client, provider, acme } = await startGuarded(algorithm);
    const token = await provider.token({ org: acme });

    expect(await client.as(token).balance(ACME)).toBe('100000.00');
  },
);

test('organizations and roles are found in nested claims, and ids may be in capitals', async () => {
  const provider = await startIdentityProvider();
  const server = await startServer({
    ...provider.env,
    AUTH_ROLES_CLAIM: 'realm_access.roles',
    AUTH_ORG_CLAIM: 'https://bank.example/tenants',
  });
  const bank = server.client.as(
    await provider.token({ roles: [], realm_access: { roles: ['operator'] } }),
  );
  const { accounts } = await bank.data(ACCOUNTS);
  const { organizationId } = accounts.nodes.find(({ iban }: { iban: string }) => iban === ACME);
  const initiator = server.client.as(
    await provider.token({
      realm_access: { roles: ['initiator'] },
      'https://bank.example/tenants': [organizationId.toUpperCase()],
    }),
  );

  expect(await initiator.perform(aBulk([aTransfer()]))).toMatchObject({
    __typename: 'BulkTransferPerformed',
  });
});

test('an id in capitals names the same object as in small letters', async () => {
  const { client, operator, acme } = await startGuarded();
  const bank = client.as(operator);
  const { createApiKey } = await bank.data(CREATE_KEY, {
    input: { name: 'x', organizationIds: [acme, acme.toUpperCase()], roles: ['INITIATOR'] },
  });
  const { account } = await bank.data(
    `{ account(iban: "${ACME}") { id entries(first: 1) { nodes { id } } } }`,
  );
  const { openAccount } = await bank.data(
    `mutation ($input: OpenAccountInput!) { openAccount(input: $input) {
      ... on AccountOpened { account { organizationId } } ... on InvalidInput { problems { field } } } }`,
    {
      input: {
        organizationId: acme.toUpperCase(),
        organizationName: 'ACME Corp',
        iban: 'NL91ABNA0417164300',
        bic: 'ABNANL2A',
      },
    },
  );

  expect(createApiKey.apiKey.organizationIds).toEqual([acme]);
  expect(openAccount.account?.organizationId ?? openAccount).toBe(acme);
  for (const id of [account.id, account.entries.nodes[0].id]) {
    const query = 'query ($id: ID!) { node(id: $id) { id } }';
    expect(await bank.data(query, { id: id.toUpperCase() })).toEqual({ node: { id } });
  }
});

test('a token with any fault is refused', async () => {
  const { client, provider, acme } = await startGuarded();
  const stranger = await startIdentityProvider();
  const right = await provider.token({ org: acme });
  const [head = '', body = '', signature = ''] = right.split('.');
  const unsigned = new UnsecuredJWT({ org: acme, roles: ['operator'] })
    .setSubject('x')
    .setIssuer('https://id.example')
    .setAudience('virement')
    .setExpirationTime('5m')
    .encode();

  for (const token of [
    await stranger.token({ org: acme }),
    await provider.token({ org: acme, iss: 'https://other.example' }),
    await provider.token({ org: acme, aud: 'other' }),
    await provider.token({ org: acme }, '-31s'),
    `${head}.${Buffer.from('{"sub":"x","roles":["operator"]}').toString('base64url')}.${signature}`,
    `${head}.${body}.`,
    unsigned,
    'rubbish',
    'vmt_0123456789ab_0123456789012345678901234567890123456789012',
  ]) {
    expect([token, await codesOf(client.as(token), '{ __typename }')]).toEqual([
      token,
      [401, 'UNAUTHENTICATED'],
    ]);
  }
  // The clocks may differ by half a minute.
  expect(await codesOf(client.as(await provider.token({}, '-20s')), '{ __typename }')).toEqual([
    200,
  ]);
});

// The following tests are slow and do not depend on the database.
const testOnce = test.runIf(DIALECT === 'sqlite');

testOnce('keys rotate without a restart', async () => {
  const provider = await startJwksProvider();
  const { client } = await startServer(provider.env);
  const first = await provider.token({ roles: ['operator'] });
  expect(await codesOf(client.as(first), ACCOUNTS)).toEqual([200]);

  await provider.rotate();

  // The server requests a provider's keys at most once in ten seconds, whatever tokens arrive.
  const second = await provider.token({ roles: ['operator'] });
  await expect
    .poll(() => codesOf(client.as(second), ACCOUNTS), { timeout: 25_000, interval: 500 })
    .toEqual([200]);
});

testOnce('a provider that is away is no fault of the token', async () => {
  const provider = await startJwksProvider();
  const { client } = await startServer(provider.env);
  const token = await provider.token({ roles: ['operator'] });
  provider.setDown(true);

  const away = await client.as(token).post(JSON.stringify({ query: '{ __typename }' }));
  expect([away.status, away.headers.get('retry-after')]).toEqual([503, '5']);
  expect(await away.json()).toMatchObject({ errors: [{ extensions: { code: 'UNAVAILABLE' } }] });

  provider.setDown(false);
  await expect.poll(() => codesOf(client.as(token), ACCOUNTS)).toEqual([200]);
});

test('a caller sees and debits only the accounts of its own organizations', async () => {
  const { client, provider, acme, globex } = await startGuarded();
  const initiator = client.as(await provider.token({ org: acme, roles: ['initiator'] }));
  const both = client.as(await provider.token({ org: [acme, globex], roles: ['initiator'] }));

  expect((await initiator.data(ACCOUNTS)).accounts.nodes).toEqual([
    { iban: ACME, organizationId: acme },
  ]);
  expect((await both.data(ACCOUNTS)).accounts.nodes).toHaveLength(2);
  expect(await initiator.perform(aBulk([aTransfer()]))).toMatchObject({
    __typename: 'BulkTransferPerformed',
  });
  expect(
    await initiator.perform({ organizationIban: GLOBEX, creditTransfers: [aTransfer()] }),
  ).toMatchObject({
    __typename: 'AccountNotFound',
    message: 'No account of this server has this IBAN.',
  });
});

test("an operation that the caller's role does not include is forbidden and has no effect", async () => {
  const { client, provider, operator, acme } = await startGuarded();
  const viewer = client.as(await provider.token({ org: acme, roles: ['viewer'] }));
  const initiator = client.as(await provider.token({ org: acme, roles: ['initiator'] }));
  const nobody = client.as(await provider.token({ org: acme, roles: [] }));
  const perform = `mutation { performBulkTransfer(input: { organizationIban: "${ACME}", creditTransfers: [] }) { __typename } }`;
  const credit = `mutation { creditAccount(input: { iban: "${ACME}", amount: "1", description: "" }) { __typename } }`;
  const open =
    'mutation { openAccount(input: { organizationName: "X", iban: "NL91ABNA0417164300", bic: "ABNANL2A" }) { __typename } }';
  const operatorsOnly = [
    credit,
    open,
    'mutation { createApiKey(input: { name: "x", organizationIds: [], roles: [VIEWER] }) { __typename } }',
    'mutation { revokeApiKey(prefix: "x") { prefix } }',
    'mutation { retryOutboxMessage(id: "x") }',
    'mutation { replayDeadLetters(ids: ["x"]) { count } }',
    'mutation { discardDeadLetters(ids: ["x"], reason: "x") { count } }',
    '{ deadLetters { nodes { id } } }',
    '{ outbox { due } }',
    '{ auditLog { nodes { id } } }',
    '{ apiKeys { nodes { prefix } } }',
  ];

  for (const query of operatorsOnly) {
    expect([query, await codesOf(viewer, query), await codesOf(initiator, query)]).toEqual([
      query,
      [200, 'FORBIDDEN'],
      [200, 'FORBIDDEN'],
    ]);
  }
  expect(await codesOf(viewer, perform)).toEqual([200, 'FORBIDDEN']);
  expect(await codesOf(client.as(operator), perform)).toEqual([200, 'FORBIDDEN']);
  expect(await viewer.balance(ACME)).toBe('100000.00');
  expect(await nobody.data(`{ account(iban: "${ACME}") { id } }`)).toEqual({ account: null });
});

test('an operator without the role of an initiator cannot send money, whatever it can read', async () => {
  const { client, provider, acme } = await startGuarded();
  const both = client.as(await provider.token({ org: acme, roles: ['operator', 'initiator'] }));

  expect(
    await both.perform({ organizationIban: GLOBEX, creditTransfers: [aTransfer()] }),
  ).toMatchObject({ __typename: 'AccountNotFound' });
  expect(await both.balance(GLOBEX)).toBe('250000.00');
});

test('a machine authenticates with its key until the key is revoked', async () => {
  const { client, operator, acme, database } = await startGuarded();
  const bank = client.as(operator);
  const { createApiKey } = await bank.data(
    `mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) {
      ... on ApiKeyCreated { secret apiKey { prefix name roles organizationIds revokedAt } } } }`,
    { input: { name: 'payroll', organizationIds: [acme], roles: ['INITIATOR'] } },
  );
  const { secret, apiKey } = createApiKey;
  const machine = client.as(secret);

  expect(apiKey).toMatchObject({ name: 'payroll', roles: ['INITIATOR'], revokedAt: null });
  expect(await machine.perform(aBulk([aTransfer()]))).toMatchObject({
    __typename: 'BulkTransferPerformed',
  });
  const wrong = `${secret.slice(0, -1)}${secret.endsWith('A') ? 'B' : 'A'}`;
  expect(await codesOf(client.as(wrong), '{ __typename }')).toEqual([401, 'UNAUTHENTICATED']);
  const { apiKeys } = await bank.data('{ apiKeys { nodes { prefix name createdBy } } }');
  expect(apiKeys.nodes).toEqual([{ prefix: apiKey.prefix, name: 'payroll', createdBy: 'teller' }]);
  const [row] = await database.orm.em.fork().execute('select * from api_key');
  const [, hidden] = secret.split(`${apiKey.prefix}_`);
  expect(hidden).toHaveLength(43);
  expect(JSON.stringify(row)).not.toContain(hidden);

  await bank.data(`mutation { revokeApiKey(prefix: "${apiKey.prefix}") { revokedAt } }`);
  await expect
    .poll(() => codesOf(machine, '{ __typename }'), { timeout: 15_000, interval: 500 })
    .toEqual([401, 'UNAUTHENTICATED']);
});

testOnce('a key ends at its expiry, also in streams; its last use is on record', async () => {
  const { client, url, operator, acme } = await startGuarded();
  const bank = client.as(operator);
  const create = `mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) {
    ... on ApiKeyCreated { secret apiKey { expiresAt lastUsedAt } }
    ... on InvalidInput { problems { field code } } } }`;
  const input = { name: 'x', organizationIds: [acme], roles: ['VIEWER'] };
  for (const expiresAt of ['2020-01-01T00:00:00Z', '+010000-01-01T00:00:00.000Z']) {
    const { status, data } = await bank.send(create, { input: { ...input, expiresAt } });
    expect(status === 400 || data.createApiKey.problems).toSatisfy(
      (refused) => refused === true || refused[0].field === 'expiresAt',
    );
  }
  const expiresAt = new Date(Date.now() + 10_000).toISOString();
  const { createApiKey } = await bank.data(create, { input: { ...input, expiresAt } });
  const startedAt = Date.now();
  const subscriber = subscribe(url, BALANCE, {}, createApiKey.secret);
  await expect.poll(() => subscriber.events.length).toBe(1);

  expect(createApiKey.apiKey).toEqual({ expiresAt, lastUsedAt: null });
  const lastUse = async () => {
    const { apiKeys } = await bank.data('{ apiKeys { nodes { lastUsedAt } } }');
    return Date.parse(apiKeys.nodes[0].lastUsedAt);
  };
  await expect.poll(lastUse).toBeGreaterThan(startedAt - 1_000);
  await expect.poll(() => subscriber.closeCodes).toEqual([4403]);
  expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(expiresAt));
  expect(await codesOf(client.as(createApiKey.secret), '{ __typename }')).toEqual([
    401,
    'UNAUTHENTICATED',
  ]);
});

test('the use of a key is written once an hour', async () => {
  const { client, operator, acme, database } = await startGuarded();
  const input = { name: 'x', organizationIds: [acme], roles: ['VIEWER'] };
  await client.as(operator).data(CREATE_KEY, { input });
  const em = database.orm.em.fork();
  const { id } = await em.findOneOrFail(ApiKey, { name: 'x' });
  const keys = new MikroOrmApiKeys(database.orm, () => new Date(), randomUUID);
  const at = new Date();
  const use = async (minutes: number) => {
    const time = new Date(at.getTime() + minutes * 60_000);
    await keys.noteUse(id, time, new Date(time.getTime() - 3_600_000));
    const { lastUsedAt } = await em.fork().findOneOrFail(ApiKey, { id });
    return ((lastUsedAt?.getTime() ?? 0) - at.getTime()) / 60_000;
  };

  expect([await use(0), await use(59), await use(60)]).toEqual([0, 0, 60]);
});

test('a key without a name, without roles or for an invalid organization is refused', async () => {
  const { client, operator } = await startGuarded();
  const { createApiKey } = await client.as(operator).data(
    `mutation { createApiKey(input: { name: " ", organizationIds: ["x"], roles: [] }) {
      ... on InvalidInput { problems { field code } } } }`,
  );

  expect(createApiKey.problems).toEqual([
    { field: 'name', code: 'REQUIRED' },
    { field: 'roles', code: 'TOO_FEW' },
    { field: 'organizationIds', code: 'MISMATCH' },
  ]);
});

test('repeated roles and organizations of a key are stored once', async () => {
  const { client, operator, acme } = await startGuarded();
  const input = {
    name: 'x',
    organizationIds: [acme, acme],
    roles: ['VIEWER', 'INITIATOR', 'VIEWER'],
  };

  const { createApiKey } = await client.as(operator).data(CREATE_KEY, { input });

  expect(createApiKey.apiKey).toMatchObject({
    organizationIds: [acme],
    roles: ['VIEWER', 'INITIATOR'],
  });
});

test('a key with too many roles or organizations is refused', async () => {
  const { client, operator, acme } = await startGuarded();
  const input = {
    name: 'x',
    organizationIds: Array.from({ length: 101 }, () => acme),
    roles: Array.from({ length: 20_000 }, () => 'VIEWER'),
  };

  const { createApiKey } = await client.as(operator).data(CREATE_KEY, { input });

  expect(createApiKey.problems).toMatchObject([
    { field: 'roles', code: 'TOO_MANY' },
    { field: 'organizationIds', code: 'TOO_MANY' },
  ]);
});

test('a key for an organization that does not exist is refused', async () => {
  const { client, operator, acme } = await startGuarded();
  const unknown = '01900000-0000-7000-8000-000000000001';
  const other = '01900000-0000-7000-8000-000000000002';
  const input = { name: 'x', organizationIds: [acme, unknown, other], roles: ['VIEWER'] };

  const { createApiKey } = await client.as(operator).data(CREATE_KEY, { input });

  expect(createApiKey.problems).toEqual([
    { field: 'organizationIds', code: 'MISMATCH', message: expect.stringContaining(unknown) },
  ]);
});

test('the longest subject that a token may have is stored whole', async () => {
  const { client, provider, acme } = await startGuarded();
  const sub = `${'s'.repeat(254)}😀`;
  const bank = client.as(await provider.token({ sub, roles: ['operator'] }));
  const input = { name: 'n'.repeat(140), organizationIds: [acme], roles: ['VIEWER'] };

  const { createApiKey } = await bank.data(CREATE_KEY, { input });
  const { auditLog } = await bank.data('{ auditLog(first: 1) { nodes { actor } } }');

  expect(createApiKey.apiKey.createdBy).toBe(sub);
  expect(auditLog.nodes).toEqual([{ actor: sub }]);
});

test.each([
  ['is longer than 255 characters', 's'.repeat(256)],
  ['is empty', ''],
  ['is a number', 7],
  ['ends with half a surrogate pair', 'a\ud83d'],
])('a token whose subject %s is refused', async (_, sub) => {
  const { client, provider } = await startGuarded();
  const token = await provider.token({ sub: sub as string, roles: ['operator'] });

  expect(await codesOf(client.as(token), ACCOUNTS)).toEqual([401, 'UNAUTHENTICATED']);
});

test('a text that is not a prefix of a key revokes no key', async () => {
  const { client, operator, acme } = await startGuarded();
  const bank = client.as(operator);
  const { createApiKey } = await bank.data(
    `mutation { createApiKey(input: { name: "x", organizationIds: ["${acme}"], roles: [VIEWER] }) {
      ... on ApiKeyCreated { apiKey { prefix } } } }`,
  );
  const { prefix } = createApiKey.apiKey;

  for (const other of [`${prefix} `, prefix.toUpperCase().padEnd(10_000, 'A'), '\ud83d']) {
    const revoke = 'mutation ($prefix: String!) { revokeApiKey(prefix: $prefix) { prefix } }';
    expect(await bank.data(revoke, { prefix: other })).toEqual({ revokeApiKey: null });
  }
});

test('the audit log has every mutation, refused ones too', async () => {
  const { client, provider, operator, acme } = await startGuarded();
  const initiator = client.as(
    await provider.token({ sub: 'ann', org: acme, roles: ['initiator'] }),
  );
  const viewer = client.as(await provider.token({ sub: 'bob', org: acme }));
  const { bulkTransfer } = await initiator.perform(aBulk([aTransfer()], { idempotencyKey: 'k' }));
  await initiator.perform(aBulk([aTransfer()], { idempotencyKey: 'k' }));
  await initiator.perform(aBulk([aTransfer({ amount: '900000' })]));
  await viewer.send(
    `mutation { performBulkTransfer(input: { organizationIban: "${ACME}", creditTransfers: [] }) { __typename } }`,
  );

  const { auditLog } = await client
    .as(operator)
    .data(
      '{ auditLog(first: 4) { nodes { action outcome actor actorKind remoteAddress requestId subjectId } } }',
    );
  const entry = { action: 'performBulkTransfer', actorKind: 'token', remoteAddress: '127.0.0.1' };
  expect(auditLog.nodes).toMatchObject([
    { ...entry, outcome: 'FORBIDDEN', actor: 'bob', subjectId: null },
    { ...entry, outcome: 'INSUFFICIENT_FUNDS', actor: 'ann', subjectId: null },
    { ...entry, outcome: 'REPLAYED', actor: 'ann', subjectId: bulkTransfer.id },
    { ...entry, outcome: 'DONE', actor: 'ann', subjectId: bulkTransfer.id },
  ]);
  expect(
    new Set(auditLog.nodes.map(({ requestId }: { requestId: string }) => requestId)).size,
  ).toBe(4);
  const { auditLog: ofAccount } = await client
    .as(operator)
    .data(`{ auditLog(accountIban: "${ACME}") { nodes { outcome } } }`);
  expect(ofAccount.nodes).toEqual([
    { outcome: 'REPLAYED' },
    { outcome: 'DONE' },
    { outcome: 'DONE' },
  ]);
});

test('a WebSocket authenticates in its first message or is closed with 4403', async () => {
  const { url, provider, acme } = await startGuarded();
  const known = subscribe(url, BALANCE, {}, await provider.token({ org: acme }));
  const unknown = subscribe(url, BALANCE);
  const stranger = subscribe(url, BALANCE, {}, await provider.token({ org: [] }));

  await expect.poll(() => known.events.length).toBe(1);
  await expect.poll(() => unknown.closeCodes).toEqual([4403]);
  await expect
    .poll(() => stranger.errors)
    .toEqual([expect.objectContaining({ extensions: { code: 'ACCOUNT_NOT_FOUND' } })]);
});

testOnce('a WebSocket is closed with 4403 when its token expires, and a stream ends', async () => {
  const { url, provider, acme } = await startGuarded();
  // The server tolerates clocks that differ by half a minute.
  const token = await provider.token({ org: acme }, '-24s');
  const subscriber = subscribe(url, BALANCE, {}, token);
  const response = await fetch(`${url}/graphql/stream?query=${encodeURIComponent(BALANCE)}`, {
    headers: { authorization: `Bearer ${token}` },
  });
  await expect.poll(() => subscriber.events.length).toBe(1);

  await expect.poll(() => subscriber.closeCodes).toEqual([4403]);
  await expect(response.text()).rejects.toThrow();
});

testOnce('a subscription of graphql-ws outlives its token, by connectionParams alone', async () => {
  const { client, url, provider, acme } = await startGuarded();
  const initiator = client.as(await provider.token({ org: acme, roles: ['initiator'] }));
  const expiring = await provider.token({ org: acme }, '-24s');
  const fresh = await provider.token({ org: acme });
  // The application keeps a token for a while: the second one has expired already.
  const tokens = [expiring, expiring, fresh];
  const closeCodes: number[] = [];
  const balances: unknown[] = [];
  const application = createClient({
    url: `${url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: async () => ({ authorization: `Bearer ${tokens.shift()}` }),
    on: { closed: (event) => closeCodes.push((event as { code: number }).code) },
  });
  onTestFinished(async () => {
    await application.dispose();
  });
  let end: unknown = 'none';
  application.subscribe<{ balanceUpdated: { balance: { amount: string } } }>(
    { query: BALANCE },
    {
      next: ({ data }) => balances.push(data?.balanceUpdated.balance.amount),
      error: (error) => {
        end = error;
      },
      complete: () => {
        end = 'complete';
      },
    },
  );
  await expect.poll(() => balances).toEqual(['100000.00']);

  await expect.poll(() => tokens, { timeout: 60_000 }).toEqual([]);
  await expect.poll(() => balances).toEqual(['100000.00', '100000.00']);
  await initiator.perform(aBulk([aTransfer({ amount: '1' })]));

  await expect.poll(() => balances).toEqual(['100000.00', '100000.00', '99999.00']);
  expect(closeCodes).toEqual([4403, 4403]);
  expect(end).toBe('none');
});

testOnce('a client of graphql-ws with a wrong token gives up', async () => {
  const { url } = await startGuarded();
  const closeCodes: number[] = [];
  const application = createClient({
    url: `${url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: async () => ({ authorization: 'Bearer rubbish' }),
    retryAttempts: 2,
    on: { closed: (event) => closeCodes.push((event as { code: number }).code) },
  });
  const end = new Promise((resolve) => {
    application.subscribe(
      { query: BALANCE },
      { next: () => {}, error: resolve, complete: () => {} },
    );
  });

  expect(await end).toMatchObject({ code: 4403 });
  expect(closeCodes).toEqual([4403, 4403, 4403]);
});

testOnce('a subscription ends when access is withdrawn', async () => {
  const { client, url, operator, acme } = await startGuarded();
  const bank = client.as(operator);
  const { createApiKey } = await bank.data(
    `mutation { createApiKey(input: { name: "x", organizationIds: ["${acme}"], roles: [VIEWER] }) {
      ... on ApiKeyCreated { secret apiKey { prefix } } } }`,
  );
  const subscriber = subscribe(url, BALANCE, {}, createApiKey.secret);
  await expect.poll(() => subscriber.events.length).toBe(1);

  await bank.data(`mutation { revokeApiKey(prefix: "${createApiKey.apiKey.prefix}") { prefix } }`);

  await expect.poll(() => subscriber.closeCodes).toEqual([4403]);
});

testOnce('without authentication only the names of this machine are answered', async () => {
  const { url, startLog } = await startServer();
  const { port } = new URL(url);
  const statusFor = (headers: Record<string, string>) =>
    new Promise((resolve, reject) => {
      request(
        {
          host: '127.0.0.1',
          port,
          path: '/graphql?query={__typename}',
          headers: { 'apollo-require-preflight': 'x', ...headers },
        },
        (response) => {
          response.resume();
          resolve(response.statusCode);
        },
      )
        .on('error', reject)
        .end();
    });

  for (const host of ['127.0.0.1', 'localhost', `localhost:${port}`, `[::1]:${port}`]) {
    expect([host, await statusFor({ host })]).toEqual([host, 200]);
  }
  for (const host of [
    'evil.example',
    '127.0.0.1.evil.example',
    'localhost.evil.example',
    '10.0.0.1',
  ]) {
    expect([host, await statusFor({ host })]).toEqual([host, 403]);
  }
  expect(await statusFor({ origin: 'https://evil.example' })).toBe(403);
  expect(await statusFor({ origin: 'http://localhost:3000' })).toBe(200);
  expect(startLog).toMatchObject([{ level: 40, msg: expect.stringContaining('AUTH=off') }]);
});

testOnce('without authentication no WebSocket comes through another name', async () => {
  const { url } = await startServer();
  const { port } = new URL(url);
  const answerFor = (host: string) =>
    new Promise<string>((resolve) => {
      const socket = connect(Number(port), '127.0.0.1');
      socket.write(
        `GET /graphql HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n`,
      );
      socket.once('data', (data) => {
        resolve(String(data).split('\r\n')[0] ?? '');
        socket.destroy();
      });
    });

  expect(await answerFor('evil.example')).toContain('403');
  expect(await answerFor('localhost')).toContain('101');
});
