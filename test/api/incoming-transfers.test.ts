import { expect, onTestFinished, test } from 'vitest';
import { ACME, aTransfer, GLOBEX, INITECH } from '../support/builders.js';
import type { Client } from '../support/client.js';
import { startServer, startServerOn } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';
import { createMigratedDatabase } from '../support/test-database.js';

const TRANSFER = `id account { iban } amount { amount currency } payerName payerIban description
  endToEndId sequence createdAt`;

const INCOMING = `query ($iban: String!, $filter: TransferFilter, $first: Int, $after: Cursor, $last: Int) {
  account(iban: $iban) {
    entries(first: 1) { nodes { amount { amount } createdAt } }
    incomingTransfers(filter: $filter, first: $first, after: $after, last: $last) {
      edges { cursor node { ${TRANSFER} } }
      pageInfo { hasNextPage endCursor }
    }
  }
}`;

const RECEIVED = `subscription ($iban: String!, $after: Cursor) {
  transferReceived(accountIban: $iban, after: $after) { cursor transfer { ${TRANSFER} } }
}`;

/** Returns the descriptions of an account's incoming transfers, newest first. */
async function textsOf(client: Client, iban: string, page: object = {}): Promise<string[]> {
  const { account } = await client.data(INCOMING, { iban, ...page });
  return account.incomingTransfers.edges.map(
    ({ node }: { node: { description: string } }) => node.description,
  );
}

async function perform(client: Client, organizationIban: string, ...rows: object[]) {
  return client.perform({ organizationIban, creditTransfers: rows.map((row) => aTransfer(row)) });
}

test('a payee gets each transfer of a bulk separately, as its payer wrote it', async () => {
  const { client } = await startServer();

  await perform(
    client,
    ACME,
    { amount: '30', counterpartyIban: GLOBEX, description: 'Invoice 7', endToEndId: 'E-7' },
    { amount: '1', description: 'To another bank' },
    { amount: '20', counterpartyIban: GLOBEX, description: 'Zoë 💶 8/9' },
  );

  const { account } = await client.data(INCOMING, { iban: GLOBEX });
  const [entry] = account.entries.nodes;
  expect(entry.amount.amount).toBe('50.00');
  const common = {
    id: expect.any(String),
    account: { iban: GLOBEX },
    payerName: 'ACME Corp',
    payerIban: ACME,
    sequence: '2',
    createdAt: entry.createdAt,
  };
  expect(account.incomingTransfers.edges.map(({ node }: { node: object }) => node)).toEqual([
    {
      ...common,
      amount: { amount: '20.00', currency: 'EUR' },
      description: 'Zoë 💶 8/9',
      endToEndId: null,
    },
    {
      ...common,
      amount: { amount: '30.00', currency: 'EUR' },
      description: 'Invoice 7',
      endToEndId: 'E-7',
    },
  ]);
  expect(await textsOf(client, ACME)).toEqual([]);
});

test('an incoming transfer is a node, and shows only the name and the IBAN of the payer', async () => {
  const { client } = await startServer();
  await perform(client, ACME, { counterpartyIban: GLOBEX, description: 'Invoice 7' });
  const { account } = await client.data(INCOMING, { iban: GLOBEX });
  const { id } = account.incomingTransfers.edges[0].node;

  const { node, __type } = await client.data(
    `query ($id: ID!) {
      node(id: $id) { __typename id ... on IncomingTransfer { description payerName } }
      __type(name: "IncomingTransfer") { fields { name } }
    }`,
    { id },
  );

  expect(node).toEqual({
    __typename: 'IncomingTransfer',
    id,
    description: 'Invoice 7',
    payerName: 'ACME Corp',
  });
  expect(__type.fields.map(({ name }: { name: string }) => name).sort()).toEqual([
    'account',
    'amount',
    'createdAt',
    'description',
    'endToEndId',
    'id',
    'payerIban',
    'payerName',
    'sequence',
  ]);
});

test('incoming transfers have pages and the filters of outgoing ones, with the payer as counterparty', async () => {
  const { client } = await startServer();
  for (const [iban, name] of [
    [ACME, 'acme'],
    [INITECH, 'initech'],
    [ACME, 'acme again'],
  ] as const) {
    await perform(
      client,
      iban,
      { amount: '5', counterpartyIban: GLOBEX, description: `${name} 1`, endToEndId: `${name} 1` },
      { amount: '7', counterpartyIban: GLOBEX, description: `${name} 2` },
    );
  }
  const all = ['acme again 2', 'acme again 1', 'initech 2', 'initech 1', 'acme 2', 'acme 1'];
  const texts = (page: object) => textsOf(client, GLOBEX, page);

  expect(await texts({})).toEqual(all);
  expect(await texts({ last: 2 })).toEqual(all.slice(-2));
  const walked: string[] = [];
  for (let after: string | null = null, hasNextPage = true; hasNextPage; ) {
    const { account } = await client.data(INCOMING, { iban: GLOBEX, first: 4, after });
    const { edges, pageInfo } = account.incomingTransfers;
    walked.push(...edges.map(({ node }: { node: { description: string } }) => node.description));
    ({ endCursor: after, hasNextPage } = pageInfo);
  }
  expect(walked).toEqual(all);

  expect(await texts({ filter: { counterpartyIban: INITECH } })).toEqual(all.slice(2, 4));
  expect(await texts({ filter: { counterpartyName: 'ini' } })).toEqual(all.slice(2, 4));
  expect(await texts({ filter: { endToEndId: 'acme 1' } })).toEqual(['acme 1']);
  expect(await texts({ filter: { minAmount: '6', counterpartyIban: ACME } })).toEqual([
    'acme again 2',
    'acme 2',
  ]);
  const { account } = await client.data(INCOMING, { iban: GLOBEX });
  const from = account.incomingTransfers.edges[3].node.createdAt;
  expect((await texts({ filter: { from } })).slice(0, 4)).toEqual(all.slice(0, 4));
  expect(await texts({ filter: { to: '2020-01-01T00:00:00Z' } })).toEqual([]);
});

test('a subscribed payee gets each transfer live and resumes after the last one when the server restarts', async () => {
  const database = await createMigratedDatabase();
  onTestFinished(() => database.drop());
  const first = await startServerOn(database);
  const live = subscribe(first.url, RECEIVED, { iban: GLOBEX });
  const balance = `subscription { balanceUpdated(accountIban: "${GLOBEX}") { sequence } }`;
  const ready = subscribe(first.url, balance);
  await expect.poll(() => ready.events.length).toBe(1);

  await perform(
    first.client,
    ACME,
    { counterpartyIban: GLOBEX, description: 'one' },
    { counterpartyIban: INITECH, description: 'to another' },
    { counterpartyIban: GLOBEX, description: 'two' },
  );
  await expect.poll(() => live.events.length).toBe(2);
  await first.close();
  const second = await startServerOn(database);
  await perform(second.client, INITECH, { counterpartyIban: GLOBEX, description: 'three' });
  const resumed = subscribe(second.url, RECEIVED, { iban: GLOBEX, after: live.events[0].cursor });
  await expect.poll(() => resumed.events.length).toBe(2);
  await perform(second.client, ACME, { counterpartyIban: GLOBEX, description: 'four' });
  await expect.poll(() => resumed.events.length).toBe(3);
  await second.close();

  const texts = ({ events }: typeof live) => events.map(({ transfer }) => transfer.description);
  expect(texts(live)).toEqual(['one', 'two']);
  expect(texts(resumed)).toEqual(['two', 'three', 'four']);
});

test('a subscription resumes after a cursor of the list, even with more rows than one read returns', async () => {
  const { client, url } = await startServer();
  const rows = Array.from({ length: 250 }, (_, index) => ({
    amount: '0.01',
    counterpartyIban: GLOBEX,
    description: `${index}`,
  }));
  await perform(client, ACME, ...rows);
  const { account } = await client.data(INCOMING, { iban: GLOBEX, last: 1 });
  const [{ cursor }] = account.incomingTransfers.edges;

  const { events } = subscribe(url, RECEIVED, { iban: GLOBEX, after: cursor });
  await expect.poll(() => events.length).toBe(249);

  expect(events.map(({ transfer }) => transfer.description)).toEqual(
    rows.slice(1).map(({ description }) => description),
  );
});
