import { expect, test } from 'vitest';
import { recordCredit } from '../../src/application/credit-account.js';
import { makeNewId } from '../../src/domain/id.js';
import { MINOR_UNITS_MAX } from '../../src/domain/money.js';
import { Account } from '../../src/entities/account.entity.js';
import { MikroOrmUnitOfWork } from '../../src/infrastructure/ledger/unit-of-work.js';
import { NO_PUBLISHER } from '../../src/infrastructure/outbox/outbox.js';
import { ACME, aBulk, aTransfer, GLOBEX, INITECH, ibanOf } from '../support/builders.js';
import { startServer, type TestServer } from '../support/server.js';

const ENTRIES = `query ($iban: String!) {
  account(iban: $iban) {
    balance { amount }
    entries(first: 10) {
      nodes { sequence kind amount { amount } balanceAfter { amount } description bulkTransfer { id } }
    }
  }
}`;

test('a counterparty with an account of this ledger is credited in the same commit, in one entry', async () => {
  const { client } = await startServer();

  const { bulkTransfer } = await client.perform(
    aBulk([
      aTransfer({ amount: '100', counterpartyIban: GLOBEX }),
      aTransfer({ amount: '1' }),
      aTransfer({ amount: '20.50', counterpartyIban: 'de75 5121 0800 1245 1261 99' }),
      aTransfer({ amount: '7', counterpartyIban: INITECH, description: 'Invoice 7' }),
    ]),
  );

  const receiver = (await client.data(ENTRIES, { iban: GLOBEX })).account;
  expect(receiver.balance.amount).toBe('250120.50');
  expect(receiver.entries.nodes[0]).toEqual({
    sequence: '2',
    kind: 'BOOK_TRANSFER',
    amount: { amount: '120.50' },
    balanceAfter: { amount: '250120.50' },
    description: '2 transfers from ACME Corp',
    bulkTransfer: { id: bulkTransfer.id },
  });
  expect((await client.data(ENTRIES, { iban: INITECH })).account.entries.nodes[0]).toMatchObject({
    amount: { amount: '7.00' },
    description: 'Invoice 7',
  });
  const debtor = (await client.data(ENTRIES, { iban: ACME })).account;
  expect(debtor.balance.amount).toBe('99871.50');
  expect(debtor.entries.nodes[0]).toMatchObject({
    kind: 'BULK_TRANSFER',
    amount: { amount: '-128.50' },
    description: 'Bulk of 4 transfers',
  });
});

test('an account of this ledger is paid even if its IBAN fails the check', async () => {
  const { client } = await startServer();

  await client.perform({
    organizationIban: GLOBEX,
    creditTransfers: [aTransfer({ amount: '5', counterpartyIban: ACME })],
  });

  expect(await client.balance(ACME)).toBe('100005.00');
});

test('a credit that exceeds the range of a balance is refused, also in a dry run', async () => {
  const { client, database } = await startServer();
  for (const [number, balance] of [
    [1, '9999999999.999'],
    [2, '0'],
  ] as const) {
    await client.data(
      `mutation ($iban: String!, $balance: String!) {
        openAccount(input: {
          organizationName: "Kuwait Trading", iban: $iban, bic: "TESTNL2A", currency: "KWD", openingBalance: $balance
        }) { __typename }
      }`,
      { iban: ibanOf(number), balance },
    );
  }
  await fill(database, ibanOf(2));
  const input = {
    organizationIban: ibanOf(1),
    creditTransfers: [aTransfer({ amount: '0.002', currency: 'KWD', counterpartyIban: ibanOf(2) })],
  };
  const problems = [{ index: 0, field: 'amount', code: 'AMOUNT_TOO_LARGE' }];

  expect(await client.perform(input)).toMatchObject({ problems });
  const { validateBulkTransfer } = await client.data(
    `query ($input: PerformBulkTransferInput!) {
      validateBulkTransfer(input: $input) { valid problems { index field code } }
    }`,
    { input },
  );
  expect(validateBulkTransfer).toEqual({ valid: false, problems });
});

/** Credits an account until one more minor unit is all that it can hold. */
async function fill(database: TestServer['database'], iban: string): Promise<void> {
  const unitOfWork = new MikroOrmUnitOfWork(database, 5_000, NO_PUBLISHER);
  const account = await database.orm.em.fork().findOneOrFail(Account, { iban });
  await unitOfWork.run(
    { organizationId: account.id, accountIds: [account.id], rowCount: 1 },
    (ledger) =>
      recordCredit(
        { ledger, newId: makeNewId(() => new Date()), at: new Date() },
        ledger.account(account.id),
        { amountMinor: MINOR_UNITS_MAX - 1n, description: '' },
      ),
  );
}

test('a refused bulk credits no account', async () => {
  const { client } = await startServer();

  await client.perform(aBulk([aTransfer({ amount: '100001', counterpartyIban: GLOBEX })]));

  expect(await client.balance(GLOBEX)).toBe('250000.00');
});

test('a transfer to an account of this ledger in another currency is a problem of its row', async () => {
  const { client } = await startServer();
  const iban = ibanOf(1);
  await client.data(
    `mutation ($iban: String!) {
      openAccount(input: { organizationName: "Yen", iban: $iban, bic: "TESTNL2A", currency: "JPY" }) {
        __typename
      }
    }`,
    { iban },
  );

  expect(
    await client.perform(aBulk([aTransfer(), aTransfer({ counterpartyIban: iban })])),
  ).toMatchObject({
    problems: [{ index: 1, field: 'counterpartyIban', code: 'CURRENCY_MISMATCH' }],
  });
});

test('an account in a currency without fraction digits is debited in whole units', async () => {
  const { client } = await startServer();
  const iban = ibanOf(2);
  await client.data(
    `mutation ($iban: String!) {
      openAccount(input: {
        organizationName: "Yen", iban: $iban, bic: "TESTNL2A", currency: "JPY", openingBalance: "1000"
      }) { __typename }
    }`,
    { iban },
  );
  const pay = (amount: string) =>
    client.perform({
      organizationIban: iban,
      creditTransfers: [aTransfer({ amount, currency: 'JPY' })],
    });

  expect(await pay('250')).toMatchObject({ account: { balance: { amount: '750' } } });
  expect(await pay('0.5')).toMatchObject({
    problems: [{ index: 0, field: 'amount', code: 'TOO_MANY_FRACTION_DIGITS' }],
  });
});
