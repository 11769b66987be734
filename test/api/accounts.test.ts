import { expect, test } from 'vitest';
import { ACME, aTransfer, GLOBEX, ibanOf } from '../support/builders.js';
import type { Client } from '../support/client.js';
import { startServer } from '../support/server.js';

const OPEN = `mutation ($input: OpenAccountInput!) {
  openAccount(input: $input) {
    __typename
    ... on AccountOpened {
      account { id organizationId organizationName iban bic currency sequence balance { amount } }
    }
    ... on InvalidInput { problems { index field code } }
    ... on AccountExists { account { organizationName } }
    ... on UserError { code retryable }
  }
}`;

const CREDIT = `mutation ($input: CreditAccountInput!) {
  creditAccount(input: $input) {
    __typename
    ... on AccountCredited {
      replayed
      account { balance { amount } }
      entry { id sequence kind amount { amount } balanceAfter { amount } description bulkTransfer { id } }
    }
    ... on InvalidInput { problems { index field code } }
    ... on AccountNotFound { iban }
    ... on IdempotencyKeyReused { existingBulkTransfer { id } bulkTransfer { id } }
    ... on UserError { code retryable }
  }
}`;

const open = async (client: Client, input: object) =>
  (await client.data(OPEN, { input })).openAccount;
const credit = async (client: Client, input: object, headers?: Record<string, string>) => {
  const answer = await client.send(CREDIT, { input }, headers);
  return answer.data?.creditAccount ?? answer.errors?.[0]?.extensions;
};

const AN_ACCOUNT = { organizationName: 'Ørsted A/S', iban: ibanOf(1), bic: 'testnl2a' };

test('an account is opened with its opening balance as its first entry', async () => {
  const { client } = await startServer();

  expect(await open(client, { ...AN_ACCOUNT, openingBalance: '12.3' })).toMatchObject({
    __typename: 'AccountOpened',
    account: {
      organizationName: 'Ørsted A/S',
      iban: ibanOf(1),
      bic: 'TESTNL2A',
      currency: 'EUR',
      sequence: '1',
      balance: { amount: '12.30' },
    },
  });
});

test('an account without an opening balance has no entry', async () => {
  const { client } = await startServer();

  for (const [number, openingBalance] of ['0', '0.00', undefined, null].entries()) {
    expect(
      await open(client, { ...AN_ACCOUNT, iban: ibanOf(number), openingBalance }),
    ).toMatchObject({ account: { sequence: '0', balance: { amount: '0.00' } } });
  }
});

test('an organization may have several accounts, under its own name', async () => {
  const { client } = await startServer();
  const { account } = await open(client, AN_ACCOUNT);
  const { organizationId } = account;

  expect(await open(client, { ...AN_ACCOUNT, iban: ibanOf(2), organizationId })).toMatchObject({
    account: { organizationId },
  });
  expect(
    await open(client, {
      ...AN_ACCOUNT,
      iban: ibanOf(3),
      organizationName: 'Other',
      organizationId,
    }),
  ).toMatchObject({ problems: [{ field: 'organizationName', code: 'MISMATCH' }] });
  for (const unknown of ['00000000-0000-7000-8000-000000000000', 'rubbish']) {
    expect(
      await open(client, { ...AN_ACCOUNT, iban: ibanOf(3), organizationId: unknown }),
    ).toMatchObject({ problems: [{ field: 'organizationId', code: 'MISMATCH' }] });
  }
});

test('an IBAN that has an account is AccountExists', async () => {
  const { client } = await startServer();

  expect(await open(client, { ...AN_ACCOUNT, iban: GLOBEX.toLowerCase() })).toMatchObject({
    __typename: 'AccountExists',
    code: 'ACCOUNT_EXISTS',
    retryable: false,
    account: { organizationName: 'Globex GmbH' },
  });
});

test('one IBAN opened many times at once becomes one account', async () => {
  const { client } = await startServer();

  const answers = await Promise.all(
    Array.from({ length: 20 }, () => open(client, { ...AN_ACCOUNT, openingBalance: '1' })),
  );

  const types = answers.map((answer) => answer.__typename).sort();
  expect(types).toEqual([...Array(19).fill('AccountExists'), 'AccountOpened']);
  expect(await client.balance(AN_ACCOUNT.iban)).toBe('1.00');
});

test('every problem of an account to open is reported', async () => {
  const { client } = await startServer();

  const { problems } = await open(client, {
    organizationName: '',
    iban: 'NL91ABNA0417164301',
    bic: 'x',
    currency: 'XYZ',
    openingBalance: '-5',
  });
  expect(problems).toEqual([
    { index: null, field: 'organizationName', code: 'REQUIRED' },
    { index: null, field: 'iban', code: 'INVALID_IBAN_CHECKSUM' },
    { index: null, field: 'bic', code: 'INVALID_BIC' },
    { index: null, field: 'currency', code: 'CURRENCY_MISMATCH' },
    { index: null, field: 'openingBalance', code: 'AMOUNT_NOT_POSITIVE' },
  ]);
});

test.each(['BGN', 'ANG', 'CUC', 'XXX', 'XTS', 'XAU'])(
  'no account is opened in %s',
  async (currency) => {
    const { client } = await startServer();

    expect(await open(client, { ...AN_ACCOUNT, currency })).toMatchObject({
      __typename: 'InvalidInput',
      problems: [{ index: null, field: 'currency', code: 'CURRENCY_MISMATCH' }],
    });
  },
);

test('an account in a currency that was withdrawn later continues to work', async () => {
  const { client, database } = await startServer();
  await open(client, AN_ACCOUNT);
  await database.orm.em
    .fork()
    .execute(`update account set currency = 'BGN' where iban = '${AN_ACCOUNT.iban}'`);

  expect(
    await credit(client, {
      iban: AN_ACCOUNT.iban,
      amount: '12.5',
      currency: 'BGN',
      description: '',
    }),
  ).toMatchObject({ account: { balance: { amount: '12.50' } } });
  expect(
    await client.perform({
      organizationIban: AN_ACCOUNT.iban,
      creditTransfers: [aTransfer({ amount: '2.5', currency: 'BGN' })],
    }),
  ).toMatchObject({ account: { balance: { amount: '10.00' } } });
});

test('an amount of 1,500,000,000 can be paid in a currency where it is ordinary', async () => {
  const { client } = await startServer();
  const account = { ...AN_ACCOUNT, currency: 'IDR', openingBalance: '2000000000' };
  expect(await open(client, account)).toMatchObject({ __typename: 'AccountOpened' });

  expect(
    await client.perform({
      organizationIban: AN_ACCOUNT.iban,
      creditTransfers: [aTransfer({ amount: '1500000000', currency: 'IDR' })],
    }),
  ).toMatchObject({ account: { balance: { amount: '500000000.00' } } });
});

const A_CREDIT = { iban: ACME, amount: '14.5', description: 'Invoice 1' };

test('a credit increases the balance and has its own ledger entry', async () => {
  const { client } = await startServer();

  expect(await credit(client, A_CREDIT)).toMatchObject({
    __typename: 'AccountCredited',
    replayed: false,
    account: { balance: { amount: '100014.50' } },
    entry: {
      sequence: '2',
      kind: 'INCOMING_TRANSFER',
      amount: { amount: '14.50' },
      balanceAfter: { amount: '100014.50' },
      description: 'Invoice 1',
      bulkTransfer: null,
    },
  });
});

test('a credit with an idempotency key is made once', async () => {
  const { client } = await startServer();
  const keyed = { ...A_CREDIT, idempotencyKey: 'credit-1' };

  const answers = await Promise.all(Array.from({ length: 10 }, () => credit(client, keyed)));

  expect(new Set(answers.map((answer) => answer.entry.id)).size).toBe(1);
  expect(answers.filter((answer) => !answer.replayed)).toHaveLength(1);
  expect(await credit(client, A_CREDIT, { 'idempotency-key': 'credit-1' })).toMatchObject({
    replayed: true,
  });
  expect(await credit(client, { ...keyed, amount: '14.51' })).toMatchObject({
    __typename: 'IdempotencyKeyReused',
    existingBulkTransfer: null,
    bulkTransfer: null,
  });
  expect(await client.balance(ACME)).toBe('100014.50');
});

test('every problem of a credit is reported', async () => {
  const { client } = await startServer();

  expect(
    await credit(client, { ...A_CREDIT, amount: '0', currency: 'USD', description: '\u0007' }),
  ).toMatchObject({
    __typename: 'InvalidInput',
    problems: [
      { index: null, field: 'amount', code: 'AMOUNT_NOT_POSITIVE' },
      { index: null, field: 'currency', code: 'CURRENCY_MISMATCH' },
      { index: null, field: 'description', code: 'INVALID_CHARACTERS' },
    ],
  });
  expect(await credit(client, { ...A_CREDIT, iban: ibanOf(9) })).toMatchObject({
    __typename: 'AccountNotFound',
    iban: ibanOf(9),
  });
});
