/**
 * The ledger's invariants, recounted from the rows. Each is a query that lists what breaks it, and
 * lists nothing while it holds; it is written in the SQL that SQLite, MySQL and MariaDB share.
 */
import { MINOR_UNITS_MAX } from '../../domain/money.js';
import { firstPositionOf } from '../../domain/postings.js';
import type { Database } from './dialect.js';

export interface Invariant {
  /** A sentence that is true of every row. */
  readonly statement: string;
  /** Lists the violations: any columns that help to find them. */
  readonly violationsSql: string;
  /** Whether it has one parameter: the moment since which outbox messages are kept. */
  readonly isAboutKept?: true;
}

/** An invariant, and what breaks it. */
export interface Finding {
  readonly statement: string;
  readonly violations: readonly Readonly<Record<string, unknown>>[];
}

/** Violations of one invariant that are listed. */
export const VIOLATIONS_LISTED_MAX = 20;

export const INVARIANTS: readonly Invariant[] = [
  {
    statement: 'no balance is negative, or wider than can be kept exactly',
    violationsSql: `
      select hex(id) as account, balance_minor from account
      where balance_minor < 0 or balance_minor > ${MINOR_UNITS_MAX}`,
  },
  {
    statement: "an account's balance is the sum of its ledger entries",
    violationsSql: `
      select hex(a.id) as account, a.balance_minor, coalesce(e.total, 0) as entries_total
      from account a
      left join (
        select account_id, sum(amount_minor) as total from ledger_entry group by account_id
      ) e on e.account_id = a.id
      where a.balance_minor <> coalesce(e.total, 0)`,
  },
  {
    statement: "an account's sequence is the number of its ledger entries",
    violationsSql: `
      select hex(a.id) as account, a.sequence, coalesce(e.entries, 0) as entries
      from account a
      left join (
        select account_id, count(*) as entries from ledger_entry group by account_id
      ) e on e.account_id = a.id
      where a.sequence <> coalesce(e.entries, 0)`,
  },
  {
    statement: 'ledger entries are numbered 1, 2, 3 … without a gap in each account',
    violationsSql: `
      select hex(account_id) as account, sequence, place from (
        select account_id, sequence,
          row_number() over (partition by account_id order by sequence) as place
        from ledger_entry
      ) numbered
      where sequence <> place`,
  },
  {
    statement: 'replaying the ledger entries from nothing gives every balance on the way',
    violationsSql: `
      select hex(account_id) as account, sequence, balance_after_minor, replayed from (
        select account_id, sequence, balance_after_minor,
          sum(amount_minor) over (partition by account_id order by sequence) as replayed
        from ledger_entry
      ) running
      where balance_after_minor <> replayed or balance_after_minor < 0`,
  },
  {
    statement: 'a ledger entry is never earlier than the one before it',
    violationsSql: `
      select hex(account_id) as account, sequence, created_at, before_it from (
        select account_id, sequence, created_at,
          lag(created_at) over (partition by account_id order by sequence) as before_it
        from ledger_entry
      ) timed
      where created_at < before_it`,
  },
  {
    statement: 'a ledger entry and its account have one currency',
    violationsSql: `
      select hex(e.id) as entry, e.currency, a.currency as account_currency
      from ledger_entry e left join account a on a.id = e.account_id
      where a.id is null or e.currency <> a.currency`,
  },
  {
    statement: 'debits belong to bulks; money from outside to none; book transfers to one',
    violationsSql: `
      select hex(id) as entry, kind, amount_minor from ledger_entry
      where (kind = 'BULK_TRANSFER' and (amount_minor >= 0 or bulk_transfer_id is null))
        or (kind = 'INCOMING_TRANSFER' and (amount_minor <= 0 or bulk_transfer_id is not null))
        or (kind = 'BOOK_TRANSFER' and (amount_minor <= 0 or bulk_transfer_id is null))
        or kind not in ('BULK_TRANSFER', 'INCOMING_TRANSFER', 'BOOK_TRANSFER')`,
  },
  {
    statement: 'a bulk has all of its transfers, and its total is theirs',
    violationsSql: `
      select hex(b.id) as bulk, b.transfer_count, coalesce(t.transfers, 0) as transfers,
        b.total_amount_minor, coalesce(t.total, 0) as transfers_total
      from bulk_transfer b
      left join (
        select bulk_transfer_id, count(*) as transfers, sum(amount_minor) as total
        from transfer group by bulk_transfer_id
      ) t on t.bulk_transfer_id = b.id
      where b.transfer_count <> coalesce(t.transfers, 0)
        or b.total_amount_minor <> coalesce(t.total, 0)`,
  },
  {
    statement: 'transfers stand in the order of their bulk, 0, 1, 2 … without a gap',
    violationsSql: `
      select hex(id) as transfer, position, expected from (
        select t.id, t.position,
          b.sequence * ${firstPositionOf(1n)} - 1
            + row_number() over (partition by t.bulk_transfer_id order by t.position) as expected
        from transfer t join bulk_transfer b on b.id = t.bulk_transfer_id
      ) placed
      where position <> expected`,
  },
  {
    statement: 'a transfer has the account, currency and time of its bulk',
    violationsSql: `
      select hex(t.id) as transfer from transfer t
      left join bulk_transfer b on b.id = t.bulk_transfer_id
      where b.id is null or t.account_id <> b.account_id or t.currency <> b.currency
        or t.created_at <> b.created_at`,
  },
  {
    statement: 'each bulk is one debit of its account, with its total, sequence and balance',
    violationsSql: `
      select hex(b.id) as bulk, count(e.id) as debits from bulk_transfer b
      left join ledger_entry e on e.bulk_transfer_id = b.id and e.kind = 'BULK_TRANSFER'
        and e.account_id = b.account_id and e.sequence = b.sequence
        and e.amount_minor = -b.total_amount_minor
        and e.balance_after_minor = b.balance_after_minor and e.created_at = b.created_at
      group by b.id having count(e.id) <> 1`,
  },
  {
    statement: 'no debit is without its bulk',
    violationsSql: `
      select hex(e.id) as entry from ledger_entry e
      left join bulk_transfer b on b.id = e.bulk_transfer_id and b.account_id = e.account_id
        and b.sequence = e.sequence
      where e.kind = 'BULK_TRANSFER' and b.id is null`,
  },
  {
    statement: 'what a bulk sends to an account here is credited to it in one entry',
    violationsSql: `
      select hex(t.bulk_transfer_id) as bulk, hex(t.account_id) as account, t.sent, e.credited
      from (
        select bulk_transfer_id, counterparty_account_id as account_id, sum(amount_minor) as sent
        from transfer where counterparty_account_id is not null
        group by bulk_transfer_id, counterparty_account_id
      ) t
      left join (
        select bulk_transfer_id, account_id, sum(amount_minor) as credited, count(*) as entries
        from ledger_entry where kind = 'BOOK_TRANSFER' group by bulk_transfer_id, account_id
      ) e on e.bulk_transfer_id = t.bulk_transfer_id and e.account_id = t.account_id
      where e.account_id is null or e.entries <> 1 or e.credited <> t.sent`,
  },
  {
    statement: 'no book transfer is credited that no bulk sent',
    violationsSql: `
      select hex(e.id) as entry from ledger_entry e
      where e.kind = 'BOOK_TRANSFER' and not exists (
        select 1 from transfer t
        where t.bulk_transfer_id = e.bulk_transfer_id
          and t.counterparty_account_id = e.account_id
      )`,
  },
  {
    statement: 'a book transfer goes to the account that has its IBAN, and not to its own',
    violationsSql: `
      select hex(t.id) as transfer from transfer t
      left join account a on a.id = t.counterparty_account_id
      where t.counterparty_account_id is not null
        and (a.id is null or a.iban <> t.counterparty_iban or a.id = t.account_id
          or a.currency <> t.currency)`,
  },
  {
    statement: 'an idempotency key of an account stands for one bulk at most',
    violationsSql: `
      select hex(account_id) as account, hex(idempotency_key) as idempotency_key,
        count(*) as bulks
      from bulk_transfer where idempotency_key is not null
      group by account_id, idempotency_key having count(*) > 1`,
  },
  {
    statement: 'an idempotency key of an account stands for one credit at most',
    violationsSql: `
      select hex(account_id) as account, hex(idempotency_key) as idempotency_key,
        count(*) as credits
      from ledger_entry where idempotency_key is not null
      group by account_id, idempotency_key having count(*) > 1`,
  },
  {
    statement: 'every bulk and every credit from outside has its outbox message while it is kept',
    isAboutKept: true,
    violationsSql: `
      select hex(e.id) as entry, e.kind from ledger_entry e
      left join outbox_message m on m.account_id = e.account_id and m.sequence = e.sequence
        and m.type = case e.kind
          when 'BULK_TRANSFER' then 'bulk-transfer.performed' else 'account.credited' end
      where e.kind in ('BULK_TRANSFER', 'INCOMING_TRANSFER') and m.id is null
        and e.created_at > ?`,
  },
  {
    statement: 'an outbox message is due, published or parked, and one of these alone',
    violationsSql: `
      select hex(id) as message, due_at, published_at, parked_at from outbox_message
      where (case when due_at is null then 0 else 1 end)
        + (case when published_at is null then 0 else 1 end)
        + (case when parked_at is null then 0 else 1 end) <> 1`,
  },
  {
    statement: 'no outbox message tells of what did not happen',
    violationsSql: `
      select hex(m.id) as message, m.type from outbox_message m
      left join ledger_entry e on e.account_id = m.account_id and e.sequence = m.sequence
        and e.kind in ('BULK_TRANSFER', 'INCOMING_TRANSFER')
      where e.id is null`,
  },
];

/**
 * Recounts every invariant on one state of the database, whoever writes meanwhile.
 * @param keptSince published outbox messages may be gone that are older
 * @param onFinding hears of each as soon as it is counted
 */
export async function checkInvariants(
  { orm, snapshotIsolation }: Pick<Database, 'orm' | 'snapshotIsolation'>,
  keptSince: Date,
  onFinding: (finding: Finding) => void = () => {},
): Promise<Finding[]> {
  return orm.em.fork().transactional(async (em) => {
    const findings: Finding[] = [];
    for (const { statement, violationsSql, isAboutKept } of INVARIANTS) {
      const violations = await em.execute(
        `${violationsSql} limit ${VIOLATIONS_LISTED_MAX}`,
        isAboutKept ? [keptSince] : [],
      );
      const finding = { statement, violations };
      findings.push(finding);
      onFinding(finding);
    }
    return findings;
  }, snapshotIsolation);
}
