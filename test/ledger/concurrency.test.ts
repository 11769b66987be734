import { randomUUID } from 'node:crypto';
import { createConnection } from 'mysql2/promise';
import { expect, test, vi } from 'vitest';
import { LedgerEntry } from '../../src/entities/ledger-entry.entity.js';
import { OutboxMessage } from '../../src/entities/outbox-message.entity.js';
import { MikroOrmUnitOfWork } from '../../src/infrastructure/ledger/unit-of-work.js';
import { NO_PUBLISHER } from '../../src/infrastructure/outbox/outbox.js';
import { ACME, aBulk, aTransfer, GLOBEX, INITECH, transfersOf } from '../support/builders.js';
import { startServer } from '../support/server.js';
import { DIALECT } from '../support/test-database.js';

const typesOf = (answers: readonly { __typename: string }[]) => {
  const counts: Record<string, number> = {};
  for (const { __typename } of answers) counts[__typename] = (counts[__typename] ?? 0) + 1;
  return counts;
};

test('parallel bulks that together exceed the balance are performed exactly as far as it covers them', async () => {
  const { client } = await startServer();

  // 100,000.00 covers 14 bulks of 7,000.00.
  const answers = await Promise.all(
    Array.from({ length: 40 }, () => client.perform(aBulk(transfersOf(7, '1000')))),
  );

  expect(typesOf(answers)).toEqual({ BulkTransferPerformed: 14, InsufficientFunds: 26 });
  expect(await client.balance(ACME)).toBe('2000.00');
});

test('opposite simultaneous book transfers end without a deadlock and lose nothing', async () => {
  const { client, database } = await startServer();
  // Retries would hide a deadlock: there must be none.
  const isContention = vi.spyOn(database, 'isContention');
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
  expect(isContention).not.toHaveBeenCalled();
  // Each account sent two cents twenty times, and received twenty cents from each of the other accounts.
  expect(await Promise.all(ring.map((iban) => client.balance(iban)))).toEqual([
    '100000.00',
    '250000.00',
    '50000.00',
  ]);
});

test('simultaneous credits and debits add up', async () => {
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

test('a change that is rolled back is never visible', async () => {
  const { client, database } = await startServer();
  const { account } = await client.data(`{ account(iban: "${ACME}") { id } }`);
  const unitOfWork = new MikroOrmUnitOfWork(database, 5_000, NO_PUBLISHER);

  const attempt = unitOfWork.run(
    { organizationId: account.id, accountIds: [account.id], rowCount: 1 },
    (ledger) => {
      const debtor = ledger.account(account.id);
      const posting = debtor.post(-100n, new Date());
      // The balance is written before the database refuses the entry, because its number is taken.
      const entry = LedgerEntry.of(debtor, { ...posting, sequence: 1n }, ENTRY_FACTS());
      ledger.record({
        entries: [entry],
        message: OutboxMessage.of({
          id: randomUUID(),
          type: 'account.credited',
          subjectId: account.id,
          sequence: posting.sequence,
          createdAt: posting.at,
        }),
      });
    },
  );
  const reads = Array.from({ length: 20 }, () => client.balance(ACME));

  await expect(attempt).rejects.toThrow(/unique|duplicate/i);
  expect(new Set(await Promise.all(reads))).toEqual(new Set(['100000.00']));
});

const ENTRY_FACTS = () => ({ id: randomUUID(), kind: 'BULK_TRANSFER', description: '' }) as const;

test.runIf(DIALECT === 'mysql')('a busy account delays no other account', async () => {
  const server = await startServer({ LOCK_TIMEOUT_MS: '10000' });
  const connection = await createConnection(server.databaseUrl.replace(/^mariadb:/, 'mysql:'));
  await connection.query('start transaction');
  await connection.query(`select id from account where iban = '${ACME}' for update`);

  const waiting = Array.from({ length: 30 }, () => server.client.perform(aBulk([aTransfer()])));
  const other = await server.client.perform({
    organizationIban: GLOBEX,
    creditTransfers: [aTransfer()],
  });
  await connection.end();

  expect(other).toMatchObject({ __typename: 'BulkTransferPerformed' });
  const types = typesOf(await Promise.all(waiting));
  expect((types.BulkTransferPerformed ?? 0) + (types.AccountBusy ?? 0)).toBe(30);
});

test.runIf(DIALECT === 'mysql')(
  'a bulk beyond the waiting limit is refused at once, and reads continue',
  async () => {
    const server = await startServer({
      LOCK_TIMEOUT_MS: '120000',
      REQUEST_TIMEOUT_MS: '150000',
    });
    const connection = await createConnection(server.databaseUrl.replace(/^mariadb:/, 'mysql:'));
    await connection.query('start transaction');
    await connection.query(`select id from account where iban = '${ACME}' for update`);
    // The first bulk finds the account locked; the others wait behind it.
    const waiting = Array.from({ length: 24 }, () =>
      server.client.perform(aBulk(transfersOf(10_000, '0.01'))),
    );
    let answered = 0;
    const refused = new Promise((resolve) => {
      for (const bulk of waiting) {
        void bulk.then((answer) => {
          answered += 1;
          if (answer.__typename === 'AccountBusy') resolve(answer);
        });
      }
    });

    expect(await refused).toMatchObject({ code: 'ACCOUNT_BUSY', retryable: true });
    expect(await server.client.balance(ACME)).toBe('100000.00');
    expect(await server.client.perform(aBulk([aTransfer()]))).toMatchObject({
      code: 'ACCOUNT_BUSY',
    });
    // The earlier bulks still wait, so this one was not refused for its own timeout.
    expect(answered).toBeLessThan(waiting.length);
    await connection.end();
    const types = typesOf(await Promise.all(waiting));
    expect(types.BulkTransferPerformed).toBeGreaterThan(0);
  },
);
