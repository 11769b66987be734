import { randomUUID } from 'node:crypto';
import { createVirementClient } from '@virement/client';
import { expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { ACME, aBulk, aTransfer, GLOBEX, ibanOf, transfersOf } from '../support/builders.js';
import { startServer } from '../support/server.js';

async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const taken: Item[] = [];
  for await (const item of items) taken.push(item);
  return taken;
}

test('every list is read to its end with any page size', async () => {
  const { client: direct, url } = await startServer();
  const client = createVirementClient({ url: `${url}/graphql` });
  for (const bulk of [1, 2, 3]) {
    const rows = transfersOf(4).map((row, index) => ({ ...row, description: `${bulk}/${index}` }));
    await direct.perform(aBulk([...rows, aTransfer({ counterpartyIban: GLOBEX })]));
  }

  const transfers = await all(client.transfers(ACME, { pageSize: 2 }));
  const bulks = await all(client.bulkTransfers(ACME, { pageSize: 3 }));
  const [newest] = bulks;

  expect(transfers).toHaveLength(15);
  expect(new Set(transfers.map(({ node }) => node.id)).size).toBe(15);
  expect(await all(client.transfers(ACME))).toEqual(transfers);
  const [, second] = transfers;
  expect(await all(client.transfers(ACME, { after: second?.cursor ?? '' }))).toEqual(
    transfers.slice(2),
  );
  expect(bulks.map(({ node }) => node.transferCount)).toEqual([5, 5, 5]);
  expect(await all(client.incomingTransfers(GLOBEX, { pageSize: 1 }))).toHaveLength(3);
  expect(await all(client.entries(ACME, { pageSize: 1 }))).toHaveLength(4);
  expect(await all(client.accounts({ pageSize: 1 }))).toHaveLength(3);
  expect(
    (await all(client.transfersOfBulk(newest?.node.id ?? '', { pageSize: 2 }))).map(
      ({ node }) => node.index,
    ),
  ).toEqual([0, 1, 2, 3, 4]);
  const filter = { counterpartyIban: GLOBEX };
  expect(await all(client.transfers(ACME, { filter, pageSize: 2 }))).toHaveLength(3);
});

test('the rare matches of a filter are found beyond pages without a node', async () => {
  const { client: direct, url } = await startServer();
  const client = createVirementClient({ url: `${url}/graphql` });
  await direct.perform(aBulk([aTransfer({ counterpartyName: 'Zebra', amount: '0.01' })]));
  await direct.perform(aBulk(transfersOf(10_000, '0.01')));
  await direct.perform(aBulk([aTransfer({ counterpartyName: 'Zebra', amount: '0.02' })]));

  const filter = { counterpartyName: 'zebra' };
  const found = await all(client.transfers(ACME, { filter, pageSize: 1 }));

  expect(found.map(({ node }) => node.amount.amount)).toEqual(['0.02', '0.01']);
});

test('a list of a missing account or bulk is an error', async () => {
  const { url } = await startServer();
  const client = createVirementClient({ url: `${url}/graphql` });

  await expect(all(client.transfers(ibanOf(1)))).rejects.toMatchObject({
    name: 'VirementError',
    code: 'ACCOUNT_NOT_FOUND',
  });
  await expect(all(client.transfersOfBulk(randomUUID()))).rejects.toMatchObject({
    code: 'BULK_TRANSFER_NOT_FOUND',
  });
});

test.each(['websocket', 'sse'] as const)(
  'a server that runs trusted documents alone takes the ids of this client, over %s',
  async (transport) => {
    const { client: direct, url } = await startServer({
      TRUSTED_DOCUMENTS: 'only',
      TRUSTED_DOCUMENTS_FILE: 'clients/typescript/src/generated/persisted-documents.json',
    });
    const client = createVirementClient({
      url: `${url}/graphql`,
      webSocket: WebSocket,
      transport,
      trustedDocuments: true,
    });

    const accounts = await all(client.accounts());
    const balance = client.followBalance(ACME);
    const first = await balance.next();
    await balance.return?.();

    expect(accounts.map(({ node }) => node.iban)).toContain(ACME);
    expect(first.value).toMatchObject({ balance: { amount: '100000.00' } });
    expect(await direct.send('{ __typename }')).toMatchObject({ status: 400 });
  },
);
