/** Files that the server writes are read by it again. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ACME, ibanOf } from '../support/builders.js';
import type { Client } from '../support/client.js';
import { postFile } from '../support/imports.js';
import { anOrder, createOrder } from '../support/orders.js';
import { startServer } from '../support/server.js';

const ROWS = `query ($id: ID!) { order(id: $id) { problemCount rows(first: 100) { nodes {
  amount currency counterpartyName counterpartyIban counterpartyBic description endToEndId } } } }`;

/** Texts that spreadsheets and readers of CSV treat in a special way. */
const text = fc.oneof(
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 }),
  fc
    .array(fc.constantFrom("'", '"', '=', '+', '-', '@', ',', ';', '|', 'é', '€', 'a', ' '), {
      minLength: 1,
      maxLength: 12,
    })
    .map((characters) => characters.join('')),
);

/** A row of an order. CSV cells have no spaces around them. */
const row = fc.record({
  amount: fc.oneof(
    fc.integer({ min: 1, max: 99_999_999 }).map((cents) => (cents / 100).toFixed(2)),
    fc.constantFrom('1234.5', '7', '1000', '1234567.89'),
  ),
  currency: fc.constant('EUR'),
  counterpartyName: text.map((name) => name.trim()).filter((name) => name !== ''),
  counterpartyIban: fc.nat({ max: 90 }).map(ibanOf),
  counterpartyBic: fc.constantFrom(null, 'DEUTDEFF', 'SOGEDEFFXXX'),
  description: text.map((description) => description.trim()),
  endToEndId: fc.option(
    fc
      .string({ minLength: 1, maxLength: 35 })
      .map((id) => id.trim())
      .filter((id) => id !== ''),
  ),
});

async function rowsOf(client: Client, id: string) {
  const { order } = await client.data(ROWS, { id });
  return order;
}

test('the CSV file of an order is imported as the same rows', async () => {
  const { url, client } = await startServer();

  await fc.assert(
    fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 30 }), async (rows) => {
      const original = await anOrder(client, rows);
      const exported = await fetch(`${url}/exports/orders/${original.id}.csv`);
      const file = new Uint8Array(await exported.arrayBuffer());
      const response = await postFile(url, file, { query: { account: ACME } });
      const { orders } = (await response.json()) as { orders: { id: string }[] };

      const sent = await rowsOf(client, original.id);
      const imported = await rowsOf(client, orders[0]?.id ?? '');
      expect(imported.rows).toEqual(sent.rows);
    }),
    { numRuns: 25, seed: 20_261_128 },
  );
});

test('a corrected file is imported: the problems of the first order are told in its file', async () => {
  const { url, client } = await startServer();
  const { id } = await createOrder(client);
  await client.data(
    `mutation ($id: ID!, $rows: [CreditTransferInput!]!) {
      addOrderRows(orderId: $id, chunk: 0, rows: $rows) { __typename } }`,
    {
      id,
      rows: [
        { amount: '1.00', counterpartyName: 'A', counterpartyIban: ibanOf(1), description: 'x' },
        { amount: '2.00', counterpartyName: 'B', counterpartyIban: 'DE00', description: 'y' },
      ],
    },
  );
  const file = await (await fetch(`${url}/exports/orders/${id}.csv`)).text();
  expect(file).toContain('INVALID_IBAN');

  const response = await postFile(url, file.replace('DE00', ibanOf(2)), {
    query: { account: ACME },
  });

  expect(await response.json()).toMatchObject({
    orders: [{ rowCount: 2, problemCount: 0, totalAmount: { amount: '3.00' } }],
  });
});
