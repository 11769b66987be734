/** The ledger of PostGraphile on PostgreSQL: its tables and accounts, the mutation that performs a bulk, and the recount. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ACCOUNTS, BIC, OPENING_BALANCE } from '../../../harness/bulk-requests.ts';
import { type BenchDatabase, createPostgres, onPostgres } from '../../../harness/databases.ts';

export const PERFORM_BY_FUNCTION = `
  mutation ($input: PerformBulkTransferInput!) {
    performBulkTransfer(input: $input) {
      result { rowId transferCount totalAmountMinor balanceAfterMinor }
    }
  }`;

export async function createPostgresLedger(): Promise<BenchDatabase> {
  const database = await createPostgres('postgraphile');
  const schema = await readFile(join(import.meta.dirname, 'schema.sql'), 'utf8');
  await onPostgres(database.url, async (client) => {
    await client.query(schema);
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

/** The invariants that the command verify checks on MariaDB, as far as the function of this peer could violate them. */
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
  if (rows.length > 0) {
    throw new Error(`The ledger of PostGraphile is wrong: ${JSON.stringify(rows)}`);
  }
}
