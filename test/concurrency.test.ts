import { expect, test } from 'vitest';
import { ACME, aBulk, aTransfer, GLOBEX, INITECH, transfersOf } from './setup/builders.js';
import { startServer } from './setup/server.js';

const typesOf = (answers: readonly { __typename: string }[]) => {
  const counts: Record<string, number> = {};
  for (const { __typename } of answers) counts[__typename] = (counts[__typename] ?? 0) + 1;
  return counts;
};

test('of parallel bulks that do not fit together, exactly those that fit are performed', async () => {
  const { client } = await startServer();

  // 100,000.00 covers 14 bulks of 7,000.00.
  const answers = await Promise.all(
    Array.from({ length: 40 }, () => client.perform(aBulk(transfersOf(7, '1000')))),
  );

  expect(typesOf(answers)).toEqual({ BulkTransferPerformed: 14, InsufficientFunds: 26 });
  expect(await client.balance(ACME)).toBe('2000.00');
});

test('opposite book transfers at once end without a deadlock, and lose nothing', async () => {
  const { client } = await startServer();
  const ring = [ACME, GLOBEX, INITECH];
  const pay = (from: string, to: readonly string[]) =>
    client.perform({
      organizationIban: from,
      creditTransfers: to.map((iban) => aTransfer({ amount: '10', counterpartyIban: iban })),
    });

  const answers = await Promise.all(
    Array.from({ length: 60 }, (_, number) => {
      const from = ring[number % 3] ?? ACME;
      return pay(
        from,
        ring.filter((iban) => iban !== from),
      );
    }),
  );

  expect(typesOf(answers)).toEqual({ BulkTransferPerformed: 60 });
  // Each sent twenty times two, and received twenty from each of the others.
  expect(await Promise.all(ring.map((iban) => client.balance(iban)))).toEqual([
    '100000.00',
    '250000.00',
    '50000.00',
  ]);
});

test('credits and debits at once add up', async () => {
  const { client } = await startServer();
  const credit = () =>
    client.data(
      `mutation ($iban: String!) {
        creditAccount(input: { iban: $iban, amount: "2.50", description: "" }) { __typename }
      }`,
      { iban: ACME },
    );

  await Promise.all(
    Array.from({ length: 40 }, (_, number) =>
      number % 2 === 0 ? credit() : client.perform(aBulk([aTransfer({ amount: '1.25' })])),
    ),
  );

  expect(await client.balance(ACME)).toBe('100025.00');
});
