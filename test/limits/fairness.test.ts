import { expect, test } from 'vitest';
import type { LockedLedger } from '../../src/application/ports/unit-of-work.js';
import { AbandonedError, DomainError } from '../../src/domain/errors.js';
import { MikroOrmScopedLedgerReader } from '../../src/infrastructure/ledger/scoped-ledger-reader.js';
import { MikroOrmUnitOfWork } from '../../src/infrastructure/ledger/unit-of-work.js';
import { NO_PUBLISHER } from '../../src/infrastructure/outbox/outbox.js';
import { ACME, aBulk, aTransfer, GLOBEX, transfersOf } from '../support/builders.js';
import { NO_CATCHING_UP, startServer } from '../support/server.js';

/** A load that keeps the server busy for a while. */
const FLOOD_BULKS = 8;
const FLOOD_ROWS = 9_500;

/** Exceeds the 2,000 units of work that one company may have in the line. */
const FLOOD_UNITS = 2_200;

test('a company is served while another one floods the server with large bulks', async () => {
  const { client } = await startServer({ LOCK_TIMEOUT_MS: '120000', REQUEST_TIMEOUT_MS: '150000' });
  let isFlooding = true;
  const flood = Promise.all(
    Array.from({ length: FLOOD_BULKS }, () =>
      client.perform(aBulk(transfersOf(FLOOD_ROWS, '0.01'))),
    ),
  ).finally(() => {
    isFlooding = false;
  });

  const answers: string[] = [];
  while (isFlooding) {
    const small = { organizationIban: GLOBEX, creditTransfers: [aTransfer()] };
    answers.push((await client.perform(small)).__typename);
  }

  expect(new Set(answers)).toEqual(new Set(['BulkTransferPerformed']));
  // The small bulks are performed during the flood, not after it.
  expect(answers.length).toBeGreaterThan(3);
  const ofFlood = new Set((await flood).map(({ __typename }) => __typename));
  expect(ofFlood).toContain('BulkTransferPerformed');
});

test('a unit of work is served while thousands of another organization wait', async () => {
  const { client, database } = await startServer();
  const { acme, globex } = await client.data(
    `{ acme: account(iban: "${ACME}") { id } globex: account(iban: "${GLOBEX}") { id } }`,
  );
  const unitOfWork = new MikroOrmUnitOfWork(database, 60_000, NO_PUBLISHER);
  const settled: string[] = [];
  const run = (name: string, accountId: string, work: (ledger: LockedLedger) => unknown) =>
    unitOfWork.run({ organizationId: name, accountIds: [accountId], rowCount: 1 }, work).then(
      () => settled.push(name),
      (error) => settled.push(`${name} ${error instanceof DomainError ? error.message : error}`),
    );
  const balanceOf = (id: string) => (ledger: LockedLedger) => ledger.account(id).balanceMinor;

  const flood = Array.from({ length: FLOOD_UNITS }, () => run('a', acme.id, balanceOf(acme.id)));
  await run('b', globex.id, balanceOf(globex.id));

  expect(settled).toContain('b');
  expect(settled.filter((name) => name === 'a').length).toBeLessThan(FLOOD_UNITS / 2);
  await Promise.all(flood);
  // The line refused the units above its capacity; the other company took a place of A's.
  expect(settled.filter((name) => name === 'a ACCOUNT_BUSY')).toHaveLength(FLOOD_UNITS - 2_000 + 1);
});

test('work whose client has disconnected is not performed', async () => {
  const { client, database } = await startServer();
  const { account } = await client.data(`{ account(iban: "${ACME}") { id } }`);
  const unitOfWork = new MikroOrmUnitOfWork(database, 60_000, NO_PUBLISHER);
  let isPerformed = false;
  const request = { organizationId: 'a', accountIds: [account.id], rowCount: 1 };

  const abandoned = unitOfWork.run({ ...request, isAbandoned: () => true }, () => {
    isPerformed = true;
  });

  await expect(abandoned).rejects.toThrow(AbandonedError);
  expect(isPerformed).toBe(false);
});

test("a caller's read is served among the queued reads of another caller", async () => {
  const { database } = await startServer();
  const answered: string[] = [];
  const read = async (key: string) => {
    const reader = new MikroOrmScopedLedgerReader(database, NO_CATCHING_UP, 'all', { key });
    await reader.accounts({ size: 10, fromEnd: false });
    answered.push(key);
  };

  const reads = [...Array.from({ length: 200 }, () => read('a')), read('b'), read('b')];
  await Promise.all(reads);

  // The units of A in progress come first, then one for each of B's.
  expect(answered.lastIndexOf('b')).toBeLessThan(30);
});

test('a large bulk is never partly visible, however many turns its rows take', async () => {
  const { client, database } = await startServer();
  let isWritten = false;
  const bulk = client.perform(aBulk(transfersOf(10_000, '0.01'))).finally(() => {
    isWritten = true;
  });
  const counts = new Set<number>();

  while (!isWritten) {
    const [row] = await database.orm.em.fork().execute('select count(*) as count from transfer');
    counts.add(Number(row?.count));
    await new Promise(setImmediate);
  }

  expect(await bulk).toMatchObject({ __typename: 'BulkTransferPerformed' });
  expect([...counts].filter((count) => count !== 0 && count !== 10_000)).toEqual([]);
});
