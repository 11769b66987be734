/** Webhooks as their companies manage them: what is refused, and who sees what. */
import { expect, test } from 'vitest';
import { ACME, GLOBEX, ibanOf } from '../support/builders.js';
import type { Client } from '../support/client.js';
import { startIdentityProvider } from '../support/identity-provider.js';
import { Receiver } from '../support/receiver.js';
import { startServer } from '../support/server.js';
import { change, registerWebhook } from '../support/webhooks.js';

const REGISTER = `mutation ($input: RegisterWebhookInput!) { registerWebhook(input: $input) {
  ... on WebhookRegistered { webhook { id } }
  ... on InvalidInput { problems { index field code } } } }`;
const UPDATE = `mutation ($input: UpdateWebhookInput!) { updateWebhook(input: $input) {
  ... on Webhook { id url events accountIbans description }
  ... on UserError { code } ... on InvalidInput { problems { index field code } } } }`;

const URL_OF_NOBODY = 'http://127.0.0.1:9/hook';

/** Registers a webhook. @returns the fields and codes of the problems */
async function problemsOf(client: Client, input: object) {
  const defaults = { url: URL_OF_NOBODY, events: ['TRANSFER_PERFORMED'], accountIbans: [ACME] };
  const { registerWebhook: answer } = await client.data(REGISTER, {
    input: { ...defaults, ...input },
  });
  return (answer.problems ?? []).map((problem: { index: number; field: string; code: string }) =>
    [problem.field, problem.code, problem.index].filter((part) => part !== null).join(' '),
  );
}

test('a wrong input is refused with all of its problems', async () => {
  const { client } = await startServer();

  for (const [input, problems] of [
    [{ url: 'ftp://example.com/' }, ['url INVALID_URL']],
    [{ url: 'http://example.com/' }, ['url INVALID_URL']],
    [{ url: `https://example.com/${'x'.repeat(2_000)}` }, ['url TOO_LONG']],
    [{ events: [] }, ['events TOO_FEW']],
    [{ accountIbans: [] }, ['accountIbans TOO_FEW', 'organizationId REQUIRED']],
    [
      { accountIbans: Array.from({ length: 101 }, (_, n) => ibanOf(n)) },
      ['accountIbans TOO_MANY', 'organizationId REQUIRED'],
    ],
    [{ accountIbans: [ACME, GLOBEX] }, ['accountIbans MISMATCH 1']],
    [{ accountIbans: [ibanOf(1)] }, ['organizationId REQUIRED']],
    [{ accountIbans: null }, ['organizationId REQUIRED']],
    [{ organizationId: 'x' }, ['organizationId MISMATCH', 'accountIbans MISMATCH 0']],
    [{ description: 'x'.repeat(141) }, ['description TOO_LONG']],
    [
      { url: 'x', events: [], description: '\u202e' },
      ['url INVALID_URL', 'events TOO_FEW', 'description INVALID_CHARACTERS'],
    ],
  ] as const) {
    expect([input, await problemsOf(client, input)]).toEqual([input, problems]);
  }
  expect(await client.data('{ webhooks { nodes { id } } }')).toEqual({ webhooks: { nodes: [] } });
});

test('a webhook of a server with authentication needs https', async () => {
  const { client, acme } = await startGuarded();

  expect(await problemsOf(acme(client), { url: 'http://127.0.0.1/' })).toEqual(['url INVALID_URL']);
  expect(await problemsOf(acme(client), { url: 'https://example.com/' })).toEqual([]);
});

test('an organization has 20 webhooks at most, also if all are registered at once', async () => {
  const { client } = await startServer();

  const answers = await Promise.all(
    Array.from({ length: 25 }, () => client.send(REGISTER, { input: aWebhook() })),
  );
  const registered = answers.filter(({ data }) => data?.registerWebhook.webhook);
  expect(registered.length).toBeLessThanOrEqual(20);
  while ((await problemsOf(client, {})).length === 0);

  expect(await problemsOf(client, {})).toEqual(['organizationId TOO_MANY']);
  const { webhooks } = await client.data('{ webhooks(first: 100) { nodes { id } } }');
  expect(webhooks.nodes).toHaveLength(20);
  await change(client, `deleteWebhook(id: "${webhooks.nodes[3].id}")`);
  expect(await problemsOf(client, {})).toEqual([]);
});

const aWebhook = () => ({
  url: URL_OF_NOBODY,
  events: ['TRANSFER_PERFORMED'],
  accountIbans: [ACME],
});

test('an update changes the fields that it names, and null takes an optional one away', async () => {
  const { client } = await startServer();
  const { id } = await registerWebhook(client, { url: URL_OF_NOBODY }, { description: 'Books' });
  const update = async (input: object) =>
    (await client.data(UPDATE, { input: { id, ...input } })).updateWebhook;
  const unchanged = {
    id,
    url: URL_OF_NOBODY,
    events: ['TRANSFER_PERFORMED'],
    accountIbans: [ACME],
    description: 'Books',
  };

  expect(await update({})).toEqual(unchanged);
  const events = ['ACCOUNT_CREDITED', 'TRANSFER_RECEIVED'];
  expect(await update({ events, url: 'http://localhost:1/' })).toEqual({
    ...unchanged,
    events,
    url: 'http://localhost:1/',
  });
  expect(await update({ accountIbans: null, description: null })).toMatchObject({
    accountIbans: null,
    description: null,
  });
  expect(await update({ accountIbans: [GLOBEX] })).toMatchObject({
    problems: [{ index: 0, field: 'accountIbans', code: 'MISMATCH' }],
  });
});

/** Starts a server with authentication. Each function makes a client act for a company or the bank. */
async function startGuarded() {
  const provider = await startIdentityProvider();
  const server = await startServer(provider.env);
  const operator = await provider.token({ sub: 'teller', roles: ['operator'] });
  const { accounts } = await server.client
    .as(operator)
    .data('{ accounts { nodes { iban organizationId } } }');
  const tokenOf = async (iban: string, roles: string[]) => {
    const { organizationId } = accounts.nodes.find(
      (account: { iban: string }) => account.iban === iban,
    );
    return provider.token({ org: organizationId, roles });
  };
  const [acme, globex, viewer] = await Promise.all([
    tokenOf(ACME, ['initiator']),
    tokenOf(GLOBEX, ['initiator']),
    tokenOf(ACME, ['viewer']),
  ]);
  return {
    ...server,
    provider,
    acme: (client: Client) => client.as(acme),
    globex: (client: Client) => client.as(globex),
    viewer: (client: Client) => client.as(viewer),
    operator: (client: Client) => client.as(operator),
  };
}

test('a company sees and changes its own webhooks alone; the bank sees all and changes none', async () => {
  const { client, acme, globex, viewer, operator } = await startGuarded();
  const { id } = await registerWebhook(acme(client), { url: 'https://example.com/hook' });
  const webhookIn = async (as: Client) => {
    const { data, errors } = await as.send(
      `{ webhook(id: "${id}") { id } node(id: "${id}") { id } webhooks { nodes { id } } }`,
    );
    if (errors) return errors[0]?.extensions.code;
    return [
      data.webhook?.id,
      data.node?.id,
      ...data.webhooks.nodes.map((node: { id: string }) => node.id),
    ];
  };

  expect(await webhookIn(acme(client))).toEqual([id, id, id]);
  expect(await webhookIn(operator(client))).toEqual([id, id, id]);
  expect(await webhookIn(globex(client))).toEqual([undefined, undefined]);
  expect(await webhookIn(viewer(client))).toBe('FORBIDDEN');
  for (const mutation of [
    `enableWebhook(id: "${id}")`,
    `disableWebhook(id: "${id}")`,
    `deleteWebhook(id: "${id}")`,
    `rotateWebhookSecret(id: "${id}")`,
    `sendTestEvent(webhookId: "${id}")`,
    `redeliverSince(webhookId: "${id}", since: "2026-01-01T00:00:00.000Z")`,
  ]) {
    expect(await change(globex(client), mutation)).toBe('WEBHOOK_NOT_FOUND');
    for (const as of [viewer(client), operator(client)]) {
      const { errors } = await as.send(`mutation { answer: ${mutation} { __typename } }`);
      expect(errors?.[0]?.extensions.code).toBe('FORBIDDEN');
    }
  }
  expect(await problemsOf(globex(client), { url: 'https://example.com/' })).toEqual([
    'accountIbans MISMATCH 0',
  ]);
});

test('a caller of several companies is not told to which other company an account belongs', async () => {
  const { client, provider } = await startGuarded();
  const operator = client.as(await provider.token({ sub: 'teller', roles: ['operator'] }));
  const { accounts } = await operator.data('{ accounts { nodes { iban organizationId } } }');
  const [acme, globex] = [ACME, GLOBEX].map(
    (iban) =>
      accounts.nodes.find((account: { iban: string }) => account.iban === iban).organizationId,
  );
  const other = '00000000-0000-7000-8000-000000000000';
  const token = await provider.token({ org: [acme, other], roles: ['initiator'] });
  const input = { url: 'https://example.com/', events: ['TRANSFER_PERFORMED'] };

  for (const accountIbans of [[GLOBEX], [GLOBEX, ACME], [ACME, GLOBEX]]) {
    const answer = await client.as(token).data(
      `mutation ($input: RegisterWebhookInput!) { registerWebhook(input: $input) {
        ... on InvalidInput { problems { index field code message } } } }`,
      { input: { ...input, accountIbans } },
    );
    const { problems } = answer.registerWebhook;
    expect(JSON.stringify(problems)).not.toContain(globex);
    expect(problems).toEqual([
      accountIbans.length === 1
        ? expect.objectContaining({ field: 'organizationId', code: 'REQUIRED' })
        : expect.objectContaining({ field: 'accountIbans', code: 'MISMATCH' }),
    ]);
  }
});

test('an address that is not public is refused when the webhook is registered or changed', async () => {
  const { client, acme } = await startGuarded();
  const company = acme(client);
  const { id } = await registerWebhook(company, { url: 'https://example.com/hook' });

  for (const url of [
    'https://10.0.0.1/',
    'https://169.254.169.254/latest/',
    'https://0x0a000001/',
    'https://[fd00::1]/',
    'https://168.63.129.16/',
  ]) {
    expect(await problemsOf(company, { url })).toEqual(['url INVALID_URL']);
    const { updateWebhook } = await company.data(UPDATE, { input: { id, url } });
    expect(updateWebhook.problems).toEqual([
      expect.objectContaining({ field: 'url', code: 'INVALID_URL' }),
    ]);
  }
});

test('a secret is shown once, and stands in no log', async () => {
  const server = await startServer({ LOG_LEVEL: 'trace' });
  const receiver = await Receiver.start();
  receiver.answer = (_call, response) => response.writeHead(410).end();
  const { id, secret } = await registerWebhook(server.client, receiver);

  await change(server.client, `sendTestEvent(webhookId: "${id}")`);
  await expect.poll(() => server.log.map(({ msg }) => msg)).toContain('Webhook disabled');

  expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
  expect(JSON.stringify(server.log)).not.toContain(secret.slice(6));
  const { __type: type } = await server.client.data(
    '{ __type(name: "Webhook") { fields { name } } }',
  );
  expect(JSON.stringify(type)).not.toContain('secret');
});
