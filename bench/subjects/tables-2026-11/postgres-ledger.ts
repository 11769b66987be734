/** The ledger with the tables of November 2026 on PostgreSQL: its accounts and its recount. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ACCOUNTS, BIC, OPENING_BALANCE } from '../../harness/bulk-requests.ts';
import { type BenchDatabase, createPostgres, onPostgres } from '../../harness/databases.ts';

/**
 * Creates a database with every account of the bench.
 * @param name tells the databases of one program apart
 * @param functionsFile the SQL file of the functions that a peer calls
 */
export async function createPostgresLedger(
  name: string,
  functionsFile: string,
): Promise<BenchDatabase> {
  const database = await createPostgres(name);
  const tables = await readFile(join(import.meta.dirname, 'postgres-tables.sql'), 'utf8');
  const functions = await readFile(functionsFile, 'utf8');
  await onPostgres(database.url, async (client) => {
    await client.query(tables);
    await client.query(functions);
    await client.query(
      `with opened as (
        insert into account (id, organization_id, organization_name, iban, bic, currency, balance_minor, sequence)
        select new_id(), new_id(), 'Company ' || iban, iban, $2, 'EUR', $3, 1 from unnest($1::text[]) iban
        returning *
      )
      insert into ledger_entry (id, account_id, sequence, kind, currency, amount_minor, balance_after_minor, description, created_at)
      select new_id(), id, 1, 'INCOMING_TRANSFER', currency, balance_minor, balance_minor, 'Opening', created_at from opened`,
      [ACCOUNTS, BIC, OPENING_BALANCE.replace('.', '')],
    );
  });
  return database;
}

/** The invariants of Virement, as far as a peer could violate them. */
const VIOLATIONS = `
  select 'account' as violated, a.id from account a
  left join (
    select account_id, count(*) as entries, sum(amount_minor) as total
    from ledger_entry group by account_id
  ) e on e.account_id = a.id
  where e.total is distinct from a.balance_minor or e.entries is distinct from a.sequence
  union all
  select 'bulk', b.id from bulk_transfer b
  left join (
    select bulk_transfer_id, count(*) as transfers, sum(amount_minor) as total
    from transfer group by bulk_transfer_id
  ) t on t.bulk_transfer_id = b.id
  where t.transfers is distinct from b.transfer_count
    or t.total is distinct from b.total_amount_minor
  union all
  select 'outbox', b.id from bulk_transfer b
  left join outbox_message m on m.account_id = b.account_id and m.sequence = b.sequence
  where m.id is null
  limit 20`;

/** @throws Error that lists the violations */
export async function verifyPostgresLedger(databaseUrl: string): Promise<void> {
  const { rows } = await onPostgres(databaseUrl, (client) => client.query(VIOLATIONS));
  if (rows.length > 0) throw new Error(`The ledger is wrong: ${JSON.stringify(rows)}`);
}
