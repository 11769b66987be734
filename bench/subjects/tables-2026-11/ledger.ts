/** The ledger with the tables of November 2026 on MariaDB: its accounts and its recount. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RowDataPacket } from 'mysql2/promise';
import { v7 } from 'uuid';
import { ACCOUNTS, BIC, OPENING_BALANCE } from '../../harness/bulk-requests.ts';
import { type BenchDatabase, createMariaDb, onMariaDb } from '../../harness/databases.ts';

const newId = () => v7(undefined, Buffer.alloc(16));

/** Creates a database with every account of the bench. @param name tells the databases of one program apart */
export async function createLedgerOf2026(name: string): Promise<BenchDatabase> {
  const database = await createMariaDb(name);
  const tables = await readFile(join(import.meta.dirname, 'tables.sql'), 'utf8');
  const balance = BigInt(OPENING_BALANCE.replace('.', ''));
  const at = new Date();
  await onMariaDb(async (connection) => {
    for (const statement of tables.split(';\n')) {
      if (statement.trim() !== '') await connection.query(statement);
    }
    for (const iban of ACCOUNTS) {
      const id = newId();
      await connection.query(
        `insert into account (id, organization_id, organization_name, iban, bic, currency,
          balance_minor, sequence, created_at, updated_at) values (?,?,?,?,?,'EUR',?,1,?,?)`,
        [id, newId(), 'Company', iban, BIC, balance, at, at],
      );
      await connection.query(
        `insert into ledger_entry (id, account_id, sequence, kind, currency, amount_minor,
          balance_after_minor, description, created_at)
        values (?,?,1,'INCOMING_TRANSFER','EUR',?,?,'Opening',?)`,
        [newId(), id, balance, balance, at],
      );
    }
  }, database.url);
  return database;
}

/** The invariants of Virement, as far as a subject could violate them. */
const VIOLATIONS = `
  select 'account' as violated, hex(a.id) as id from account a
  left join (
    select account_id, count(*) as entries, sum(amount_minor) as total
    from ledger_entry group by account_id
  ) e on e.account_id = a.id
  where not e.total <=> a.balance_minor or not e.entries <=> a.sequence
  union all
  select 'bulk', hex(b.id) from bulk_transfer b
  left join (
    select bulk_transfer_id, count(*) as transfers, sum(amount_minor) as total
    from transfer group by bulk_transfer_id
  ) t on t.bulk_transfer_id = b.id
  where not t.transfers <=> b.transfer_count or not t.total <=> b.total_amount_minor
  union all
  select 'outbox', hex(b.id) from bulk_transfer b
  left join outbox_message m on m.account_id = b.account_id and m.sequence = b.sequence
  where m.id is null
  limit 20`;

/** @throws Error that lists the violations */
export async function verifyLedgerOf2026(databaseUrl: string): Promise<void> {
  const [rows] = await onMariaDb(
    (connection) => connection.query<RowDataPacket[]>(VIOLATIONS),
    databaseUrl,
  );
  if (rows.length > 0) throw new Error(`The ledger is wrong: ${JSON.stringify(rows)}`);
}
