import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { openDatabase } from '../../src/infrastructure/database/open-database.js';
import { ACME, aBulk, aTransfer, GLOBEX, transfersOf } from '../support/builders.js';
import { runScript, startProcess } from '../support/process.js';
import { startServerOn } from '../support/server.js';
import { createMigratedDatabase } from '../support/test-database.js';

/** Returns a ledger with rows of every kind. Its server has ended. */
async function aLedger() {
  const database = await createMigratedDatabase();
  onTestFinished(() => database.drop());
  const server = await startServerOn(database);
  await server.client.perform(aBulk(transfersOf(3), { idempotencyKey: 'k' }));
  await server.client.perform(aBulk([aTransfer({ amount: '5', counterpartyIban: GLOBEX })]));
  await server.close();
  const settings = { databaseUrl: database.url, databasePoolMax: 3, lockTimeoutMs: 1_000 };
  const opened = await openDatabase(settings);
  onTestFinished(() => opened.close());
  return { opened, url: database.url };
}

test('npm run verify prints each invariant, and exits with 1 on a violation', async () => {
  const { opened, url } = await aLedger();
  await opened.orm.em.execute(`update account set balance_minor = 0 where iban = '${ACME}'`);

  const { code, output } = await runScript('dist/commands/verify.js', { DATABASE_URL: url });

  expect(code).toBe(1);
  expect(output).toContain("VIOLATED  an account's balance is the sum of its ledger entries");
  expect(output).toMatch(/^[0-9]+ invariants checked, 1 violated$/m);
});

test('npm run verify passes while a server performs bulks', async () => {
  const database = await createMigratedDatabase();
  onTestFinished(() => database.drop());
  const env = { DATABASE_URL: database.url };
  const server = await startProcess(env);
  let isVerified = false;
  const stream = (async () => {
    while (!isVerified) {
      await server.client.perform(aBulk(transfersOf(20, '0.01')));
      // A pause limits the number of rows that must be recounted.
      await sleep(20);
    }
  })();

  for (let round = 0; round < 3; round += 1) {
    expect(await runScript('dist/commands/verify.js', env)).toMatchObject({ code: 0 });
  }

  isVerified = true;
  await stream;
  await server.stop();
});
