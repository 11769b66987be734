import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { openDatabase } from '../src/infrastructure/database/dialect.js';
import { checkInvariants } from '../src/infrastructure/database/invariants.js';
import { ACME, aBulk, aTransfer, GLOBEX, transfersOf } from './setup/builders.js';
import { runScript, startProcess } from './setup/process.js';
import { startServerOn } from './setup/server.js';
import { createMigratedDatabase, DIALECT } from './setup/test-database.js';

/** What breaks each invariant: every one of them can be violated, or it would check nothing. */
const VIOLATIONS: Readonly<Record<string, readonly string[]>> = {
  "an account's balance is the sum of its ledger entries": [
    `update account set balance_minor = balance_minor + 1 where iban = '${ACME}'`,
  ],
  "an account's sequence is the number of its ledger entries": [
    `update account set sequence = sequence + 1 where iban = '${ACME}'`,
  ],
  'ledger entries are numbered 1, 2, 3 … without a gap in each account': [
    'update ledger_entry set sequence = 9 where sequence = 3',
  ],
  'replaying the ledger entries from nothing gives every balance on the way': [
    'update ledger_entry set balance_after_minor = balance_after_minor + 1 where sequence = 2',
  ],
  'a ledger entry is never earlier than the one before it': [
    'update ledger_entry set created_at = CREATED where sequence = 3',
  ],
  'a ledger entry and its account have one currency': [
    "update ledger_entry set currency = 'USD' where sequence = 2",
  ],
  'debits belong to bulks; money from outside to none; book transfers to one': [
    "update ledger_entry set kind = 'INCOMING_TRANSFER' where kind = 'BULK_TRANSFER'",
  ],
  'a bulk has all of its transfers, and its total is theirs': [
    "delete from transfer where description = 'Row 1'",
  ],
  'transfers stand in the order of their bulk, 0, 1, 2 … without a gap': [
    "update transfer set position = position + 77 where description = 'Row 1'",
  ],
  'a transfer has the account, currency and time of its bulk': [
    "update transfer set currency = 'USD' where description = 'Row 1'",
  ],
  'each bulk is one debit of its account, with its total, sequence and balance': [
    'update bulk_transfer set balance_after_minor = balance_after_minor + 1',
  ],
  'no debit is without its bulk': [
    "update ledger_entry set bulk_transfer_id = null where kind = 'BULK_TRANSFER'",
  ],
  'what a bulk sends to an account here is credited to it in one entry': [
    "update ledger_entry set amount_minor = amount_minor - 1 where kind = 'BOOK_TRANSFER'",
  ],
  'no book transfer is credited that no bulk sent': [
    'update transfer set counterparty_account_id = null where counterparty_account_id is not null',
  ],
  'a book transfer goes to the account that has its IBAN, and not to its own': [
    "update transfer set counterparty_iban = 'X' where counterparty_account_id is not null",
  ],
  'an outbox message is due, published or parked, and one of these alone': [
    'update outbox_message set due_at = null, published_at = null',
  ],
  'every bulk and every credit from outside has its outbox message while it is kept': [
    'delete from outbox_message where sequence = 2',
  ],
  'no outbox message tells of what did not happen': [
    'update outbox_message set sequence = 99 where sequence = 3',
  ],
};

/** What the database itself refuses; verify counts it all the same, for a database without its constraints. */
const GUARDED = [
  'no balance is negative, or wider than can be kept exactly',
  'an idempotency key of an account stands for one bulk at most',
  'an idempotency key of an account stands for one credit at most',
];

const EVER = new Date(0);

/** A ledger with some of everything, its server gone. */
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

test('a ledger that was only used violates nothing', async () => {
  const { opened } = await aLedger();

  const findings = await checkInvariants(opened, EVER);

  expect(findings.filter(({ violations }) => violations.length > 0)).toEqual([]);
  expect(findings.map(({ statement }) => statement).sort()).toEqual(
    [...Object.keys(VIOLATIONS), ...GUARDED].sort(),
  );
});

const LONG_AGO = DIALECT === 'mysql' ? "'2001-01-01 00:00:00'" : '978307200000';

test.each(Object.entries(VIOLATIONS))('it is found out when not: %s', async (statement, sql) => {
  const { opened } = await aLedger();
  for (const violate of sql) await opened.orm.em.execute(violate.replace('CREATED', LONG_AGO));

  const findings = await checkInvariants(opened, EVER);

  const violated = findings.filter(({ violations }) => violations.length > 0);
  expect(violated.map((finding) => finding.statement)).toContain(statement);
});

test('npm run verify prints each invariant, and exits with 1 on a violation', async () => {
  const { opened, url } = await aLedger();
  await opened.orm.em.execute(`update account set balance_minor = 0 where iban = '${ACME}'`);

  const { code, output } = await runScript('dist/commands/verify.js', { DATABASE_URL: url });

  expect(code).toBe(1);
  expect(output).toContain("VIOLATED  an account's balance is the sum of its ledger entries");
  expect(output).toContain('21 invariants checked, 1 violated');
});

test('npm run verify holds beside a server that performs bulks', async () => {
  const database = await createMigratedDatabase();
  onTestFinished(() => database.drop());
  const env = { DATABASE_URL: database.url };
  const server = await startProcess(env);
  let isVerified = false;
  const stream = (async () => {
    while (!isVerified) {
      await server.client.perform(aBulk(transfersOf(20, '0.01')));
      // So that there is no ever more to recount.
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
