import { expect, test } from 'vitest';
import { makeFindTransferWarnings } from '../src/application/find-transfer-warnings.js';
import type { CreditTransferRequest } from '../src/domain/bulk-transfer.js';
import { MikroOrmLedgerReader } from '../src/infrastructure/database/ledger-reader.js';
import { EventLoopTurns } from '../src/infrastructure/fair-turns.js';
import { ACME, aBulk, aTransfer, GLOBEX, transfersOf } from './setup/builders.js';
import type { Client } from './setup/client.js';
import { startServer } from './setup/server.js';

const WARNINGS = 'warnings { index field code bulkTransfer { id } }';
const PERFORM = `mutation ($input: PerformBulkTransferInput!) { performBulkTransfer(input: $input) {
  __typename ... on BulkTransferPerformed { replayed bulkTransfer { id } ${WARNINGS} }
} }`;
const VALIDATE = `query ($input: PerformBulkTransferInput!) {
  validateBulkTransfer(input: $input) { valid ${WARNINGS} }
}`;

const perform = async (client: Client, input: object) =>
  (await client.data(PERFORM, { input })).performBulkTransfer;
const validate = async (client: Client, input: object) =>
  (await client.data(VALIDATE, { input })).validateBulkTransfer;

test('a bulk without anything odd has no warnings', async () => {
  const { client } = await startServer();

  expect(await perform(client, aBulk(transfersOf(3)))).toMatchObject({ warnings: [] });
  expect(await validate(client, aBulk(transfersOf(4)))).toEqual({ valid: true, warnings: [] });
});

test('equal rows are performed with a warning', async () => {
  const { client } = await startServer();
  const warnings = [1, 2].map((index) => ({
    index,
    field: 'counterpartyIban',
    code: 'DUPLICATE_IN_BULK',
    bulkTransfer: null,
  }));
  const bulk = aBulk([aTransfer(), aTransfer(), aTransfer()]);

  expect(await validate(client, bulk)).toEqual({ valid: true, warnings });
  expect(await perform(client, bulk)).toMatchObject({
    __typename: 'BulkTransferPerformed',
    warnings,
  });
});

test('the same file once more is a warning that names the bulk before, and never of itself', async () => {
  const { client } = await startServer();
  const bulk = aBulk(transfersOf(3), { idempotencyKey: 'one' });
  const first = await perform(client, bulk);
  const duplicate = {
    index: null,
    field: 'creditTransfers',
    code: 'DUPLICATE_OF_EARLIER',
    bulkTransfer: { id: first.bulkTransfer.id },
  };

  expect(first.warnings).toEqual([]);
  expect(await perform(client, bulk)).toMatchObject({ replayed: true, warnings: [] });
  expect(await validate(client, bulk)).toMatchObject({ warnings: [] });
  const another = { ...bulk, idempotencyKey: 'two' };
  expect(await validate(client, another)).toMatchObject({ valid: true, warnings: [duplicate] });
  expect(await perform(client, another)).toMatchObject({ replayed: false, warnings: [duplicate] });
  // What came later is no history of the first.
  expect(await perform(client, bulk)).toMatchObject({ replayed: true, warnings: [] });
});

test('a bulk is no duplicate of one with another row, or of another account', async () => {
  const { client } = await startServer();
  await perform(client, aBulk(transfersOf(3)));
  const [one, two, three] = transfersOf(3);

  for (const other of [
    aBulk([one, two, { ...three, description: 'Another' }].map((row) => row ?? {})),
    aBulk(transfersOf(2)),
    aBulk(transfersOf(3, '1.01')),
    aBulk(transfersOf(3), { organizationIban: GLOBEX }),
  ]) {
    expect(await validate(client, other)).toMatchObject({ valid: true, warnings: [] });
  }
});

test('a bulk of more rows than are read at once is compared row by row', async () => {
  const { client } = await startServer();
  const rows = transfersOf(1_200);
  const { bulkTransfer } = await perform(client, aBulk(rows));
  const changed = rows.map((row, index) =>
    index === 1_199 ? { ...row, description: 'Last' } : row,
  );

  expect(await validate(client, aBulk(rows))).toMatchObject({
    warnings: [{ code: 'DUPLICATE_OF_EARLIER', bulkTransfer: { id: bulkTransfer.id } }],
  });
  expect(await validate(client, aBulk(changed))).toMatchObject({ warnings: [] });
});

test.each([
  [6, ['DUPLICATE_OF_EARLIER']],
  [8, []],
])('a bulk of %i days ago with the same rows has the warnings %j', async (days, codes) => {
  const { client, database } = await startServer();
  const rows = transfersOf(3) as unknown as CreditTransferRequest[];
  await perform(client, aBulk(rows));
  const find = makeFindTransferWarnings({
    turns: new EventLoopTurns(),
    clock: () => new Date(Date.now() + days * 86_400_000),
  });

  const warnings = await find(
    { organizationIban: ACME, creditTransfers: rows },
    { reader: new MikroOrmLedgerReader(database) },
  );

  expect(warnings.map(({ code }) => code)).toEqual(codes);
});

test('an IBAN that was paid under another name is a warning', async () => {
  const { client } = await startServer();
  const { bulkTransfer } = await perform(
    client,
    aBulk([
      aTransfer({ counterpartyName: 'Road Runner' }),
      aTransfer({ counterpartyIban: GLOBEX }),
    ]),
  );
  const warnings = [
    {
      index: 0,
      field: 'counterpartyName',
      code: 'NAME_DIFFERS',
      bulkTransfer: { id: bulkTransfer.id },
    },
  ];

  expect(await validate(client, aBulk([aTransfer({ description: 'x' })]))).toMatchObject({
    warnings,
  });
  const sameName = aTransfer({ description: 'x', counterpartyName: 'ROAD RUNNER' });
  expect(await validate(client, aBulk([sameName]))).toMatchObject({ warnings: [] });
  // Another account has another history.
  const fromGlobex = aBulk([aTransfer({ description: 'x' })], { organizationIban: GLOBEX });
  expect(await validate(client, fromGlobex)).toMatchObject({ warnings: [] });
});

test('warnings come beside problems, and where the account is unknown', async () => {
  const { client } = await startServer();
  const odd = aTransfer({ counterpartyBic: 'ABNANL2A' });
  const warnings = [{ index: 0, field: 'counterpartyBic', code: 'BIC_COUNTRY_DIFFERS' }];

  expect(await validate(client, aBulk([odd, aTransfer({ amount: 'x' })]))).toMatchObject({
    valid: false,
    warnings,
  });
  expect(
    await validate(client, aBulk([odd], { organizationIban: 'FR1420041010050500013M02606' })),
  ).toMatchObject({ valid: false, warnings });
});

test('warnings are bounded, and a large bulk has them all the same', async () => {
  const { client } = await startServer();
  const rows = Array.from({ length: 10_000 }, () => aTransfer({ amount: '0.01' }));

  const { warnings } = await perform(client, aBulk(rows));

  expect(warnings).toHaveLength(100);
  expect(warnings.at(-1)).toMatchObject({ index: 100, code: 'DUPLICATE_IN_BULK' });
});
