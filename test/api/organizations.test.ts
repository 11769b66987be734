import { expect, test } from 'vitest';
import { ACME, GLOBEX, ibanOf } from '../support/builders.js';
import type { Client } from '../support/client.js';
import { startIdentityProvider } from '../support/identity-provider.js';
import { startServer } from '../support/server.js';

const ME = `{ me { actor roles organizations { id name accounts { nodes { iban } } } } }`;

const OPEN = `mutation ($input: OpenAccountInput!) { openAccount(input: $input) {
  __typename
  ... on AccountOpened { account { organizationId } }
  ... on InvalidInput { problems { field code } }
} }`;

async function organizationOf(client: Client, iban: string): Promise<string> {
  const { account } = await client.data(`{ account(iban: "${iban}") { organizationId } }`);
  return account.organizationId;
}

test("me has the caller's name, roles and organizations with their accounts", async () => {
  const provider = await startIdentityProvider();
  const { client } = await startServer(provider.env);
  const operator = client.as(await provider.token({ sub: 'teller', roles: ['operator'] }));
  const acme = await organizationOf(operator, ACME);
  const second = { organizationId: acme, organizationName: 'ACME Corp', iban: ibanOf(1) };
  await operator.data(OPEN, { input: { ...second, bic: 'ABNANL2A' } });

  const token = await provider.token({ sub: 'alice', org: acme.toUpperCase(), roles: ['viewer'] });
  const { me } = await client.as(token).data(ME);

  expect(me).toEqual({
    actor: 'alice',
    roles: ['VIEWER'],
    organizations: [
      { id: acme, name: 'ACME Corp', accounts: { nodes: [{ iban: ACME }, { iban: ibanOf(1) }] } },
    ],
  });
  expect((await operator.data(ME)).me).toMatchObject({ actor: 'teller', organizations: [] });
});

test('without authentication, me has every organization', async () => {
  const { client } = await startServer();

  const { me } = await client.data(ME);

  expect(me.actor).toBe('developer');
  expect(me.organizations.map(({ name }: { name: string }) => name).sort()).toEqual([
    'ACME Corp',
    'Globex GmbH',
    'Initech B.V.',
  ]);
});

test('an organization is a node, and pages through its accounts', async () => {
  const { client } = await startServer();
  const id = await organizationOf(client, GLOBEX);
  for (const number of [1, 2]) {
    const input = { organizationId: id, organizationName: 'Globex GmbH', iban: ibanOf(number) };
    await client.data(OPEN, { input: { ...input, bic: 'ABNANL2A' } });
  }
  const page = `query ($id: ID!, $after: Cursor) { node(id: $id) { ... on Organization {
    name accounts(first: 2, after: $after) { nodes { iban } pageInfo { hasNextPage endCursor } } } } }`;

  const first = (await client.data(page, { id })).node;
  const after = first.accounts.pageInfo.endCursor;
  const rest = (await client.data(page, { id, after })).node;

  expect(first).toMatchObject({
    name: 'Globex GmbH',
    accounts: { pageInfo: { hasNextPage: true } },
  });
  expect(rest.accounts).toMatchObject({
    nodes: [{ iban: ibanOf(2) }],
    pageInfo: { hasNextPage: false },
  });
});

test('an account is opened for a new organization, or for one that exists by its id and name', async () => {
  const { client } = await startServer();
  const input = { organizationName: 'Hooli', iban: ibanOf(1), bic: 'ABNANL2A' };
  const { openAccount } = await client.data(OPEN, { input });
  const { organizationId } = openAccount.account;
  const again = async (overrides: object) =>
    (await client.data(OPEN, { input: { ...input, iban: ibanOf(2), ...overrides } })).openAccount;

  expect(await again({ organizationId, organizationName: 'Hool' })).toMatchObject({
    problems: [{ field: 'organizationName', code: 'MISMATCH' }],
  });
  expect(await again({ organizationId: '01900000-0000-7000-8000-0000000000ff' })).toMatchObject({
    problems: [{ field: 'organizationId', code: 'MISMATCH' }],
  });
  expect(await again({ organizationId })).toEqual({
    __typename: 'AccountOpened',
    account: { organizationId },
  });
});
