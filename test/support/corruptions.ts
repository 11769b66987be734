import { ACME, GLOBEX, ibanOf } from './builders.js';
import { DIALECT } from './test-database.js';

/** A change in one row, and a condition that selects the row. */
export type Corruption = readonly [set: string, where?: string];

/** The corruptions of a column that verification must find, and those that no other data reveals. */
export interface ColumnCorruptions {
  readonly found?: readonly Corruption[];
  readonly free?: string;
}

const SHIFT = DIALECT === 'mysql' ? 'interval 1000 microsecond' : '1';
const later = (column: string) => `${column} = ${column} + ${SHIFT}`;
const earlier = (column: string) => `${column} = ${column} - ${SHIFT}`;
/** A time that no clock was wrong by. */
const DAYS = DIALECT === 'mysql' ? 'interval 3 day' : '259200000';
const daysLater = (column: string) => `${column} = ${column} + ${DAYS}`;
const daysEarlier = (column: string) => `${column} = ${column} - ${DAYS}`;
const copied = (to: string, from: string) => `${to} = ${from}`;

/** A UUID of version 7, like every id here, that names nothing. */
const OTHER_ID = "x'019000000000700080000000000000ff'";
/** A UUID of version 4. */
const FOREIGN_ID = "x'4c2e0d5b2a174a3c9b1f0d6e5a7c8b90'";
const OTHER_IBAN = `'${ibanOf(4_711)}'`;
/** Two forms of a fingerprint of other content. */
const HASH = `'${'0123456789abcdef'.repeat(4)}'`;
const HASH_2 = `'2:${'0123456789abcdef'.repeat(3).slice(0, 43)}'`;

const bulkHas = (condition: string) => `exists (select 1 from bulk_transfer b where ${condition}
  and b.account_id = transfer.account_id and b.sequence = (transfer.position >> 20))`;
const keyedBulk = bulkHas('b.idempotency_key is not null');
const unkeyedBulk = bulkHas('b.idempotency_key is null');
const unkeyedOutside = `${unkeyedBulk} and counterparty_account_id is null`;
const WHOLE = "reason not like '%PAYLOAD_CUT'";
const debit = "kind = 'BULK_TRANSFER'";
const book = "kind = 'BOOK_TRANSFER'";
const incoming = "kind = 'INCOMING_TRANSFER'";
const done = (action: string) => `action = '${action}' and outcome = 'DONE'`;
const replayed = (action: string) => `action = '${action}' and outcome = 'REPLAYED'`;
const refused = "outcome = 'INSUFFICIENT_FUNDS'";
const notFound = (action: string) => `action = '${action}' and outcome = 'NOT_FOUND'`;

const PENDING = "status = 'PENDING'";
const DELIVERED = "status = 'DELIVERED'";
const FAILED = "status = 'FAILED'";
const LEASED = 'leased_by is not null';
const WAITING = `${PENDING} and due_at is null`;
const LISTED = 'account_ibans is not null';
const IS_DELETED = 'deleted_at is not null';
const IS_NOT_DELETED = 'deleted_at is null';
const TEST_EVENT = 'account_id is null';
const OF_ACCOUNT = 'account_id is not null';
const kindIs = (kind: string) => `kind = '${kind}'`;
const webhookHas = (condition: string) => `exists (select 1 from webhook w
  where w.id = webhook_delivery.webhook_id and ${condition})`;
/** The condition on a delivery whose event the webhook at the path gone has too. */
const IS_ALSO_OF_GONE = `${webhookHas("w.url like '%/up'")} and event_id in (
  select d.event_id from webhook_delivery d join webhook w on w.id = d.webhook_id
  where w.url like '%/gone')`;
const deliveryHas = (condition: string) => `exists (select 1 from webhook_delivery d
  where d.id = webhook_attempt.delivery_id and d.attempts = webhook_attempt.number and ${condition})`;
const hasDeliveries = (condition: string) => `exists (select 1 from webhook_delivery d
  where d.webhook_id = webhook.id and ${condition})`;
const hasReached = `exists (select 1 from webhook_delivery d where d.webhook_id =
  webhook_cursor.webhook_id and d.account_id = webhook_cursor.account_id)`;
const LISTED_CURSOR = `exists (select 1 from webhook w where w.id = webhook_cursor.webhook_id
  and w.${LISTED} and w.${IS_NOT_DELETED})`;
const NO_RESPONSE = 'http_status is null';
const WITHIN_A_DAY = 'clocks may differ, so the time is checked to a day only';

const ID_OF_NOTHING = 'nothing in the database refers to it, and any other UUIDv7 would do';

/** The corruptions of webhooks, of their deliveries and of the attempts of these. */
const OF_WEBHOOKS: Readonly<Record<string, ColumnCorruptions>> = {
  'webhook.id': { found: [[`id = ${OTHER_ID}`]] },
  'webhook.organization_id': {
    found: [
      [`organization_id = ${OTHER_ID}`],
      [
        `organization_id = (select o.id from organization o
          where o.id <> webhook.organization_id order by o.id limit 1)`,
        'slot > 1',
      ],
    ],
  },
  'webhook.slot': {
    found: [
      ['slot = null', IS_NOT_DELETED],
      ['slot = 0', IS_NOT_DELETED],
      ['slot = 21', IS_NOT_DELETED],
      ['slot = 20', IS_DELETED],
    ],
    free: 'any other free slot would do',
  },
  'webhook.url': {
    found: [["url = 'ftp://example.com'"], ["url = 'example'"]],
    free: 'the address of a company stands there alone',
  },
  'webhook.events': {
    found: [
      ["events = ''"],
      ["events = 'transfer.sent'"],
      ["events = 'transfer.performed,transfer.performed'"],
    ],
    free: 'the choice of later events stands there alone; a delivery keeps its own kind',
  },
  'webhook.account_ibans': {
    found: [
      [`account_ibans = ${OTHER_IBAN}`, `${LISTED} and ${IS_NOT_DELETED}`],
      [`account_ibans = '${ACME},${GLOBEX}'`, `account_ibans = '${GLOBEX}'`],
      [`account_ibans = '${ACME},${ACME}'`, `account_ibans = '${ACME}'`],
      [`account_ibans = '${ACME}'`, `account_ibans is null and ${IS_NOT_DELETED}`],
      ["account_ibans = ''", LISTED],
    ],
    free: 'without a list, the accounts without a cursor are like accounts that were opened later',
  },
  'webhook.description': {
    found: [["description = 'a\tb'"]],
    free: 'the description of a webhook stands there alone',
  },
  'webhook.ordered': {
    found: [
      ['ordered = 2'],
      ['ordered = 0', hasDeliveries("d.status = 'PENDING' and d.due_at is null")],
    ],
    free: 'without deliveries that wait, nothing tells whether a webhook is ordered',
  },
  'webhook.status': {
    found: [
      ["status = 'DISABLED'", "status = 'ENABLED'"],
      ["status = 'ENABLED'", `status = 'DISABLED' and ${IS_NOT_DELETED}`],
      ["status = 'ENABLED', disabled_reason = null", IS_DELETED],
      ["status = 'enabled'", "status = 'ENABLED'"],
    ],
  },
  'webhook.disabled_reason': {
    found: [
      ['disabled_reason = null', "status = 'DISABLED'"],
      ["disabled_reason = 'Disabled by a request.'", "status = 'ENABLED'"],
    ],
    free: 'the text of a reason stands there alone',
  },
  'webhook.secret': {
    found: [["secret = 'whsec_abc'"]],
    free: 'nothing repeats a secret',
  },
  'webhook.previous_secret': {
    found: [
      ['previous_secret = null', 'previous_secret is not null'],
      [copied('previous_secret', 'secret'), 'previous_secret is null'],
      ["previous_secret = 'whsec_abc'", 'previous_secret is not null'],
      ['previous_secret = null, previous_secret_ends_at = null', 'previous_secret is not null'],
    ],
    free: 'nothing repeats a secret',
  },
  'webhook.previous_secret_ends_at': {
    found: [
      ['previous_secret_ends_at = null', 'previous_secret is not null'],
      [copied('previous_secret_ends_at', 'created_at'), 'previous_secret is null'],
      [daysEarlier('previous_secret_ends_at'), 'previous_secret is not null'],
    ],
    free: WITHIN_A_DAY,
  },
  'webhook.created_at': { found: [[later('created_at')], [earlier('created_at')]] },
  'webhook.last_delivered_at': {
    found: [
      ['last_delivered_at = null', hasDeliveries("d.status = 'DELIVERED'")],
      [daysEarlier('last_delivered_at'), 'last_delivered_at is not null'],
    ],
    free: 'the time of the last success: its delivery may be deleted, and clocks may differ',
  },
  'webhook.failing_since': {
    found: [[daysEarlier('failing_since'), 'failing_since is not null']],
    free: 'the time of the first failure: its delivery may be deleted, and clocks may differ',
  },
  'webhook.deleted_at': {
    found: [
      ['deleted_at = null', IS_DELETED],
      [copied('deleted_at', 'created_at'), IS_NOT_DELETED],
      [daysEarlier('deleted_at'), IS_DELETED],
    ],
    free: WITHIN_A_DAY,
  },
  'webhook_cursor.webhook_id': { found: [[`webhook_id = ${OTHER_ID}`]] },
  'webhook_cursor.account_id': { found: [[`account_id = ${OTHER_ID}`]] },
  'webhook_cursor.position': {
    found: [
      ['position = position + 1', 'position % 1048576 = 0'],
      ['position = position - 1', 'position % 1048576 = 0'],
      ['position = position + 1', 'position % 1048576 <> 0'],
      ['position = position + 1048576000'],
      ['position = 1048576', hasReached],
      ['position = 0'],
    ],
    free: 'the deliveries before a cursor may be deleted, so the start of another entry would do',
  },
  'webhook_delivery.id': {
    found: [[`id = ${OTHER_ID}`], [`id = ${FOREIGN_ID}`], [`id = ${OTHER_ID}`, TEST_EVENT]],
  },
  'webhook_delivery.webhook_id': {
    found: [
      [`webhook_id = ${OTHER_ID}`],
      [
        `webhook_id = (select other.id from webhook other where other.organization_id <>
          (select a.organization_id from account a where a.id = webhook_delivery.account_id)
          order by other.id limit 1)`,
        OF_ACCOUNT,
      ],
      ["webhook_id = (select id from webhook where url like '%/gone')", IS_ALSO_OF_GONE],
    ],
    free: 'a webhook of the same organization may have chosen the event too',
  },
  'webhook_delivery.account_id': {
    found: [
      [`account_id = ${OTHER_ID}`, OF_ACCOUNT],
      ['account_id = null', OF_ACCOUNT],
    ],
  },
  'webhook_delivery.position': {
    found: [
      ['position = null', OF_ACCOUNT],
      ['position = position + 1', kindIs('bulk-transfer.performed')],
      ['position = position + 1', kindIs('transfer.performed')],
      ['position = position + 1', kindIs('transfer.received')],
      ['position = position + 1048576', kindIs('account.credited')],
      ['position = 1048576', TEST_EVENT],
    ],
  },
  'webhook_delivery.kind': {
    found: [
      ['kind = null', OF_ACCOUNT],
      ["kind = 'transfer.performed'", kindIs('bulk-transfer.performed')],
      ["kind = 'account.credited'", kindIs('bulk-transfer.performed')],
      ["kind = 'transfer.received'", kindIs('transfer.performed')],
      ["kind = 'transfer.sent'", kindIs('transfer.performed')],
      ["kind = 'account.credited'", TEST_EVENT],
    ],
  },
  'webhook_delivery.event_id': {
    found: [
      [`event_id = ${OTHER_ID}`, TEST_EVENT],
      [`event_id = ${OTHER_ID}`, kindIs('bulk-transfer.performed')],
      [`event_id = ${OTHER_ID}`, kindIs('transfer.performed')],
      [`event_id = ${OTHER_ID}`, kindIs('account.credited')],
      [`event_id = ${OTHER_ID}`, kindIs('transfer.received')],
      // MySQL reads no table that it updates, except through a derived table.
      [
        `event_id = (select event_id from (select max(event_id) as event_id from webhook_delivery
          where kind = 'transfer.performed') other)`,
        `${kindIs('transfer.performed')} and event_id <> (select max(other.event_id)
          from webhook_delivery other where other.kind = 'transfer.performed')`,
      ],
    ],
  },
  'webhook_delivery.status': {
    found: [
      ["status = 'PENDING'", DELIVERED],
      ["status = 'FAILED'", DELIVERED],
      ["status = 'DELIVERED'", FAILED],
      ["status = 'DELIVERED'", PENDING],
      ["status = 'DELIVERED', due_at = null, ended_at = created_at", `${PENDING} and attempts = 0`],
      ["status = 'FAILED', failures = 1", DELIVERED],
      ["status = 'pending'", PENDING],
    ],
  },
  'webhook_delivery.attempts': {
    found: [['attempts = attempts + 1'], ['attempts = 0', 'attempts > 0'], ['attempts = -1']],
  },
  'webhook_delivery.failures': {
    found: [['failures = -1'], ['failures = failures + 100'], ['failures = 0', FAILED]],
    free: 'how often a delivery failed since it was requested again is counted there alone',
  },
  'webhook_delivery.due_at': {
    found: [
      ['due_at = null', `due_at is not null and ${webhookHas('w.ordered = 0')}`],
      ['due_at = null', `due_at is not null and ${webhookHas('w.ordered = 1')} and ${OF_ACCOUNT}`],
      ['due_at = null', `due_at is not null and ${TEST_EVENT}`],
      [copied('due_at', 'created_at'), DELIVERED],
      [copied('due_at', 'created_at'), WAITING],
      [copied('due_at', 'leased_at'), LEASED],
    ],
    free: 'when a delivery is due is told there alone',
  },
  'webhook_delivery.leased_by': {
    found: [
      [`leased_by = ${FOREIGN_ID}`, LEASED],
      [`leased_by = ${OTHER_ID}`, `${PENDING} and leased_by is null`],
      [`leased_by = ${OTHER_ID}`, DELIVERED],
    ],
    free: 'which server makes an attempt is told there alone',
  },
  'webhook_delivery.leased_at': {
    found: [
      ['leased_at = null', LEASED],
      [copied('leased_at', 'created_at'), 'leased_at is null'],
      [daysEarlier('leased_at'), LEASED],
      [daysLater('leased_at'), LEASED],
    ],
    free: WITHIN_A_DAY,
  },
  'webhook_delivery.created_at': {
    found: [[daysLater('created_at')], [daysEarlier('created_at')]],
    free: WITHIN_A_DAY,
  },
  'webhook_delivery.ended_at': {
    found: [
      ['ended_at = null', DELIVERED],
      ['ended_at = null', FAILED],
      [copied('ended_at', 'created_at'), PENDING],
      [daysEarlier('ended_at'), DELIVERED],
    ],
    free: WITHIN_A_DAY,
  },
  'webhook_attempt.delivery_id': { found: [[`delivery_id = ${OTHER_ID}`]] },
  'webhook_attempt.number': { found: [['number = number + 100'], ['number = 0']] },
  'webhook_attempt.at': {
    found: [[daysEarlier('at')], [daysLater('at'), deliveryHas("d.status = 'DELIVERED'")]],
    free: WITHIN_A_DAY,
  },
  'webhook_attempt.duration_ms': {
    found: [['duration_ms = -1']],
    free: 'the time of a call is told there alone',
  },
  'webhook_attempt.http_status': {
    found: [
      ['http_status = null', deliveryHas("d.status = 'DELIVERED'")],
      ['http_status = 500', deliveryHas("d.status = 'DELIVERED'")],
      ['http_status = 204', deliveryHas("d.status = 'FAILED'")],
      ['http_status = 1000'],
      ['http_status = -1'],
    ],
    free: 'another status that means the same would do',
  },
  'webhook_attempt.error': {
    found: [['error = null', NO_RESPONSE]],
    free: 'the text of an error stands there alone',
  },
  'webhook_attempt.response_body': {
    found: [["response_body = 'OK'", NO_RESPONSE]],
    free: 'the text of a response stands there alone',
  },
};

const IS_OPEN = "status in ('DRAFT', 'SUBMITTED', 'FAILED')";
const IS_SUBMITTED = 'submitted_at is not null';
const stateIs = (status: string) => `status = '${status}'`;
const orderIs = (condition: string) => `exists (select 1 from bulk_transfer_order o
  where o.id = order_row.order_id and o.${condition})`;
const AS_IT_WAS_SENT = 'a row is as it was sent, and nothing repeats its values';

/** The corruptions of orders and of their rows. */
const ORDER_CORRUPTIONS: Readonly<Record<string, ColumnCorruptions>> = {
  'bulk_transfer_order.id': { found: [[`id = ${OTHER_ID}`]] },
  'bulk_transfer_order.account_id': {
    found: [
      [`account_id = ${OTHER_ID}`],
      [`account_id = (select id from account where iban = '${GLOBEX}')`],
    ],
  },
  'bulk_transfer_order.organization_id': { found: [[`organization_id = ${OTHER_ID}`]] },
  'bulk_transfer_order.name': {
    found: [["name = ''", 'name is not null']],
    free: 'the name of an order stands there alone',
  },
  'bulk_transfer_order.status': {
    found: [
      ["status = 'SUBMITTED'", stateIs('DRAFT')],
      ["status = 'PERFORMED'", stateIs('DRAFT')],
      ["status = 'FAILED'", stateIs('DRAFT')],
      ["status = 'CANCELLED'", stateIs('DRAFT')],
      ["status = 'DRAFT'", stateIs('PERFORMED')],
      ["status = 'CANCELLED'", stateIs('PERFORMED')],
      ["status = 'DRAFT'", stateIs('FAILED')],
      ["status = 'DRAFT'", stateIs('CANCELLED')],
      ["status = 'EXPIRED'", stateIs('CANCELLED')],
      ["status = 'CANCELLED'", stateIs('EXPIRED')],
      ["status = 'PAID'"],
    ],
  },
  'bulk_transfer_order.source': {
    found: [["source = 'XLSX'"]],
    free: 'the source of an order stands there alone',
  },
  'bulk_transfer_order.currency': { found: [["currency = 'USD'"]] },
  'bulk_transfer_order.file_name': { free: 'the name of a file stands there alone' },
  'bulk_transfer_order.file_hash': {
    found: [["file_hash = 'x'"]],
    free: 'the hash of a file stands there alone',
  },
  'bulk_transfer_order.file_part': {
    found: [['file_part = -1']],
    free: 'the other orders of a file may be deleted',
  },
  'bulk_transfer_order.file_problems': {
    found: [
      ["file_problems = 'x'"],
      [`file_problems = '[{"code":"REQUIRED"}]'`, stateIs('PERFORMED')],
    ],
    free: 'what was wrong with a file stands there alone',
  },
  'bulk_transfer_order.file_warnings': {
    found: [["file_warnings = 'x'"]],
    free: 'the warnings about a file stand there alone',
  },
  'bulk_transfer_order.import_key': {
    found: [["import_key = 'é'"]],
    free: 'the key of an import stands there alone',
  },
  'bulk_transfer_order.execution_date': {
    found: [["execution_date = 'soon'"]],
    free: 'the date in a file stands there alone',
  },
  'bulk_transfer_order.row_count': {
    found: [
      ['row_count = row_count + 1', IS_OPEN],
      ['row_count = row_count + 1', stateIs('PERFORMED')],
    ],
    free: 'the rows of a cancelled order are deleted later',
  },
  'bulk_transfer_order.problem_count': {
    found: [
      ['problem_count = problem_count + 1', IS_OPEN],
      ['problem_count = problem_count + 1', stateIs('PERFORMED')],
    ],
    free: 'the rows of a cancelled order are deleted later',
  },
  'bulk_transfer_order.total_amount_minor': {
    found: [
      ['total_amount_minor = total_amount_minor + 1', `${IS_OPEN} and problem_count = 0`],
      ['total_amount_minor = total_amount_minor + 1', stateIs('PERFORMED')],
    ],
    free: 'the rows of a cancelled order are deleted later',
  },
  'bulk_transfer_order.unreadable_rows': {
    found: [['unreadable_rows = unreadable_rows + 1', IS_OPEN]],
    free: 'the rows of a cancelled order are deleted later',
  },
  'bulk_transfer_order.kept_rows': {
    found: [['kept_rows = kept_rows + 1'], ['kept_rows = 0', 'kept_rows > 0']],
  },
  'bulk_transfer_order.idempotency_key': {
    found: [
      ['idempotency_key = null', IS_SUBMITTED],
      ["idempotency_key = 'another'", stateIs('PERFORMED')],
      ["idempotency_key = 'a key'", stateIs('DRAFT')],
      ["idempotency_key = 'é'", stateIs('FAILED')],
    ],
    free: 'the key of a bulk that was not performed',
  },
  'bulk_transfer_order.bulk_rows_max': {
    found: [
      ['bulk_rows_max = null', IS_SUBMITTED],
      ['bulk_rows_max = 0', IS_SUBMITTED],
      ['bulk_rows_max = 1', stateIs('PERFORMED')],
      ['bulk_rows_max = 1', stateIs('DRAFT')],
    ],
    free: 'any other size with the same number of bulks would do',
  },
  'bulk_transfer_order.performed_bulks': {
    found: [
      ['performed_bulks = performed_bulks + 1', stateIs('PERFORMED')],
      ['performed_bulks = 0', stateIs('PERFORMED')],
      ['performed_bulks = 1', stateIs('DRAFT')],
      ['performed_bulks = -1'],
    ],
    free: 'how many bulks of a failed order were performed',
  },
  'bulk_transfer_order.failure': {
    found: [
      ['failure = null', stateIs('FAILED')],
      ["failure = 'x'", stateIs('FAILED')],
      [`failure = '{"code":"ACCOUNT_BUSY"}'`, stateIs('DRAFT')],
    ],
    free: 'the reason of a failure stands there alone',
  },
  'bulk_transfer_order.created_by': { free: 'the audit log may be older than a name' },
  'bulk_transfer_order.submitted_by': {
    found: [
      ['submitted_by = null', IS_SUBMITTED],
      ["submitted_by = 'someone'", stateIs('DRAFT')],
    ],
    free: 'the name of a caller',
  },
  'bulk_transfer_order.submitted_by_kind': {
    found: [
      ['submitted_by_kind = null', IS_SUBMITTED],
      ["submitted_by_kind = 'token'", stateIs('DRAFT')],
      ["submitted_by_kind = 'robot'", IS_SUBMITTED],
    ],
    free: 'the kind of a caller',
  },
  'bulk_transfer_order.request_id': {
    found: [
      ['request_id = null', IS_SUBMITTED],
      ["request_id = 'x'", IS_SUBMITTED],
      ["request_id = ''", stateIs('DRAFT')],
    ],
    free: 'the id of a request',
  },
  'bulk_transfer_order.remote_address': {
    found: [
      ['remote_address = null', IS_SUBMITTED],
      ["remote_address = ''", stateIs('DRAFT')],
    ],
    free: 'the address of a caller',
  },
  'bulk_transfer_order.created_at': { found: [[later('created_at')], [earlier('created_at')]] },
  'bulk_transfer_order.changed_at': { found: [[later('changed_at')], [earlier('changed_at')]] },
  'bulk_transfer_order.submitted_at': {
    found: [
      ['submitted_at = null', IS_SUBMITTED],
      [later('submitted_at'), IS_SUBMITTED],
      [earlier('submitted_at'), IS_SUBMITTED],
      [copied('submitted_at', 'created_at'), stateIs('DRAFT')],
    ],
  },
  'bulk_transfer_order.performed_at': {
    found: [
      ['performed_at = null', stateIs('PERFORMED')],
      [later('performed_at'), stateIs('PERFORMED')],
      [copied('performed_at', 'created_at'), stateIs('DRAFT')],
    ],
  },
  'bulk_transfer_order.expires_at': {
    found: [
      ['expires_at = null', stateIs('DRAFT')],
      [copied('expires_at', 'changed_at'), stateIs('FAILED')],
      ['expires_at = null', `${stateIs('PERFORMED')} and kept_rows > 0`],
      [copied('expires_at', 'changed_at'), stateIs('SUBMITTED')],
    ],
    free: 'the retention of the server that changed the order',
  },
  'bulk_transfer_order.phase': {
    found: [
      ["phase = 'WRITING'", stateIs('DRAFT')],
      ["phase = 'DONE'", stateIs('SUBMITTED')],
      ["phase = 'PAUSED'"],
    ],
    free: 'what a server does for an order is told there alone',
  },
  'bulk_transfer_order.rows_done': {
    found: [
      ['rows_done = -1'],
      ['rows_done = row_count + 1'],
      ['rows_done = 0', stateIs('PERFORMED')],
    ],
    free: 'how far a server is',
  },
  'bulk_transfer_order.leased_by': {
    found: [
      [`leased_by = ${FOREIGN_ID}`, LEASED],
      [`leased_by = ${OTHER_ID}`, stateIs('DRAFT')],
    ],
    free: 'which server performs an order is told there alone',
  },
  'bulk_transfer_order.leased_until': {
    found: [
      ['leased_until = null', LEASED],
      [copied('leased_until', 'created_at'), stateIs('DRAFT')],
    ],
    free: 'until when is told there alone',
  },
  'bulk_transfer_order.transition_count': {
    found: [
      ['transition_count = transition_count + 1'],
      ['transition_count = 0', 'transition_count > 0'],
    ],
  },
  'order_transition.id': { free: 'an event has the id of its transition, and is not stored' },
  'order_transition.order_id': { found: [[`order_id = ${OTHER_ID}`]] },
  'order_transition.sequence': { found: [['sequence = sequence + 100']] },
  'order_transition.account_id': { found: [[`account_id = ${OTHER_ID}`]] },
  'order_transition.previous_status': {
    found: [
      ['previous_status = null', 'sequence > 1'],
      ["previous_status = 'FAILED'", 'sequence = 1'],
      ["previous_status = 'CANCELLED'", "status = 'SUBMITTED'"],
    ],
  },
  'order_transition.status': {
    found: [["status = 'CANCELLED'", "status = 'DRAFT'"], ["status = 'PAID'"]],
  },
  'order_transition.row_count': {
    found: [['row_count = row_count + 1', "status = 'PERFORMED'"], ['row_count = -1']],
    free: 'the rows of a draft change',
  },
  'order_transition.total_amount_minor': {
    found: [['total_amount_minor = total_amount_minor + 1', "status = 'PERFORMED'"]],
    free: 'the rows of a draft change',
  },
  'order_transition.performed_bulks': {
    found: [
      ['performed_bulks = performed_bulks + 1', "status = 'PERFORMED'"],
      ['performed_bulks = -1'],
    ],
    free: 'the bulks of an order that failed',
  },
  'order_transition.failure_code': {
    found: [
      ['failure_code = null', "status = 'FAILED'"],
      ["failure_code = 'X'", "status = 'DRAFT'"],
      ["failure_code = 'x'", "status = 'FAILED'"],
    ],
    free: 'the code of a failure',
  },
  'order_transition.created_at': { found: [[later('created_at')], [earlier('created_at')]] },
  'order_row.order_id': { found: [[`order_id = ${OTHER_ID}`]] },
  'order_row.row_index': {
    found: [['row_index = -1']],
    free: 'rows that were removed leave gaps',
  },
  'order_row.line': { found: [['line = 0']], free: 'the line of a file' },
  'order_row.amount': {
    found: [
      ["amount = '7.77'", 'amount_minor is not null'],
      ['amount = null', 'amount_minor is not null'],
    ],
    free: AS_IT_WAS_SENT,
  },
  'order_row.currency': { free: AS_IT_WAS_SENT },
  'order_row.counterparty_name': { free: AS_IT_WAS_SENT },
  'order_row.counterparty_iban': { free: AS_IT_WAS_SENT },
  'order_row.counterparty_bic': { free: AS_IT_WAS_SENT },
  'order_row.description': { free: AS_IT_WAS_SENT },
  'order_row.end_to_end_id': {
    found: [
      ["end_to_end_id = x'43'", 'is_duplicate = 1'],
      ['end_to_end_id = null', 'is_duplicate = 1'],
      ["end_to_end_id = x'41'", `end_to_end_id = x'42' and ${orderIs("status = 'DRAFT'")}`],
    ],
    free: AS_IT_WAS_SENT,
  },
  'order_row.amount_minor': {
    found: [
      ['amount_minor = amount_minor + 1', orderIs("status = 'DRAFT'")],
      ['amount_minor = amount_minor + 1', orderIs("status = 'PERFORMED'")],
      ['amount_minor = null', `amount_minor is not null and ${orderIs("status = 'DRAFT'")}`],
      ['amount_minor = 1', 'amount_minor is null'],
    ],
    free: 'whether the amount of an ended order was readable',
  },
  'order_row.problem_count': {
    found: [['problem_count = problem_count + 1'], ['problem_count = 0', 'problem_count > 0']],
  },
  'order_row.problems': {
    found: [
      ['problems = null', 'problem_count > 0'],
      ["problems = '[]'", 'problem_count = 0'],
      ["problems = 'x'", 'problem_count > 0'],
    ],
    free: 'the sentence of a problem',
  },
  'order_row.is_duplicate': { found: [['is_duplicate = 1 - is_duplicate'], ['is_duplicate = 2']] },
  'order_row.has_problems': {
    found: [['has_problems = 1 - has_problems'], ['has_problems = 0', 'is_duplicate = 1']],
  },
};

/** The corruptions of every column of every table. */
export const CORRUPTIONS: Readonly<Record<string, ColumnCorruptions>> = {
  ...ORDER_CORRUPTIONS,
  ...OF_WEBHOOKS,
  'organization.id': { found: [[`id = ${OTHER_ID}`], [`id = ${FOREIGN_ID}`]] },
  'organization.name': { found: [["name = 'Another'"], ["name = ' '"]] },
  'organization.created_at': { found: [[later('created_at')], [earlier('created_at')]] },
  'account.id': {
    found: [
      [`id = ${OTHER_ID}`, 'sequence > 0'],
      [`id = ${OTHER_ID}`, 'sequence = 0'],
    ],
  },
  'account.short_id': { found: [['short_id = short_id + 1']] },
  'account.organization_id': {
    found: [
      [`organization_id = ${FOREIGN_ID}`],
      [
        `organization_id = (select id from (select organization_id as id from account
          where organization_name = 'ACME Corp' limit 1) other)`,
        "organization_name <> 'ACME Corp'",
      ],
      [`organization_id = ${OTHER_ID}`, "organization_name = 'Globex GmbH'"],
    ],
  },
  'account.organization_name': {
    found: [
      ["organization_name = 'ACME Corp '", "organization_name = 'ACME Corp'"],
      ["organization_name = 'Acme Corp'", `iban = '${ACME}'`],
      ["organization_name = ' '"],
      ["organization_name = 'Another'", "organization_name = 'Globex GmbH'"],
    ],
  },
  'account.iban': {
    found: [
      [`iban = ${OTHER_IBAN}`, `iban = '${ACME}'`],
      ["iban = 'fr10474608000002006107XXXXX'", `iban = '${ACME}'`],
      ["iban = 'NL91 ABNA 0417 1643 00'"],
    ],
    free: 'the IBAN of an account that no book transfer and no key names stands there alone',
  },
  'account.bic': {
    found: [["bic = 'ABNANL2AX'"]],
    free: 'any other BIC would do: nothing repeats it',
  },
  'account.currency': {
    found: [
      ["currency = 'USD'", 'sequence > 0'],
      ["currency = 'EUX'", 'sequence = 0'],
    ],
    free: 'an account without entries has no other row in its currency',
  },
  'account.balance_minor': {
    found: [['balance_minor = balance_minor + 1'], ['balance_minor = 0', 'balance_minor > 0']],
  },
  'account.sequence': { found: [['sequence = sequence + 1'], ['sequence = 0', 'sequence > 0']] },
  'account.created_at': {
    found: [
      [later('created_at'), 'sequence > 0'],
      [earlier('created_at'), 'sequence > 0'],
      [later('created_at'), 'sequence = 0'],
    ],
  },
  'account.updated_at': {
    found: [
      [later('updated_at'), 'sequence > 0'],
      [earlier('updated_at'), 'sequence > 0'],
      [later('updated_at'), 'sequence = 0'],
    ],
  },
  'bulk_transfer.id': { found: [[`id = ${OTHER_ID}`]] },
  'bulk_transfer.account_id': {
    found: [
      [`account_id = ${OTHER_ID}`],
      ['account_id = (select id from account where sequence = 0 limit 1)'],
    ],
  },
  'bulk_transfer.sequence': { found: [['sequence = sequence + 1000']] },
  'bulk_transfer.idempotency_key': {
    found: [
      ['idempotency_key = null', 'idempotency_key is not null'],
      ["idempotency_key = x'6b'", 'idempotency_key is null'],
      ["idempotency_key = x'6bc3a9'", 'idempotency_key is not null'],
    ],
    free: 'a key is not in its fingerprint: another one would do',
  },
  'bulk_transfer.fingerprint': {
    found: [
      ['fingerprint = null', 'fingerprint is not null'],
      [`fingerprint = ${HASH}`, 'fingerprint is not null'],
      [`fingerprint = ${HASH_2}`, 'fingerprint is not null'],
      ["fingerprint = '3:of a later release'", 'fingerprint is not null'],
      [`fingerprint = ${HASH}`, 'fingerprint is null'],
    ],
  },
  'bulk_transfer.transfer_count': { found: [['transfer_count = transfer_count + 1']] },
  'bulk_transfer.currency': { found: [["currency = 'USD'"]] },
  'bulk_transfer.total_amount_minor': { found: [['total_amount_minor = total_amount_minor + 1']] },
  'bulk_transfer.balance_after_minor': {
    found: [['balance_after_minor = balance_after_minor + 1']],
  },
  'bulk_transfer.created_at': { found: [[later('created_at')], [earlier('created_at')]] },
  'transfer.account_id': { found: [[`account_id = ${OTHER_ID}`]] },
  'transfer.position': {
    found: [
      ['position = position + 100'],
      ['position = position + 1048576000', 'position % 1048576 = 0'],
    ],
  },
  'transfer.amount_minor': { found: [['amount_minor = amount_minor + 1']] },
  'transfer.counterparty_name': {
    found: [
      ["counterparty_name = 'Bip'"],
      ["counterparty_name = 'bip bip'", keyedBulk],
      ["counterparty_name = ''"],
    ],
    free: 'the case of a name without a key: it folds to the same, and nothing else repeats it',
  },
  'transfer.counterparty_name_folded': { found: [["counterparty_name_folded = x'626970'"]] },
  'transfer.counterparty_iban': {
    found: [
      [`counterparty_iban = ${OTHER_IBAN}`, keyedBulk],
      [`counterparty_iban = ${OTHER_IBAN}`, 'counterparty_account_id is not null'],
      ["counterparty_iban = 'de89370400440532013000'", unkeyedOutside],
      ["counterparty_iban = ''", unkeyedOutside],
    ],
    free: 'the IBAN of another bank in a bulk without a key: nothing repeats it',
  },
  'transfer.counterparty_bic': {
    found: [
      ['counterparty_bic = null', `${keyedBulk} and counterparty_bic is not null`],
      ["counterparty_bic = 'DEUTDEFF'", `${keyedBulk} and counterparty_bic is null`],
      ["counterparty_bic = 'DEUTDEFF50'", unkeyedOutside],
    ],
    free: 'a BIC in a bulk without a key: nothing repeats it',
  },
  'transfer.counterparty_account_id': {
    found: [
      ['counterparty_account_id = null', 'counterparty_account_id is not null'],
      ['counterparty_account_id = account_id', 'counterparty_account_id is null'],
      [`counterparty_account_id = ${OTHER_ID}`, 'counterparty_account_id is null'],
    ],
  },
  'transfer.description': {
    found: [
      ["description = 'Wonderland/4411'", keyedBulk],
      ["description = 'Wonderland/4410 '", keyedBulk],
      ["description = 'Two'", "description = 'One'"],
      ["description = 'a\tb'", unkeyedOutside],
    ],
    free: 'a description in a bulk without a key, but for a single book transfer: nothing repeats it',
  },
  'transfer.end_to_end_id': {
    found: [
      ['end_to_end_id = null', `${keyedBulk} and end_to_end_id is not null`],
      ["end_to_end_id = x'33'", keyedBulk],
      ["end_to_end_id = x'32'", `${unkeyedOutside} and end_to_end_id = x'31'`],
      ["end_to_end_id = x''", unkeyedOutside],
    ],
    free: 'an end-to-end id in a bulk without a key: nothing repeats it',
  },
  'incoming_transfer.account_id': {
    found: [
      [`account_id = ${OTHER_ID}`],
      ['account_id = (select id from account where sequence = 0 limit 1)'],
    ],
  },
  'incoming_transfer.position': { found: [['position = position + 1'], ['position = 0']] },
  'incoming_transfer.payer_account_id': { found: [['payer_account_id = account_id']] },
  'incoming_transfer.payer_position': { found: [['payer_position = payer_position + 100']] },
  'incoming_transfer.currency': { found: [["currency = 'USD'"]] },
  'incoming_transfer.amount_minor': { found: [['amount_minor = amount_minor + 1']] },
  'incoming_transfer.counterparty_name': {
    found: [["counterparty_name = 'acme corp'", "counterparty_name = 'ACME Corp'"]],
  },
  'incoming_transfer.counterparty_name_folded': {
    found: [["counterparty_name_folded = x'626970'"]],
  },
  'incoming_transfer.counterparty_iban': { found: [[`counterparty_iban = ${OTHER_IBAN}`]] },
  'incoming_transfer.description': {
    found: [
      ["description = 'One '", "description = 'One'"],
      ["description = ''", "description <> ''"],
    ],
  },
  'incoming_transfer.end_to_end_id': {
    found: [
      ["end_to_end_id = x'33'", 'end_to_end_id is null'],
      ['end_to_end_id = null', 'end_to_end_id is not null'],
    ],
  },
  'incoming_transfer.created_at': { found: [[later('created_at')], [earlier('created_at')]] },
  'ledger_entry.id': {
    found: [
      [`id = ${FOREIGN_ID}`],
      [`id = ${OTHER_ID}`, 'id in (select subject_id from audit_entry)'],
    ],
    free: 'the id of an entry without an audit entry: nothing in the database refers to it',
  },
  'ledger_entry.account_id': {
    found: [
      [`account_id = ${OTHER_ID}`],
      ['account_id = (select id from account where sequence = 0 limit 1)'],
    ],
  },
  'ledger_entry.sequence': { found: [['sequence = sequence + 1000']] },
  'ledger_entry.kind': {
    found: [
      ["kind = 'INCOMING_TRANSFER'", debit],
      ["kind = 'INCOMING_TRANSFER'", book],
      ["kind = 'BOOK_TRANSFER'", incoming],
      ["kind = 'book_transfer'", book],
      ["kind = 'BOOK_TRANSFER '", book],
    ],
  },
  'ledger_entry.currency': { found: [["currency = 'USD'"]] },
  'ledger_entry.amount_minor': { found: [['amount_minor = amount_minor + 1']] },
  'ledger_entry.balance_after_minor': {
    found: [['balance_after_minor = balance_after_minor + 1']],
  },
  'ledger_entry.bulk_transfer_id': {
    found: [
      ['bulk_transfer_id = null', debit],
      ['bulk_transfer_id = null', book],
      ['bulk_transfer_id = (select max(id) from bulk_transfer)', incoming],
      [`bulk_transfer_id = ${OTHER_ID}`, book],
    ],
  },
  'ledger_entry.idempotency_key': {
    found: [
      ['idempotency_key = null', 'idempotency_key is not null'],
      ["idempotency_key = x'6b'", `${incoming} and idempotency_key is null`],
      [`idempotency_key = x'6b', fingerprint = ${HASH}`, debit],
      ["idempotency_key = x'6bc3a9'", 'idempotency_key is not null'],
    ],
    free: 'a key is not in its fingerprint: another one would do',
  },
  'ledger_entry.fingerprint': {
    found: [
      ['fingerprint = null', 'fingerprint is not null'],
      [`fingerprint = ${HASH}`, 'fingerprint is not null'],
      [`fingerprint = ${HASH_2}`, 'fingerprint is not null'],
      ["fingerprint = '3:of a later release'", 'fingerprint is not null'],
      [`fingerprint = ${HASH}`, 'fingerprint is null'],
    ],
  },
  'ledger_entry.description': {
    found: [
      ["description = 'Bulk of 3 transfers'", debit],
      ["description = 'Another'", book],
      ["description = '2 transfers from ACME Corp '", "description = '2 transfers from ACME Corp'"],
      ["description = 'From outside '", 'fingerprint is not null'],
      ["description = 'a\tb'", `${incoming} and fingerprint is null`],
    ],
    free: 'the description of a credit without a key: nothing repeats it',
  },
  'ledger_entry.created_at': {
    found: [
      [later('created_at'), debit],
      [earlier('created_at'), debit],
      [later('created_at'), book],
      [earlier('created_at'), book],
      [later('created_at'), incoming],
      [earlier('created_at'), incoming],
    ],
  },
  'outbox_message.id': { found: [[`id = ${FOREIGN_ID}`]], free: ID_OF_NOTHING },
  'outbox_message.type': {
    found: [
      ["type = 'account.credited'", "type = 'bulk-transfer.performed'"],
      ["type = 'bulk-transfer.performed'", "type = 'account.credited'"],
      ["type = 'account.debited'"],
    ],
  },
  'outbox_message.subject_id': { found: [[`subject_id = ${OTHER_ID}`]] },
  'outbox_message.sequence': { found: [['sequence = sequence + 1000']] },
  'outbox_message.created_at': { found: [[later('created_at')], [earlier('created_at')]] },
  'outbox_message.due_at': {
    found: [
      ['due_at = null', 'due_at is not null'],
      [copied('due_at', 'created_at'), 'published_at is not null'],
      [copied('due_at', 'created_at'), 'parked_at is not null'],
    ],
    free: 'when a message is due is for the relay that has it to say',
  },
  'outbox_message.attempts': {
    found: [
      ['attempts = 1', 'attempts = 0 and due_at is not null and last_error is null'],
      ['attempts = -1'],
      ['attempts = 0', 'parked_at is not null'],
    ],
    free: 'how often publishing failed is counted there alone',
  },
  'outbox_message.published_at': {
    found: [
      ['published_at = null', 'published_at is not null'],
      [copied('published_at', 'created_at'), 'due_at is not null'],
      [copied('published_at', 'created_at'), 'parked_at is not null'],
    ],
    free: 'the time of publishing is told there alone, by a clock that may be behind the account',
  },
  'outbox_message.parked_at': {
    found: [
      ['parked_at = null', 'parked_at is not null'],
      [copied('parked_at', 'created_at'), 'due_at is not null'],
    ],
    free: 'the time of parking is told there alone, by a clock that may be behind the account',
  },
  'outbox_message.last_error': {
    found: [
      ['last_error = null', 'parked_at is not null'],
      ['last_error = null', 'attempts = 1 and due_at is not null'],
      ["last_error = 'No route'", 'published_at is not null'],
    ],
    free: 'the text of a reason is told there alone',
  },
  'outbox_message.leased_by': {
    found: [
      [`leased_by = ${FOREIGN_ID}`, 'due_at is not null'],
      [`leased_by = ${OTHER_ID}`, 'published_at is not null'],
      [`leased_by = ${OTHER_ID}`, 'parked_at is not null'],
    ],
    free: 'which relay has a message is for the relays to say',
  },
  'outbox_message.traceparent': {
    found: [["traceparent = '00-0-0-01'"]],
    free: 'the trace that a request was part of is told there alone',
  },
  'dead_letter.id': { found: [[`id = ${FOREIGN_ID}`]], free: ID_OF_NOTHING },
  'dead_letter.consumer': {
    found: [["consumer = x''"]],
    free: 'the consumer that gave up stands there alone',
  },
  'dead_letter.message_id': {
    found: [["message_id = x''"]],
    free: 'the message may be of another system, and its own text in the payload may be no JSON',
  },
  'dead_letter.type': {
    found: [["type = ''"]],
    free: 'the type stands there alone, as the id does',
  },
  'dead_letter.reason': {
    found: [["reason = 'permanent'"], ["reason = 'PERMANENT, PAYLOAD_CUT'", WHOLE]],
    free: 'why a consumer gave up stands there alone',
  },
  'dead_letter.attempts': {
    found: [['attempts = -1']],
    free: 'how often the consumer failed is counted there alone',
  },
  'dead_letter.last_error': { free: 'the error of a consumer stands there alone' },
  'dead_letter.first_failed_at': {
    found: [[later('first_failed_at'), 'first_failed_at = last_failed_at']],
    free: 'when a consumer failed first is told there alone, by its own clock',
  },
  'dead_letter.last_failed_at': {
    found: [[earlier('last_failed_at'), 'first_failed_at = last_failed_at']],
    free: 'when a consumer failed last is told there alone, by its own clock',
  },
  'dead_letter.received_at': {
    free: 'when a dead letter arrived is told there alone; the clock of its consumer may be ahead',
  },
  'dead_letter.arrivals': {
    found: [['arrivals = 0']],
    free: 'how often a dead letter arrived is counted there alone',
  },
  'dead_letter.payload': {
    found: [["payload = x'7b7d'", `not (${WHOLE})`]],
    free: 'the payload stands there alone: its event may be of a ledger that was restored since',
  },
  'api_key.id': { found: [[`id = ${OTHER_ID}`]] },
  'api_key.prefix': {
    found: [["prefix = 'g123456789ab'"], ["prefix = '0123456789ab'", 'revoked_at is null']],
    free: 'the prefix of a key that did nothing yet stands there alone',
  },
  'api_key.secret_hash': {
    found: [["secret_hash = 'abc'"]],
    free: 'the hash of a secret that nobody kept: nothing repeats it',
  },
  'api_key.name': { found: [["name = ''"]], free: 'what a key is called stands there alone' },
  'api_key.organization_ids': {
    found: [
      ["organization_ids = 'ACME'"],
      ["organization_ids = '01900000-0000-7000-8000-0000000000ff'", 'revoked_at is null'],
    ],
    free: 'for which organizations that exist a key is stands there alone',
  },
  'api_key.roles': {
    found: [["roles = 'owner'"], ["roles = ''"]],
    free: 'which roles a key has stands there alone',
  },
  'api_key.created_at': { found: [[later('created_at')], [earlier('created_at')]] },
  'api_key.created_by': { found: [["created_by = 'somebody'"]] },
  'api_key.expires_at': {
    found: [[copied('expires_at', 'created_at')]],
    free: 'until when a key is valid stands there alone',
  },
  'api_key.last_used_at': {
    found: [[`last_used_at = created_at - ${SHIFT}`]],
    free: 'when a key was used stands there alone',
  },
  'api_key.revoked_at': {
    found: [
      ['revoked_at = null', 'revoked_at is not null'],
      [later('revoked_at'), 'revoked_at is not null'],
      [copied('revoked_at', 'created_at'), 'revoked_at is null'],
    ],
  },
  'audit_entry.id': { found: [[`id = ${FOREIGN_ID}`]], free: ID_OF_NOTHING },
  'audit_entry.at': {
    found: [
      [later('at'), done('performBulkTransfer')],
      [earlier('at'), done('performBulkTransfer')],
      [later('at'), done('creditAccount')],
      [earlier('at'), done('creditAccount')],
      [later('at'), done('openAccount')],
      [earlier('at'), done('createApiKey')],
      [later('at'), done('revokeApiKey')],
      [later('at'), done('registerWebhook')],
      [earlier('at'), done('registerWebhook')],
    ],
    free: 'when something was refused, replayed or tried again is told there alone',
  },
  'audit_entry.action': {
    found: [
      ["action = 'creditAccount'", done('performBulkTransfer')],
      ["action = 'performBulkTransfer'", done('creditAccount')],
      ["action = 'creditAccount'", done('openAccount')],
      ["action = 'revokeApiKey'", done('createApiKey')],
      ["action = 'createApiKey'", done('revokeApiKey')],
      ["action = 'createApiKey'", done('retryOutboxMessage')],
      ["action = 'updateWebhook'", done('registerWebhook')],
      ["action = 'registerWebhook'", done('disableWebhook')],
      ["action = 'disableWebhook'", done('deleteWebhook')],
      ["action = 'payOut'", refused],
    ],
    free: 'which action was refused is told there alone',
  },
  'audit_entry.outcome': {
    found: [
      ["outcome = 'FORBIDDEN'", done('performBulkTransfer')],
      ["outcome = 'DONE'", refused],
      ["outcome = 'DONE'", replayed('performBulkTransfer')],
      ["outcome = 'DONE'", replayed('creditAccount')],
      ["outcome = 'REPLAYED'", done('openAccount')],
      ["outcome = 'REPLAYED'", done('createApiKey')],
      [
        "outcome = 'REPLAYED'",
        `${done('performBulkTransfer')} and subject_id in
          (select id from bulk_transfer where idempotency_key is null)`,
      ],
      ["outcome = 'DONE'", notFound('revokeApiKey')],
      ["outcome = 'SOMEHOW'", refused],
    ],
    free: 'why something was refused, and whether an operator found a message, is told there alone',
  },
  'audit_entry.actor': {
    found: [
      ["actor = 'somebody'", "actor_kind = 'development'"],
      ["actor = 'somebody'", "actor_kind = 'program'"],
      ["actor = '0123456789ab'", "actor_kind = 'api-key'"],
      ["actor = 'somebody'", done('createApiKey')],
    ],
    free: "a token's subject is told there alone",
  },
  'audit_entry.actor_kind': {
    found: [
      ["actor_kind = 'api-key'", "actor_kind = 'development'"],
      ["actor_kind = 'program'", "actor_kind = 'development'"],
      ["actor_kind = 'development'", "actor_kind = 'api-key'"],
      ["actor_kind = 'token'", "actor_kind = 'program'"],
      ["actor_kind = 'person'", "actor_kind = 'token'"],
    ],
    free: 'a token may have any subject, also one that another kind of caller has as its name',
  },
  'audit_entry.remote_address': {
    found: [
      ["remote_address = '127.0.0.256'", "actor_kind = 'token'"],
      ["remote_address = '127.0.0.1'", "actor_kind = 'program'"],
    ],
    free: 'where a request came from is told there alone',
  },
  'audit_entry.request_id': {
    found: [
      ["request_id = 'abc'", "actor_kind = 'token'"],
      ["request_id = ''", "actor_kind = 'token'"],
    ],
    free: "a request's id is told there alone",
  },
  'audit_entry.account_id': {
    found: [
      ['account_id = null', done('performBulkTransfer')],
      [`account_id = ${OTHER_ID}`, done('performBulkTransfer')],
      [`account_id = ${OTHER_ID}`, replayed('creditAccount')],
      [`account_id = ${OTHER_ID}`, done('openAccount')],
      [`account_id = ${OTHER_ID}`, done('createApiKey')],
      [`account_id = ${OTHER_ID}`, refused],
    ],
  },
  'audit_entry.subject_id': {
    found: [
      [`subject_id = ${OTHER_ID}`, done('performBulkTransfer')],
      [`subject_id = ${OTHER_ID}`, done('creditAccount')],
      [`subject_id = ${OTHER_ID}`, replayed('performBulkTransfer')],
      [`subject_id = ${OTHER_ID}`, done('openAccount')],
      [`subject_id = ${OTHER_ID}`, done('createApiKey')],
      [`subject_id = ${OTHER_ID}`, done('revokeApiKey')],
      [`subject_id = ${OTHER_ID}`, done('registerWebhook')],
      [`subject_id = ${OTHER_ID}`, done('disableWebhook')],
      [`subject_id = ${OTHER_ID}`, refused],
      ['subject_id = null', done('redeliver')],
      ['subject_id = null', notFound('retryOutboxMessage')],
      ['subject_id = null', done('replayDeadLetters')],
      ['subject_id = null', notFound('discardDeadLetters')],
    ],
    free: 'which message or delivery was tried again: it may be deleted by now',
  },
  'audit_entry.reason': {
    found: [
      ["reason = 'Test data'", done('createApiKey')],
      ["reason = 'Test data'", refused],
      ['reason = null', done('discardDeadLetters')],
      ['reason = null', notFound('discardDeadLetters')],
    ],
    free: 'the reason that an operator gave is told there alone',
  },
};

/** The columns that all search tables share. */
const entryColumns = (table: string): Readonly<Record<string, ColumnCorruptions>> => ({
  [`${table}.account_short_id`]: { found: [['account_short_id = account_short_id + 1']] },
  [`${table}.list`]: { found: [['list = 1', 'list = 0'], ['list = 2']] },
  [`${table}.position`]: { found: [['position = position + 100']] },
});

/** The corruptions of the search tables. SQLite has them in a file that the ledger's connection only reads. */
export const SEARCH_CORRUPTIONS: Readonly<Record<string, ColumnCorruptions>> = {
  ...entryColumns('search_iban'),
  'search_iban.counterparty_iban': { found: [[`counterparty_iban = ${OTHER_IBAN}`]] },
  ...entryColumns('search_name'),
  'search_name.folded_name': { found: [["folded_name = x'626970'"]] },
  ...entryColumns('search_amount'),
  'search_amount.amount_minor': { found: [['amount_minor = amount_minor + 1']] },
  ...entryColumns('search_end_to_end_id'),
  'search_end_to_end_id.end_to_end_id': { found: [["end_to_end_id = x'33'"]] },
  'search_watermark.account_short_id': { found: [['account_short_id = account_short_id + 1']] },
  'search_watermark.sequence': { found: [['sequence = sequence + 1'], ['sequence = 0']] },
  'search_watermark.entry_id': { found: [[`entry_id = ${OTHER_ID}`]] },
};

/** Rows whose deletion verification must find. */
export const DELETIONS: readonly (readonly [table: string, where: string])[] = [
  ['account', 'sequence > 0'],
  ['account', 'sequence = 0'],
  ['bulk_transfer', '1 = 1'],
  ['transfer', 'counterparty_account_id is null'],
  ['transfer', 'counterparty_account_id is not null'],
  ['ledger_entry', debit],
  ['ledger_entry', book],
  ['ledger_entry', incoming],
  ['outbox_message', "type = 'account.credited'"],
  ['outbox_message', "type = 'bulk-transfer.performed'"],
  ['api_key', 'revoked_at is null'],
  ['audit_entry', done('createApiKey')],
  ['audit_entry', done('revokeApiKey')],
  ['audit_entry', done('registerWebhook')],
  ['audit_entry', done('rotateWebhookSecret')],
  ['audit_entry', done('deleteWebhook')],
  ['audit_entry', done('createOrder')],
  ['audit_entry', done('submitOrder')],
  ['audit_entry', done('performOrder')],
  ['bulk_transfer_order', stateIs('DRAFT')],
  ['order_row', orderIs("status = 'DRAFT'")],
  ['webhook', IS_NOT_DELETED],
  ['webhook_cursor', LISTED_CURSOR],
  ['webhook_delivery', 'attempts > 0'],
  ['webhook_attempt', '1 = 1'],
];

/** Rows of the search tables whose deletion verification must find. */
export const SEARCH_DELETIONS: typeof DELETIONS = [
  ['search_iban', '1 = 1'],
  ['search_name', 'list = 1'],
  ['search_amount', '1 = 1'],
  ['search_end_to_end_id', '1 = 1'],
];
