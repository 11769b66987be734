/** The invariants that the database checks in SQL. */
import { DEVELOPER, PROGRAM } from '../../domain/caller.js';
import { PAYLOAD_BYTES_MAX, PAYLOAD_CUT } from '../../domain/dead-letter.js';
import {
  LEDGER_ENTRY_KINDS,
  type LedgerEntryKind,
  type OutboxMessageType,
} from '../../domain/kinds.js';
import { MINOR_UNITS_MAX } from '../../domain/money.js';
import { firstPositionOf } from '../../domain/postings.js';
import { TEXT_CHARACTERS_MAX } from '../../domain/text.js';
import { sequenceSql } from '../../entities/sequence-sql.js';
import { type SqlCheck, sqlCheck } from './check.js';
import { ORDER_ACTIONS } from './order-checks.js';
import { WEBHOOK_ACTIONS } from './webhook-checks.js';

/** The SQL condition that each kind of ledger entry fulfils. */
const FORM_OF: Readonly<Record<LedgerEntryKind, string>> = {
  BULK_TRANSFER: 'amount_minor < 0 and bulk_transfer_id is not null',
  INCOMING_TRANSFER: 'amount_minor > 0 and bulk_transfer_id is null',
  BOOK_TRANSFER: 'amount_minor > 0 and bulk_transfer_id is not null',
};

/** The type of the outbox message for each kind of ledger entry; null if the message of the bulk covers the entry. */
const MESSAGE_TYPES: Readonly<Record<LedgerEntryKind, OutboxMessageType | null>> = {
  BULK_TRANSFER: 'bulk-transfer.performed',
  INCOMING_TRANSFER: 'account.credited',
  BOOK_TRANSFER: null,
};

/** The same mapping in SQL, for a ledger entry e. */
const MESSAGE_TYPE_OF_KIND = `case e.kind ${LEDGER_ENTRY_KINDS.filter(
  (kind) => MESSAGE_TYPES[kind] !== null,
)
  .map((kind) => `when '${kind}' then '${MESSAGE_TYPES[kind]}'`)
  .join(' ')} end`;

/**
 * Returns a SQL condition that is true of every ledger entry. With it, MariaDB 11.8 finds an entry and its time by the
 * account and the sequence. Without it, the index by time has all columns, and the whole account is read from it.
 */
const hasKind = (entry: string) => `${entry}.kind <> ''`;

/**
 * Returns the SQL for the earliest possible time of an account's row: the time of the previous ledger entry, or of the
 * account's opening. A row has exactly this time only if the clock was behind it.
 * @param row alias of a table with account_id and sequence
 */
function timeBefore(row: string): string {
  return `coalesce(
          (select earlier.created_at from ledger_entry earlier
            where earlier.account_id = ${row}.account_id
              and earlier.sequence = ${row}.sequence - 1 and ${hasKind('earlier')}),
          (select opened.created_at from account opened where opened.id = ${row}.account_id))`;
}

/** The SQL condition that b is the bulk of a transfer t. */
const IS_BULK_OF_TRANSFER = `b.account_id = t.account_id and b.sequence = ${sequenceSql('t.position')}`;

/**
 * The SQL for what the transfers of each bulk add up to, with the bulk. The outer join makes every database read the
 * transfers once. With an inner join, MariaDB would read those of the account again for each bulk.
 */
const TRANSFERS_OF_BULKS = `(
        select account_id, ${sequenceSql('position')} as sequence, count(*) as transfers,
          sum(amount_minor) as total, max(position) as last_position
        from transfer group by account_id, ${sequenceSql('position')}
      ) t left join bulk_transfer b on b.account_id = t.account_id and b.sequence = t.sequence`;

/**
 * The SQL for what each bulk sent to each account of this server, beside what it credited there. Both sides are grouped
 * together instead of joined: without statistics, MariaDB would compare each row of one side with all rows of the other.
 */
const BOOK_TRANSFERS = `(
        select bulk_transfer_id, account_id,
          count(sent) as transfers, sum(sent) as sent, min(sent_for) as sent_for,
          count(credited) as entries, sum(credited) as credited, min(credited_for) as credited_for,
          min(entry) as entry
        from (
          select b.id as bulk_transfer_id, t.counterparty_account_id as account_id,
            t.amount_minor as sent, hex(t.description) as sent_for,
            null as credited, null as credited_for, null as entry
          from transfer t left join bulk_transfer b on ${IS_BULK_OF_TRANSFER}
          where t.counterparty_account_id is not null
          union all
          select bulk_transfer_id, account_id, null as sent, null as sent_for,
            amount_minor as credited, hex(description) as credited_for, hex(id) as entry
          from ledger_entry where kind = 'BOOK_TRANSFER'
        ) sent_and_credited
        group by bulk_transfer_id, account_id
      ) t`;

/**
 * Returns the SQL condition that an audit entry x contradicts the row that it names. The audit entry has the time of
 * the clock. The row may be later, at the time of the previous entry.
 */
function isNotRecorded(row: string): string {
  return `(${row}.id is null
          or (x.outcome = 'REPLAYED' and ${row}.idempotency_key is null)
          or (x.outcome = 'DONE' and x.at > ${row}.created_at)
          or (x.outcome = 'DONE' and x.at < ${row}.created_at
            and ${row}.created_at <> ${timeBefore(row)}))`;
}

/** The actions on orders and the mutations of webhooks, as lists in SQL. */
const ORDER_ACTIONS_SQL = ORDER_ACTIONS.map((action) => `'${action}'`).join(', ');

const WEBHOOK_ACTIONS_SQL = WEBHOOK_ACTIONS.map((action) => `'${action}'`).join(', ');

const LEDGER: readonly SqlCheck[] = [
  sqlCheck(
    'no balance is negative, or larger than the largest possible balance',
    `
      select hex(id) as account, balance_minor from account
      where balance_minor < 0 or balance_minor > ${MINOR_UNITS_MAX}`,
  ),
  sqlCheck(
    "an account's balance is the sum of its ledger entries",
    `
      select hex(a.id) as account, a.balance_minor, coalesce(e.total, 0) as entries_total
      from account a
      left join (
        select account_id, sum(amount_minor) as total from ledger_entry group by account_id
      ) e on e.account_id = a.id
      where a.balance_minor <> coalesce(e.total, 0)`,
  ),
  sqlCheck(
    "an account's sequence is the number of its ledger entries",
    `
      select hex(a.id) as account, a.sequence, coalesce(e.entries, 0) as entries
      from account a
      left join (
        select account_id, count(*) as entries from ledger_entry group by account_id
      ) e on e.account_id = a.id
      where a.sequence <> coalesce(e.entries, 0)`,
  ),
  sqlCheck(
    'ledger entries are numbered 1, 2, 3 … without a gap in each account',
    `
      select hex(account_id) as account, sequence, place from (
        select account_id, sequence,
          row_number() over (partition by account_id order by sequence) as place
        from ledger_entry
      ) numbered
      where sequence <> place`,
  ),
  sqlCheck(
    'the sum of the ledger entries up to each entry is the balance after that entry',
    `
      select hex(account_id) as account, sequence, balance_after_minor, replayed from (
        select account_id, sequence, balance_after_minor,
          sum(amount_minor) over (partition by account_id order by sequence) as replayed
        from ledger_entry
      ) running
      where balance_after_minor <> replayed or balance_after_minor < 0`,
  ),
  sqlCheck(
    'a ledger entry is never earlier than the one before it',
    `
      select hex(account_id) as account, sequence, created_at, before_it from (
        select account_id, sequence, created_at,
          lag(created_at) over (partition by account_id order by sequence) as before_it
        from ledger_entry
      ) timed
      where created_at < before_it`,
  ),
  sqlCheck(
    'a ledger entry and its account have one currency',
    `
      select hex(e.id) as entry, e.currency, a.currency as account_currency
      from ledger_entry e left join account a on a.id = e.account_id
      where a.id is null or e.currency <> a.currency`,
  ),
  sqlCheck(
    'a debit and a book transfer belong to a bulk; money from outside belongs to none',
    `
      select hex(id) as entry, kind, amount_minor from ledger_entry
      where not (${LEDGER_ENTRY_KINDS.map((kind) => `kind = '${kind}' and ${FORM_OF[kind]}`).join(' or ')})`,
  ),
  sqlCheck(
    'a bulk has all of its transfers, and its total is their sum',
    `
      select hex(b.id) as bulk, b.transfer_count, t.transfers,
        b.total_amount_minor, t.total as transfers_total
      from ${TRANSFERS_OF_BULKS}
      where coalesce(b.transfer_count, 0) <> t.transfers
        or coalesce(b.total_amount_minor, 0) <> t.total
      union all
      select hex(b.id) as bulk, b.transfer_count, 0 as transfers,
        b.total_amount_minor, 0 as transfers_total
      from bulk_transfer b
      left join transfer t on t.account_id = b.account_id
        and t.position = b.sequence * ${firstPositionOf(1n)}
      where t.account_id is null`,
  ),
  sqlCheck(
    'transfers are numbered in the order of their bulk, 0, 1, 2 … without a gap',
    `
      select hex(b.id) as bulk, b.transfer_count, t.last_position
      from ${TRANSFERS_OF_BULKS}
      where t.last_position
        <> coalesce(b.sequence * ${firstPositionOf(1n)} + b.transfer_count - 1, 0)`,
  ),
  sqlCheck(
    'a transfer belongs to a bulk',
    `
      select hex(t.account_id) as account, t.position from transfer t
      left join bulk_transfer b on ${IS_BULK_OF_TRANSFER}
      where b.id is null`,
  ),
  sqlCheck(
    'each bulk is one debit of its account, with its total, sequence and balance',
    `
      select hex(b.id) as bulk, count(e.id) as debits from bulk_transfer b
      left join ledger_entry e on e.bulk_transfer_id = b.id and e.kind = 'BULK_TRANSFER'
        and e.account_id = b.account_id and e.sequence = b.sequence
        and e.amount_minor = -b.total_amount_minor
        and e.balance_after_minor = b.balance_after_minor and e.created_at = b.created_at
      group by b.id having count(e.id) <> 1`,
  ),
  sqlCheck(
    'every debit has its bulk',
    `
      select hex(e.id) as entry from ledger_entry e
      left join bulk_transfer b on b.id = e.bulk_transfer_id and b.account_id = e.account_id
        and b.sequence = e.sequence
      where e.kind = 'BULK_TRANSFER' and b.id is null`,
  ),
  sqlCheck(
    'all transfers of a bulk to one account of this server are credited in one entry',
    `
      select hex(t.bulk_transfer_id) as bulk, hex(t.account_id) as account, t.sent, t.credited
      from ${BOOK_TRANSFERS}
      where t.transfers > 0 and (t.entries <> 1 or t.credited <> t.sent)`,
  ),
  sqlCheck(
    'every credit of a book transfer has a transfer of its bulk',
    `select t.entry from ${BOOK_TRANSFERS} where t.transfers = 0`,
  ),
  sqlCheck(
    'a book transfer goes to the account that has its IBAN, and not to its own',
    `
      select hex(t.account_id) as account, t.position from transfer t
      left join account payer on payer.id = t.account_id
      left join account payee on payee.id = t.counterparty_account_id
      where t.counterparty_account_id is not null
        and (payee.id is null or payee.iban <> t.counterparty_iban or payee.id = payer.id
          or payee.currency <> payer.currency)`,
  ),
  sqlCheck(
    'an idempotency key of an account belongs to at most one bulk',
    `
      select hex(account_id) as account, hex(idempotency_key) as idempotency_key,
        count(*) as bulks
      from bulk_transfer where idempotency_key is not null
      group by account_id, idempotency_key having count(*) > 1`,
  ),
  sqlCheck(
    'an idempotency key of an account belongs to at most one credit',
    `
      select hex(account_id) as account, hex(idempotency_key) as idempotency_key,
        count(*) as credits
      from ledger_entry where idempotency_key is not null
      group by account_id, idempotency_key having count(*) > 1`,
  ),
  sqlCheck(
    'a bulk and its account have one currency',
    `
      select hex(b.id) as bulk, b.currency, a.currency as account_currency
      from bulk_transfer b left join account a on a.id = b.account_id
      where a.id is null or b.currency <> a.currency`,
  ),
  sqlCheck(
    'an account was updated with its last ledger entry, or when it was opened',
    `
      select hex(a.id) as account, a.updated_at, e.created_at as last_entry_at
      from account a
      left join ledger_entry e on e.account_id = a.id and e.sequence = a.sequence
        and ${hasKind('e')}
      where a.updated_at <> coalesce(e.created_at, a.created_at)`,
  ),
  sqlCheck(
    'no ledger entry is earlier than its account',
    `
      select hex(e.id) as entry, e.created_at, a.created_at as opened_at
      from ledger_entry e join account a on a.id = e.account_id
      where e.sequence = 1 and e.created_at < a.created_at`,
  ),
  sqlCheck(
    'the debit and the credits of a bulk have one time, or the time of the entry before in the account that is ahead',
    `
      select hex(e.id) as entry, e.created_at, b.created_at as debited_at
      from ledger_entry e join bulk_transfer b on b.id = e.bulk_transfer_id
      where e.kind = 'BOOK_TRANSFER' and (
        (e.created_at > b.created_at and e.created_at <> ${timeBefore('e')})
        or (e.created_at < b.created_at and b.created_at <> ${timeBefore('b')})
      )`,
  ),
  sqlCheck(
    'an account belongs to an organization, and has its name',
    `
      select hex(a.id) as account, hex(a.organization_id) as organization from account a
      left join organization o on o.id = a.organization_id
      where o.id is null or hex(o.name) <> hex(a.organization_name)`,
  ),
  sqlCheck(
    'an organization was created with its first account',
    `
      select hex(o.id) as organization, o.created_at from organization o
      left join (
        select organization_id, min(created_at) as first_at from account group by organization_id
      ) a on a.organization_id = o.id
      where a.organization_id is null or a.first_at <> o.created_at`,
  ),
  sqlCheck(
    'an idempotency key has a fingerprint, and belongs to a bulk or to a credit from outside',
    `
      select 'bulk' as kind, hex(id) as id from bulk_transfer
      where (idempotency_key is null) <> (fingerprint is null)
      union all
      select kind, hex(id) as id from ledger_entry
      where (idempotency_key is null) <> (fingerprint is null)
        or (idempotency_key is not null and kind <> 'INCOMING_TRANSFER')`,
  ),
  sqlCheck(
    'the description of a debit is the number of its transfers',
    `
      select hex(e.id) as entry, b.transfer_count
      from ledger_entry e join bulk_transfer b on b.id = e.bulk_transfer_id
      where e.kind = 'BULK_TRANSFER' and hex(e.description) <> hex(concat('Bulk of ',
        b.transfer_count, case b.transfer_count when 1 then ' transfer' else ' transfers' end))`,
  ),
  sqlCheck(
    'the description of a book transfer is that of its transfer, or the number of transfers and the payer',
    `
      select t.entry, t.transfers
      from ${BOOK_TRANSFERS}
      left join bulk_transfer b on b.id = t.bulk_transfer_id
      left join account debtor on debtor.id = b.account_id
      where t.transfers > 0 and t.credited_for <> case t.transfers
        when 1 then t.sent_for
        else hex(substr(concat(t.transfers, ' transfers from ', debtor.organization_name),
          1, ${TEXT_CHARACTERS_MAX})) end`,
  ),
];

/** The condition that a transfer to an account of this ledger and an incoming transfer are the same transfer. */
const SAME_TRANSFER =
  't.account_id = i.payer_account_id and t.position = i.payer_position and t.counterparty_account_id = i.account_id';

const INCOMING: readonly SqlCheck[] = [
  sqlCheck(
    'each transfer to an account of this server is an incoming transfer of its payee',
    `
      select hex(t.account_id) as account, t.position from transfer t
      left join incoming_transfer i on ${SAME_TRANSFER}
      where t.counterparty_account_id is not null and i.account_id is null`,
  ),
  sqlCheck(
    'an incoming transfer has the amount, currency, description and end-to-end id that its payer sent',
    `
      select hex(i.account_id) as account, i.position from incoming_transfer i
      left join transfer t on ${SAME_TRANSFER}
      left join account payer on payer.id = i.payer_account_id
      where t.account_id is null or t.amount_minor <> i.amount_minor
        or payer.currency <> i.currency
        or hex(t.description) <> hex(i.description)
        or coalesce(hex(t.end_to_end_id), '-') <> coalesce(hex(i.end_to_end_id), '-')`,
  ),
  sqlCheck(
    "an incoming transfer has its payer's name and IBAN",
    `
      select hex(i.account_id) as account, i.position from incoming_transfer i
      left join account payer on payer.id = i.payer_account_id
      where payer.id is null or hex(payer.organization_name) <> hex(i.counterparty_name)
        or hex(payer.iban) <> hex(i.counterparty_iban)`,
  ),
  sqlCheck(
    'incoming transfers follow the ledger entry that credited them, with its time, in the order of the bulk',
    `
      select hex(account_id) as account, position, expected from (
        select i.account_id, i.position, i.created_at, e.created_at as credited_at,
          e.sequence * ${firstPositionOf(1n)} - 1 + row_number()
            over (partition by i.account_id, b.id order by i.payer_position) as expected
        from incoming_transfer i
        left join bulk_transfer b on b.account_id = i.payer_account_id
          and b.sequence = ${sequenceSql('i.payer_position')}
        left join ledger_entry e on e.account_id = i.account_id
          and e.sequence = ${sequenceSql('i.position')}
          and e.bulk_transfer_id = b.id and e.kind = 'BOOK_TRANSFER'
      ) placed
      where expected is null or position <> expected or created_at <> credited_at`,
  ),
];

const OUTBOX: readonly SqlCheck[] = [
  sqlCheck(
    'every bulk and every credit from outside has its outbox message while it is kept',
    `
      select hex(e.id) as entry, e.kind from ledger_entry e
      left join outbox_message m on m.subject_id = e.account_id and m.sequence = e.sequence
        and m.type = ${MESSAGE_TYPE_OF_KIND}
      where ${MESSAGE_TYPE_OF_KIND} is not null and m.id is null
        and e.created_at > ?`,
    { isAboutKept: true },
  ),
  sqlCheck(
    'an outbox message is exactly one of due, published and parked',
    `
      select hex(id) as message, due_at, published_at, parked_at from outbox_message
      where (case when due_at is null then 0 else 1 end)
        + (case when published_at is null then 0 else 1 end)
        + (case when parked_at is null then 0 else 1 end) <> 1`,
  ),
  sqlCheck(
    'no relay leases an outbox message that is not due',
    `
      select hex(id) as message, hex(leased_by) as relay from outbox_message
      where leased_by is not null and due_at is null`,
  ),
  sqlCheck(
    'an outbox message belongs to one bulk, credit or transition of an order, and has its time',
    `
      select hex(m.id) as message, m.type from outbox_message m
      left join ledger_entry e on e.account_id = m.subject_id and e.sequence = m.sequence
        and e.created_at = m.created_at
        and m.type = ${MESSAGE_TYPE_OF_KIND}
      left join order_transition t on t.order_id = m.subject_id and t.sequence = m.sequence
        and t.created_at = m.created_at and m.type = 'order.changed'
      where e.id is null and t.id is null`,
  ),
  sqlCheck(
    'an outbox message that failed or is parked has an error, and a published one has none',
    `
      select hex(id) as message, attempts, published_at, parked_at from outbox_message
      where attempts < 0
        or (published_at is not null and last_error is not null)
        or (published_at is null and attempts > 0 and last_error is null)
        or (parked_at is not null and (attempts < 1 or last_error is null))`,
  ),
];

const DEAD_LETTERS: readonly SqlCheck[] = [
  sqlCheck(
    'a dead letter arrived at least once, and first failed before it failed last',
    `
      select hex(id) as dead_letter, attempts, arrivals, first_failed_at, last_failed_at
      from dead_letter
      where attempts < 0 or arrivals < 1 or first_failed_at > last_failed_at`,
  ),
  sqlCheck(
    'the payload of a dead letter is whole, or cut at the largest length',
    `
      select hex(id) as dead_letter, reason, length(payload) as payload_bytes from dead_letter
      where length(payload) > ${PAYLOAD_BYTES_MAX}
        or (reason like '%${PAYLOAD_CUT}' and length(payload) <> ${PAYLOAD_BYTES_MAX})`,
  ),
];

/** The checks of the audit log and API keys. A database may be older than its audit log, so entries may be missing. */
const ACCESS: readonly SqlCheck[] = [
  sqlCheck(
    'an audit entry names the account and the subject that its action and outcome have',
    `
      select hex(id) as audit, action, outcome from audit_entry where not (
        (outcome in ('DONE', 'REPLAYED') and action in ('performBulkTransfer', 'creditAccount')
          and account_id is not null and subject_id is not null)
        or (action in (${ORDER_ACTIONS_SQL}) and account_id is not null
          and subject_id is not null and (outcome = 'DONE' or action = 'performOrder'))
        or (outcome = 'DONE' and action = 'createExport' and account_id is not null)
        or (outcome = 'DONE' and action = 'openAccount'
          and account_id is not null and subject_id is null)
        or (outcome = 'DONE' and action in ('createApiKey', 'revokeApiKey', 'retryOutboxMessage',
            'replayDeadLetters', 'discardDeadLetters', ${WEBHOOK_ACTIONS_SQL})
          and account_id is null and subject_id is not null)
        or (outcome = 'NOT_FOUND' and action = 'revokeApiKey'
          and account_id is null and subject_id is null)
        or (outcome = 'NOT_FOUND'
          and action in ('retryOutboxMessage', 'replayDeadLetters', 'discardDeadLetters')
          and account_id is null and subject_id is not null)
        or (outcome not in ('DONE', 'REPLAYED', 'NOT_FOUND')
          and account_id is null and subject_id is null)
      )`,
  ),
  sqlCheck(
    'an audit entry has a reason if dead letters were discarded, and only then',
    `
      select hex(id) as audit, action, outcome from audit_entry
      where (case when reason is null then 0 else 1 end)
        <> (case when action = 'discardDeadLetters' and outcome in ('DONE', 'NOT_FOUND')
          then 1 else 0 end)`,
  ),
  sqlCheck(
    'a bulk in the audit log exists, with its account and time; a replayed one has a key',
    `
      select hex(x.id) as audit, x.outcome from audit_entry x
      left join bulk_transfer b on b.id = x.subject_id and b.account_id = x.account_id
      where x.action = 'performBulkTransfer' and x.outcome in ('DONE', 'REPLAYED')
        and ${isNotRecorded('b')}`,
  ),
  sqlCheck(
    'a credit in the audit log exists, with its account and time; a replayed one has a key',
    `
      select hex(x.id) as audit, x.outcome from audit_entry x
      left join ledger_entry e on e.id = x.subject_id and e.account_id = x.account_id
        and e.kind = 'INCOMING_TRANSFER'
      where x.action = 'creditAccount' and x.outcome in ('DONE', 'REPLAYED')
        and ${isNotRecorded('e')}`,
  ),
  sqlCheck(
    'an account that was opened in the audit log exists, with that time',
    `
      select hex(x.id) as audit, x.at, a.created_at from audit_entry x
      left join account a on a.id = x.account_id
      where x.action = 'openAccount' and x.outcome = 'DONE'
        and (a.id is null or a.created_at <> x.at)`,
  ),
  sqlCheck(
    'the audit log has at most one making of each bulk, credit, account, API key and webhook',
    `
      select action, hex(subject) as subject_id, count(*) as entries
      from (
        select action, coalesce(subject_id, account_id) as subject from audit_entry
        where outcome = 'DONE'
          and action in ('performBulkTransfer', 'creditAccount', 'openAccount', 'createApiKey',
            'registerWebhook')
      ) done
      group by action, subject having count(*) > 1`,
  ),
  sqlCheck(
    'an API key was created as the audit log says',
    `
      select hex(k.id) as api_key, null as audit from api_key k
      left join audit_entry x on x.subject_id = k.id and x.action = 'createApiKey'
        and x.outcome = 'DONE' and x.at = k.created_at and hex(x.actor) = hex(k.created_by)
      where x.id is null
      union all
      select null as api_key, hex(x.id) as audit from audit_entry x
      left join api_key k on k.id = x.subject_id
      where x.action in ('createApiKey', 'revokeApiKey') and x.outcome = 'DONE' and k.id is null`,
  ),
  sqlCheck(
    'an API key was revoked as the audit log says, and not before it was created',
    `
      select hex(k.id) as api_key, k.created_at, k.revoked_at from api_key k
      left join (
        select subject_id, at from audit_entry where action = 'revokeApiKey' and outcome = 'DONE'
      ) x on x.subject_id = k.id
      group by k.id, k.created_at, k.revoked_at
      having k.revoked_at < k.created_at
        or (k.revoked_at is null and count(x.subject_id) > 0)
        or (k.revoked_at is not null
          and coalesce(sum(case when x.at = k.revoked_at then 1 else 0 end), 0) = 0)`,
  ),
  sqlCheck(
    'an API key expires, and was used, after it was created',
    `
      select hex(id) as api_key, created_at, expires_at, last_used_at from api_key
      where expires_at <= created_at or last_used_at < created_at`,
  ),
  sqlCheck(
    'the actor of an audit entry is a token, an API key that exists, or the server itself',
    `
      select hex(x.id) as audit, x.actor_kind from audit_entry x
      left join api_key k on k.prefix = x.actor
      where not (
        (x.actor_kind = 'token' and x.request_id <> '')
        or (x.actor_kind = 'api-key' and k.id is not null and x.request_id <> '')
        or (x.actor_kind = '${DEVELOPER.kind}' and x.actor = '${DEVELOPER.name}'
          and x.request_id <> '')
        or (x.actor_kind = '${PROGRAM.caller.kind}' and x.actor = '${PROGRAM.caller.name}'
          and x.request_id = '' and x.remote_address = '')
      )`,
  ),
];

export const SQL_CHECKS: readonly SqlCheck[] = [
  ...LEDGER,
  ...INCOMING,
  ...OUTBOX,
  ...DEAD_LETTERS,
  ...ACCESS,
];
