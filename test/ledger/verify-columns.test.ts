import type { EntityManager } from '@mikro-orm/sql';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openDatabase } from '../../src/infrastructure/database/open-database.js';
import type { Finding } from '../../src/infrastructure/verify/check.js';
import { checkInvariants, recountInvariants } from '../../src/infrastructure/verify/invariants.js';
import { ORDER_CHECKS } from '../../src/infrastructure/verify/order-checks.js';
import {
  CORRUPTIONS,
  DELETIONS,
  SEARCH_CORRUPTIONS,
  SEARCH_DELETIONS,
} from '../support/corruptions.js';
import { fillDeadLetters, fillLedger, fillOutbox } from '../support/full-ledger.js';
import { fillOrders } from '../support/full-orders.js';
import { fillWebhooks } from '../support/full-webhooks.js';
import { createMigratedDatabase, DIALECT } from '../support/test-database.js';

/**
 * Invariants that the database itself enforces. Verification checks them all the same, for a database without its
 * constraints.
 */
const GUARDED = [
  'no balance is negative, or larger than the largest possible balance',
  'an idempotency key of an account belongs to at most one bulk',
  'an idempotency key of an account belongs to at most one credit',
];

/** The table of MikroORM's migrations. */
const MIGRATIONS = 'virement_migration';

/** A time before all published messages, so all of them must be kept. */
const EVER = new Date(0);

const [FOREIGN_KEYS_OFF, FOREIGN_KEYS_ON] =
  DIALECT === 'mysql'
    ? ['set foreign_key_checks = 0', 'set foreign_key_checks = 1']
    : ['pragma foreign_keys = off', 'pragma foreign_keys = on'];

/** A fault in one row, and the violations that verification reports. */
interface Fault {
  readonly name: string;
  /** @param key the condition that selects the row */
  readonly statement: (key: string) => string;
  readonly table: string;
  readonly where: string;
}

const ALL_CORRUPTIONS =
  DIALECT === 'mysql' ? { ...CORRUPTIONS, ...SEARCH_CORRUPTIONS } : CORRUPTIONS;
const ALL_DELETIONS = DIALECT === 'mysql' ? [...DELETIONS, ...SEARCH_DELETIONS] : DELETIONS;

const FAULTS: readonly Fault[] = [
  ...Object.entries(ALL_CORRUPTIONS).flatMap(([column, { found = [] }]) =>
    found.map(([set, where = '1 = 1']) => {
      const [table = ''] = column.split('.');
      const statement = (key: string) => `update ${table} set ${set} where ${key}`;
      return { name: `${column}: ${set} where ${where}`, table, where, statement };
    }),
  ),
  ...ALL_DELETIONS.map(([table, where]) => ({
    name: `delete from ${table} where ${where}`,
    table,
    where,
    statement: (key: string) => `delete from ${table} where ${key}`,
  })),
];

/** The columns of every table, and the violations of each fault: empty if verification does not find it. */
let columns: string[];
let statements: string[];
let untouched: string[];
const violatedBy = new Map<string, string[]>();

beforeAll(async () => {
  const database = await createMigratedDatabase();
  afterAll(() => database.drop());
  await fillLedger(database);
  const settings = { databaseUrl: database.url, databasePoolMax: 3, lockTimeoutMs: 1_000 };
  const opened = await openDatabase(settings);
  afterAll(() => opened.close());
  await fillOutbox(opened);
  await fillDeadLetters(opened);
  await fillWebhooks(opened);
  await fillOrders(opened);
  const em = opened.orm.em.fork();
  columns = await columnsOf(em);
  const findings = await checkInvariants(opened, EVER);
  statements = findings.map(({ statement }) => statement);
  untouched = violatedOf(findings);
  // SQLite has one connection, and changes this setting only outside of transactions.
  if (DIALECT === 'sqlite') await em.execute(FOREIGN_KEYS_OFF);
  for (const fault of FAULTS) violatedBy.set(fault.name, await tryFault(em, fault));
}, 300_000);

async function columnsOf(em: EntityManager): Promise<string[]> {
  const sql =
    DIALECT === 'mysql'
      ? `select concat(table_name, '.', column_name) as name from information_schema.columns
          where table_schema = database() and table_name <> '${MIGRATIONS}'`
      : `select tables.name || '.' || columns.name as name
          from pragma_table_list tables join pragma_table_info(tables.name) columns
          where tables.schema = 'main' and tables.type = 'table'
            and tables.name not like 'sqlite_%' and tables.name <> '${MIGRATIONS}'`;
  const rows: { name: string }[] = await em.execute(sql);
  return rows.map(({ name }) => name).sort();
}

/** Returns the condition that selects one of the rows. */
async function keyOfOne(em: EntityManager, table: string, where: string) {
  const key = KEYS[table] ?? ['id'];
  const columns = key.map((column) => (isId(column) ? `hex(${column}) as ${column}` : column));
  const rows: Record<string, string>[] = await em.execute(
    `select ${columns.join(', ')} from ${table} where ${where} order by ${key.join(', ')} limit 1`,
  );
  const [row] = rows;
  const conditions = key.map((column) => {
    const value = row?.[column];
    return `${column} = ${isId(column) ? `x'${value}'` : value}`;
  });
  return row && conditions.join(' and ');
}

/** The columns that identify a row, in tables without an id. */
const KEYS: Readonly<Record<string, readonly string[]>> = {
  transfer: ['account_id', 'position'],
  incoming_transfer: ['account_id', 'position'],
  webhook_cursor: ['webhook_id', 'account_id'],
  webhook_attempt: ['delivery_id', 'number'],
  order_row: ['order_id', 'row_index'],
  search_iban: ['account_short_id', 'list', 'position'],
  search_name: ['account_short_id', 'list', 'position'],
  search_amount: ['account_short_id', 'list', 'position'],
  search_end_to_end_id: ['account_short_id', 'list', 'position'],
  search_watermark: ['account_short_id'],
};

const IDS = ['id', 'account_id', 'webhook_id', 'delivery_id', 'order_id'];

const isId = (column: string) => IDS.includes(column);

class RolledBack extends Error {}

/** The tables of orders. No check of another table reads them, so their faults need few checks. */
const ORDER_TABLES = ['bulk_transfer_order', 'order_row'];

/** Runs the checks that may find a fault in a table. */
async function checkAfter(table: string, em: EntityManager): Promise<Finding[]> {
  if (!ORDER_TABLES.includes(table)) return recountInvariants(em, EVER);
  const findings: Finding[] = [];
  for (const check of ORDER_CHECKS) findings.push(...(await check.run(em, EVER)));
  return findings;
}

/** Makes a fault, verifies, and reverts it. */
async function tryFault(em: EntityManager, { name, table, where, statement }: Fault) {
  let violated: string[] = [];
  await em
    .transactional(async (inside) => {
      if (DIALECT === 'mysql') await inside.execute(FOREIGN_KEYS_OFF);
      const key = await keyOfOne(inside, table, where);
      if (!key) throw new Error(`The ledger has no row for ${name}`);
      const { affectedRows } = await inside.execute<{ affectedRows: number }>(
        statement(key),
        [],
        'run',
      );
      if (affectedRows !== 1) throw new Error(`Nothing changes by ${name}`);
      violated = violatedOf(await checkAfter(table, inside));
      if (DIALECT === 'mysql') await inside.execute(FOREIGN_KEYS_ON);
      throw new RolledBack();
    })
    .catch((error: unknown) => {
      if (!(error instanceof RolledBack)) throw new Error(name, { cause: error });
    });
  return violated;
}

function violatedOf(findings: Awaited<ReturnType<typeof checkInvariants>>): string[] {
  return findings
    .filter(({ violations }) => violations.length > 0)
    .map(({ statement }) => statement);
}

test('a ledger with rows of every kind violates no invariant', () => {
  expect(untouched).toEqual([]);
});

test('every column of every table is corrupted by a test, or has a reason why no other data reveals it', () => {
  expect(Object.keys(ALL_CORRUPTIONS).sort()).toEqual(columns);
  const bare = Object.entries(ALL_CORRUPTIONS).filter(([, { found, free }]) => !found && !free);
  expect(bare).toEqual([]);
});

test.each(FAULTS.map(({ name }) => name))('verification finds: %s', (name) => {
  expect(violatedBy.get(name)).not.toEqual([]);
});

test('every invariant finds one of these faults, or concerns what the database refuses', () => {
  const violated = new Set([...violatedBy.values()].flat());
  expect(statements.filter((statement) => !violated.has(statement))).toEqual(GUARDED);
});
