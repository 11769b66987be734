import { expect, test } from 'vitest';
import { makeFindTransferWarnings } from '../../src/application/find-transfer-warnings.js';
import type { CreditTransferRequest } from '../../src/domain/bulk-transfer.js';
import { EventLoopTurns } from '../../src/infrastructure/fair-turns.js';
import { MikroOrmScopedLedgerReader } from '../../src/infrastructure/ledger/scoped-ledger-reader.js';
import { ACME, aBulk, aTransfer, GLOBEX, transfersOf } from '../support/builders.js';
import type { Client } from '../support/client.js';
import { NO_CATCHING_UP, startServer } from '../support/server.js';

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

test('an ordinary bulk has no warnings', async () => {
  const { client } = await startServer();

  expect(await perform(client, aBulk(transfersOf(3)))).toMatchObject({ warnings: [] });
  expect(await validate(client, aBulk(transfersOf(4, '1.01')))).toEqual({
    valid: true,
    warnings: [],
  });
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

test('a repeated file has a warning that names the earlier bulk, and never itself', async () => {
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
  // The later bulk is not part of the first one's history.
  expect(await perform(client, bulk)).toMatchObject({ replayed: true, warnings: [] });
});

test('the same rows in another order are a duplicate if each occurs equally often', async () => {
  const { client } = await startServer();
  const [one, two] = transfersOf(2).map((row) => row ?? {});
  const { bulkTransfer } = await perform(client, aBulk([one, one, two].map((row) => row ?? {})));
  const ofBulk = (warnings: { code: string }[]) =>
    warnings.filter(({ code }) => code === 'DUPLICATE_OF_EARLIER');

  const again = await validate(client, aBulk([two, one, one].map((row) => row ?? {})));
  const other = await validate(client, aBulk([two, two, one].map((row) => row ?? {})));

  expect(ofBulk(again.warnings)).toMatchObject([{ bulkTransfer: { id: bulkTransfer.id } }]);
  expect(ofBulk(other.warnings)).toEqual([]);
});

test('a bulk with another row or of another account is not a duplicate', async () => {
  const { client } = await startServer();
  await perform(client, aBulk(transfersOf(3)));
  const [one, two, three] = transfersOf(3);

  const rowsPaidBefore = async (bulk: object) => {
    const { valid, warnings } = await validate(client, bulk);
    expect(valid).toBe(true);
    for (const { code } of warnings) expect(code).toBe('DUPLICATE_PAYMENT');
    return warnings.map(({ index }: { index: number }) => index);
  };
  const another = [one, two, { ...three, description: 'Another' }].map((row) => row ?? {});
  expect(await rowsPaidBefore(aBulk(another))).toEqual([0, 1]);
  expect(await rowsPaidBefore(aBulk(transfersOf(2)))).toEqual([0, 1]);
  expect(await rowsPaidBefore(aBulk(transfersOf(3, '1.01')))).toEqual([]);
  expect(await rowsPaidBefore(aBulk(transfersOf(3), { organizationIban: GLOBEX }))).toEqual([]);
});

test('a bulk with more rows than one read returns is compared row by row', async () => {
  const { client } = await startServer();
  const rows = transfersOf(1_200);
  const { bulkTransfer } = await perform(client, aBulk(rows));
  const changed = rows.map((row, index) =>
    index === 1_199 ? { ...row, description: 'Last' } : row,
  );

  expect(await validate(client, aBulk(rows))).toMatchObject({
    warnings: [{ code: 'DUPLICATE_OF_EARLIER', bulkTransfer: { id: bulkTransfer.id } }],
  });
  const { warnings } = await validate(client, aBulk(changed));
  expect(warnings.map(({ code }: { code: string }) => code)).not.toContain('DUPLICATE_OF_EARLIER');
});

test.each([
  [6, ['DUPLICATE_OF_EARLIER']],
  [8, []],
])('a bulk with the same rows %i days ago gives the warnings %j', async (days, codes) => {
  const { client, database } = await startServer();
  const rows = transfersOf(3) as unknown as CreditTransferRequest[];
  await perform(client, aBulk(rows));
  const find = makeFindTransferWarnings({
    turns: new EventLoopTurns(),
    clock: () => new Date(Date.now() + days * 86_400_000),
  });

  const warnings = await find(
    { organizationIban: ACME, creditTransfers: rows },
    { reader: new MikroOrmScopedLedgerReader(database, NO_CATCHING_UP, 'all', { key: 'caller' }) },
  );

  expect(warnings.map(({ code }) => code)).toEqual(codes);
});

test('an IBAN that was paid under another name gives a warning', async () => {
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

test('the name of an IBAN is found, however many bulks came after it', async () => {
  const { client } = await startServer();
  const supplier = aTransfer({ counterpartyName: 'Supplier Ltd' });
  const { bulkTransfer } = await perform(client, aBulk([supplier]));
  for (const [row] of Array.from({ length: 6 }, () => transfersOf(1))) {
    await perform(client, aBulk([row ?? {}]));
  }

  expect(
    await validate(client, aBulk([{ ...supplier, counterpartyName: 'Thief', description: 'x' }])),
  ).toMatchObject({ warnings: [{ code: 'NAME_DIFFERS', bulkTransfer: { id: bulkTransfer.id } }] });
});

test('the name comes from the last ten transfers to an IBAN, and a warning has the latest bulk', async () => {
  const { client } = await startServer();
  const named = (...names: string[]) =>
    names.map((counterpartyName, index) =>
      aTransfer({ counterpartyName, description: `${names.length}/${index}` }),
    );
  const ten = Array.from({ length: 10 }, (_, index) => `Name ${index}`);
  await perform(client, aBulk(named('Old')));
  const { bulkTransfer } = await perform(client, aBulk(named(...ten)));
  const probe = (counterpartyName: string) =>
    validate(client, aBulk([aTransfer({ counterpartyName, description: 'x' })]));

  expect(await probe('Name 0')).toMatchObject({ warnings: [] });
  expect(await probe('Old')).toMatchObject({
    warnings: [{ code: 'NAME_DIFFERS', bulkTransfer: { id: bulkTransfer.id } }],
  });
});

test('names are found for more IBANs than one statement can have', async () => {
  const { client } = await startServer();
  const rows = transfersOf(250);
  await perform(client, aBulk(rows));
  const renamed = rows.map((row, index) =>
    index % 100 === 99 || index === 249
      ? { ...row, counterpartyName: 'Thief', amount: '2' }
      : { ...row, amount: '3' },
  );

  const { warnings } = await validate(client, aBulk(renamed));

  expect(warnings.map(({ index, code }: { index: number; code: string }) => [index, code])).toEqual(
    [99, 199, 249].map((index) => [index, 'NAME_DIFFERS']),
  );
});

test('warnings accompany problems and an unknown account', async () => {
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

test('warnings are limited, but a large bulk gets all of its own', async () => {
  const { client } = await startServer();
  const rows = Array.from({ length: 10_000 }, () => aTransfer({ amount: '0.01' }));

  const { warnings } = await perform(client, aBulk(rows));

  expect(warnings).toHaveLength(100);
  expect(warnings.at(-1)).toMatchObject({ index: 100, code: 'DUPLICATE_IN_BULK' });
});
