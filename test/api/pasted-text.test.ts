import { expect, test } from 'vitest';
import { ACME, ACME_BIC, aBulk, aTransfer, GLOBEX, ibanOf } from '../support/builders.js';
import { startServer } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';

/** Returns an IBAN or a BIC as it is pasted from a page, a table or a letter. */
const pasted = (text: string) =>
  `\ufeff\t${text.replace(/(.{4})/g, '$1\u00a0').toLowerCase()}\u200b\u202f\u00ad\r\n`;

test('pasted IBANs and BICs are normalised in every argument', async () => {
  const { client, url } = await startServer();

  expect(
    await client.data(
      `mutation ($iban: String!, $bic: String!, $other: String!) {
        openAccount(input: { organizationName: "Hooli", iban: $iban, bic: $bic }) {
          ... on AccountOpened { account { iban bic } }
        }
        creditAccount(input: { iban: $other, amount: "1", description: "" }) { __typename }
      }`,
      { iban: pasted(ibanOf(1)), bic: pasted('TESTNL2A'), other: pasted(GLOBEX) },
    ),
  ).toEqual({
    openAccount: { account: { iban: ibanOf(1), bic: 'TESTNL2A' } },
    creditAccount: { __typename: 'AccountCredited' },
  });
  const row = aTransfer({
    counterpartyIban: pasted('DE89370400440532013000'),
    counterpartyBic: pasted('DEUTDEFF'),
  });
  const head = { organizationIban: pasted(ACME), organizationBic: pasted(ACME_BIC) };
  const performed = await client.perform({ ...aBulk([row]), ...head, idempotencyKey: 'k' });
  expect(performed.bulkTransfer.transfers.nodes).toMatchObject([
    { counterpartyIban: 'DE89370400440532013000', counterpartyBic: 'DEUTDEFF' },
  ]);
  expect(
    await client.perform(
      aBulk([aTransfer({ counterpartyBic: 'DEUTDEFF' })], { idempotencyKey: 'k' }),
    ),
  ).toMatchObject({
    replayed: true,
  });
  expect(
    await client.data(
      `query ($acme: String!, $row: String!) {
        account(iban: $acme) { iban transfers(filter: { counterpartyIban: $row }) { nodes { index } } }
        bulkTransferByIdempotencyKey(accountIban: $acme, idempotencyKey: "k") { transferCount }
        auditLog(accountIban: $acme, first: 1) { nodes { action } }
      }`,
      { acme: pasted(ACME), row: row.counterpartyIban },
    ),
  ).toEqual({
    account: { iban: ACME, transfers: { nodes: [{ index: 0 }] } },
    bulkTransferByIdempotencyKey: { transferCount: 1 },
    auditLog: { nodes: [{ action: 'performBulkTransfer' }] },
  });
  const balance = subscribe(
    url,
    'subscription ($iban: String!) { balanceUpdated(accountIban: $iban) { account { iban } } }',
    { iban: pasted(ACME) },
  );
  await expect.poll(() => balance.events[0]).toEqual({ account: { iban: ACME } });
});

test('a problem of a text or a BIC names the character or the country', async () => {
  const { client } = await startServer();

  const { problems } = await client.perform(
    aBulk([
      aTransfer({ counterpartyName: '\u3164\u200b' }),
      aTransfer({ counterpartyName: 'Bip \u202ecod.exe' }),
      aTransfer({ description: 'one\u2028two' }),
      aTransfer({ endToEndId: 'E\uffff' }),
      aTransfer({ counterpartyBic: 'COBAXXFF' }),
      aTransfer({ counterpartyBic: '' }),
      aTransfer({ counterpartyName: 'क्\u200dष 👩‍👩‍👧‍👦 می\u200cخواهم' }),
    ]),
  );

  expect(
    problems.map(({ index, field, message }: Record<string, unknown>) => [index, field, message]),
  ).toEqual([
    [
      0,
      'counterpartyName',
      'A value is required: the text has only invisible characters, such as U+3164.',
    ],
    [1, 'counterpartyName', '"Bip \\u202ecod.exe" contains U+202E, which is not allowed here.'],
    [2, 'description', '"one\\u2028two" contains U+2028, which is not allowed here.'],
    [3, 'endToEndId', '"E\\uffff" contains U+FFFF, which is not allowed here.'],
    [4, 'counterpartyBic', '"COBAXXFF" is not a BIC: no country has the code XX.'],
    [5, 'counterpartyBic', 'A BIC has 8 or 11 characters; omit the field if there is no BIC.'],
  ]);
});

test('a ledger with texts that an earlier release accepted passes verification', async () => {
  const { client, database } = await startServer();
  await client.perform(aBulk([aTransfer({ description: 'here' })]));

  // The ledger is verified when the test ends.
  await database.orm.em
    .fork()
    .execute("update transfer set description = ? where description = 'here'", ['a\u202eb\u2028']);

  const { account } = await client.data(
    `{ account(iban: "${ACME}") { transfers { nodes { description } } } }`,
  );
  expect(account.transfers.nodes).toEqual([{ description: 'a\u202eb\u2028' }]);
});
