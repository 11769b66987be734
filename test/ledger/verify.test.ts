import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { openDatabase } from '../../src/infrastructure/database/open-database.js';
import { ORDER_SQL_CHECKS } from '../../src/infrastructure/verify/order-checks.js';
import { SEARCH_CHECKS } from '../../src/infrastructure/verify/search-checks.js';
import { SQL_CHECKS } from '../../src/infrastructure/verify/sql-checks.js';
import { WEBHOOK_SQL_CHECKS } from '../../src/infrastructure/verify/webhook-checks.js';
import { ACME, aBulk, aTransfer, GLOBEX, transfersOf } from '../support/builders.js';
import { registerWebhooks, startReceiver } from '../support/full-webhooks.js';
import { MYSQL_URL } from '../support/mysql-url.js';
import { runScript, startProcess } from '../support/process.js';
import { startServerOn } from '../support/server.js';
import { createMigratedDatabase, DIALECT } from '../support/test-database.js';

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

test('npm run verify passes while a server calls webhooks, and after the server was killed', async () => {
  const database = await createMigratedDatabase();
  onTestFinished(() => database.drop());
  const receiver = await startReceiver();
  onTestFinished(() => receiver.stop());
  const env = { DATABASE_URL: database.url };
  const verified = () => runScript('dist/commands/verify.js', env);
  const killed = await startProcess(env);
  const { all, listed } = await registerWebhooks(killed.client, receiver);
  const isEnding = new AbortController();
  const rows = [...transfersOf(10, '0.01'), aTransfer({ amount: '1', counterpartyIban: GLOBEX })];
  const stream = (async () => {
    for (const since = new Date().toISOString(); !isEnding.signal.aborted; ) {
      await killed.client.perform(aBulk(rows));
      for (const id of [all, listed]) {
        const again = `redeliverSince(webhookId: "${id}", since: "${since}") { __typename }`;
        await killed.client.data(`mutation { ${again} }`);
      }
    }
  })();

  expect(await verified()).toMatchObject({ code: 0 });
  expect(await verified()).toMatchObject({ code: 0 });

  isEnding.abort();
  await stream;
  await killed.kill();
  expect(await verified()).toMatchObject({ code: 0 });

  const next = await startProcess(env);
  expect(await verified()).toMatchObject({ code: 0 });
  await next.stop();
  expect(await verified()).toMatchObject({ code: 0 });
});

/** One table that a statement reads, in the words of MariaDB's EXPLAIN. */
interface PlanStep {
  readonly id: number;
  readonly select_type: string;
  readonly table: string;
  readonly type: string;
}

/** Few rows: those of API keys, and the entries of the audit log about them. */
const isAboutApiKeys = (statement: string) => statement.startsWith('an API key was ');

/** Returns the tables that a plan reads once for each row of another table, unless it reads one row by a unique key. */
function repeatedReads(plan: readonly PlanStep[]): string[] {
  const isRepeated = ({ id, select_type }: PlanStep, index: number) =>
    select_type === 'DEPENDENT SUBQUERY' || plan.findIndex((step) => step.id === id) < index;
  // MariaDB makes an index for a derived table, and reads it by `ref`.
  const isByKey = ({ type, table }: PlanStep) =>
    type === 'eq_ref' || (type === 'ref' && table.startsWith('<derived'));
  return plan
    .filter((step, index) => isRepeated(step, index) && !isByKey(step))
    .map(({ table, type }) => `${table} by ${type}`);
}

test.runIf(DIALECT === 'mysql' && MYSQL_URL.startsWith('mariadb:'))(
  'no invariant reads a table again for each row of another one, even if the statistics say that all are empty',
  async () => {
    const database = await createMigratedDatabase();
    onTestFinished(() => database.drop());
    const settings = { databaseUrl: database.url, databasePoolMax: 3, lockTimeoutMs: 1_000 };
    const { orm, close } = await openDatabase(settings);
    onTestFinished(close);

    const repeated: string[] = [];
    for (const { statements, violationsSql } of [
      ...SQL_CHECKS,
      ...SEARCH_CHECKS,
      ...WEBHOOK_SQL_CHECKS,
      ...ORDER_SQL_CHECKS,
    ]) {
      const [statement = ''] = statements;
      if (isAboutApiKeys(statement)) continue;
      const parameters = violationsSql.includes('?') ? [new Date(0)] : [];
      const plan: PlanStep[] = await orm.em.execute(`explain ${violationsSql}`, parameters);

      repeated.push(...repeatedReads(plan).map((read) => `${statement}: ${read}`));
    }

    expect(repeated).toEqual([]);
  },
);
