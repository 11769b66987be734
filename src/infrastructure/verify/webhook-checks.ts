/**
 * The invariants of webhooks, of their deliveries and of the attempts of these. They are true at every moment: while
 * servers claim deliveries and record attempts, after a server was killed, and while old deliveries are deleted in
 * parts. The delivery of an event may be deleted once it has ended, so no check requires one for each event.
 */

import {
  DELIVERY_STATUSES,
  LEDGER_EVENT_KINDS,
  type LedgerEventKind,
  type MutationName,
  WEBHOOK_STATUSES,
} from '../../domain/kinds.js';
import { positionId } from '../../domain/position-id.js';
import { firstPositionOf, sequenceOf } from '../../domain/postings.js';
import { DESCRIPTION } from '../../domain/text.js';
import { OUTCOME_UNKNOWN_ERROR, WEBHOOKS_PER_ORGANIZATION_MAX } from '../../domain/webhook.js';
import { sequenceSql } from '../../entities/sequence-sql.js';
import { dateOf } from '../database/stored-date.js';
import { type Check, type SqlCheck, sqlCheck } from './check.js';
import { absentOr, isIban, isStoredId, listOf, matching, oneOf, text } from './forms.js';
import {
  type Form,
  formRule,
  hexOf,
  hexOfId,
  type RowName,
  type RowRule,
  rowCheck,
  rowOf,
  textOf,
} from './row-check.js';
import type { StoredRow } from './table-pages.js';

/** The mutations of webhooks whose audit entries name the webhook. */
const ACTIONS_ON_WEBHOOKS: readonly MutationName[] = [
  'registerWebhook',
  'updateWebhook',
  'rotateWebhookSecret',
  'enableWebhook',
  'disableWebhook',
  'deleteWebhook',
  'sendTestEvent',
  'redeliverSince',
];

/** The mutations of webhooks and of deliveries. The audit entry of redeliver names the delivery. */
export const WEBHOOK_ACTIONS: readonly MutationName[] = [...ACTIONS_ON_WEBHOOKS, 'redeliver'];

/**
 * The largest error of a clock that the checks of times allow. The times of a delivery come from the clocks of several
 * servers. A clock may be set back between two of them.
 */
const CLOCK_ERROR_MAX_MS = 24 * 60 * 60 * 1_000;

/** The positions of one ledger entry: see transferPosition. */
const POSITIONS = firstPositionOf(1n);

/** Returns the SQL for the webhooks that a mutation named, and the time of the first such mutation. */
function auditedBy(action: MutationName): string {
  // The group by lets MariaDB read the audit log once, and look up each webhook by a key.
  return `(select subject_id, min(at) as at from audit_entry
        where action = '${action}' and outcome = 'DONE' group by subject_id)`;
}

/** The SQL condition that a column is the status of a response by which the receiver has the event: see isDelivered. */
const isDeliveredSql = (column: string) => `coalesce(${column}, 0) between 200 and 299`;

/** The SQL for the number of attempts of a delivery d that are recorded. The attempt in progress is not. */
const RECORDED = '(d.attempts - case when d.leased_by is null then 0 else 1 end)';

/** The SQL for the recorded attempts of each delivery. An attempt whose outcome is unknown is no failure. */
const ATTEMPTS_OF_DELIVERIES = `(
        select delivery_id, count(*) as attempts, min(number) as first, max(number) as last,
          sum(case when ${isDeliveredSql('http_status')}
            or coalesce(error, '') = '${OUTCOME_UNKNOWN_ERROR}' then 0 else 1 end) as failures
        from webhook_attempt group by delivery_id
      )`;

const WEBHOOKS: readonly SqlCheck[] = [
  sqlCheck(
    'a webhook belongs to an organization',
    `
      select hex(w.id) as webhook from webhook w
      left join organization o on o.id = w.organization_id
      where o.id is null`,
  ),
  sqlCheck(
    'a webhook is disabled if it has a reason for it, and only then',
    `
      select hex(id) as webhook, status, disabled_reason from webhook
      where (status = 'DISABLED') <> (disabled_reason is not null)`,
  ),
  sqlCheck(
    'a deleted webhook is disabled and has no slot, and every other one has a slot',
    `
      select hex(id) as webhook, status, slot, deleted_at from webhook
      where (deleted_at is null) <> (slot is not null)
        or (deleted_at is not null and status <> 'DISABLED')
        or slot < 1 or slot > ${WEBHOOKS_PER_ORGANIZATION_MAX}`,
  ),
  sqlCheck(
    'a webhook has a previous secret, with its end, if the audit log says that it was replaced, and only then',
    `
      select hex(w.id) as webhook, w.previous_secret_ends_at, x.at as replaced_at from webhook w
      left join ${auditedBy('rotateWebhookSecret')} x on x.subject_id = w.id
      where (w.previous_secret is null) <> (w.previous_secret_ends_at is null)
        or (w.previous_secret is null) <> (x.subject_id is null)`,
  ),
  sqlCheck(
    'a webhook was registered and deleted as the audit log says',
    `
      select hex(w.id) as webhook, w.created_at, x.at as registered_at from webhook w
      left join ${auditedBy('registerWebhook')} x on x.subject_id = w.id
      where x.subject_id is null or x.at <> w.created_at
      union all
      select hex(w.id) as webhook, w.deleted_at, x.at as registered_at from webhook w
      left join ${auditedBy('deleteWebhook')} x on x.subject_id = w.id
      where (w.deleted_at is null) <> (x.subject_id is null)`,
  ),
  sqlCheck(
    'a webhook in the audit log was registered, and exists unless it was deleted',
    `
      select hex(x.id) as audit, x.action, hex(x.subject_id) as webhook from audit_entry x
      left join ${auditedBy('registerWebhook')} made on made.subject_id = x.subject_id
      left join ${auditedBy('deleteWebhook')} removed on removed.subject_id = x.subject_id
      left join webhook w on w.id = x.subject_id
      where x.outcome = 'DONE'
        and x.action in (${ACTIONS_ON_WEBHOOKS.map((action) => `'${action}'`).join(', ')})
        and (made.subject_id is null or (w.id is null and removed.subject_id is null))`,
  ),
  sqlCheck(
    'a webhook with a delivered event has the time of a successful attempt',
    `
      select hex(d.webhook_id) as webhook from (
        select distinct webhook_id from webhook_delivery where status = 'DELIVERED'
      ) d join webhook w on w.id = d.webhook_id
      where w.last_delivered_at is null`,
  ),
];

const CURSORS: readonly SqlCheck[] = [
  sqlCheck(
    "a cursor belongs to a webhook and to an account of the webhook's organization",
    `
      select hex(c.webhook_id) as webhook, hex(c.account_id) as account from webhook_cursor c
      left join webhook w on w.id = c.webhook_id
      left join account a on a.id = c.account_id and a.organization_id = w.organization_id
      where a.id is null`,
  ),
  sqlCheck(
    'a cursor is at the start of a ledger entry, after one of its transfers, or after the last entry',
    `
      select hex(c.webhook_id) as webhook, hex(c.account_id) as account, c.position
      from webhook_cursor c
      left join account a on a.id = c.account_id
      left join transfer t on t.account_id = c.account_id and t.position = c.position - 1
      left join incoming_transfer i on i.account_id = c.account_id and i.position = c.position - 1
      where c.position < ${POSITIONS} or c.position > (a.sequence + 1) * ${POSITIONS}
        or (c.position % ${POSITIONS} <> 0 and t.account_id is null and i.account_id is null)`,
  ),
  sqlCheck(
    'the deliveries of an account are for events before the cursor of their webhook',
    `
      select hex(d.webhook_id) as webhook, hex(d.account_id) as account, d.last, c.position
      from (
        select webhook_id, account_id, max(position) as last from webhook_delivery
        where account_id is not null group by webhook_id, account_id
      ) d left join webhook_cursor c on c.webhook_id = d.webhook_id and c.account_id = d.account_id
      where d.last >= c.position`,
  ),
  sqlCheck(
    'a webhook that lists accounts has one cursor for each, until it is deleted',
    `
      select hex(w.id) as webhook, w.account_ibans, c.cursors from webhook w
      left join (
        select webhook_id, count(*) as cursors from webhook_cursor group by webhook_id
      ) c on c.webhook_id = w.id
      where w.account_ibans is not null and w.deleted_at is null
        and coalesce(c.cursors, 0)
          <> length(w.account_ibans) - length(replace(w.account_ibans, ',', '')) + 1`,
  ),
];

const DELIVERIES: readonly SqlCheck[] = [
  sqlCheck(
    "a delivery belongs to a webhook, and its account to the webhook's organization",
    `
      select hex(d.id) as delivery, hex(d.webhook_id) as webhook, hex(d.account_id) as account
      from webhook_delivery d
      left join webhook w on w.id = d.webhook_id
      left join account a on a.id = d.account_id
      where w.id is null
        or (d.account_id is not null and (a.id is null or a.organization_id <> w.organization_id))`,
  ),
  sqlCheck(
    'a test event has neither account, position nor kind, and its id is that of its delivery',
    `
      select hex(id) as delivery, hex(event_id) as event from webhook_delivery
      where (account_id is null) <> (position is null) or (account_id is null) <> (kind is null)
        or (account_id is null) <> (event_id = id)`,
  ),
  sqlCheck(
    'a webhook has at most one delivery of each event',
    `
      select hex(webhook_id) as webhook, hex(event_id) as event, count(*) as deliveries
      from webhook_delivery group by webhook_id, event_id having count(*) > 1`,
  ),
  sqlCheck(
    'a delivery has an end unless it is pending, and is due or leased only while it is pending',
    `
      select hex(id) as delivery, status, due_at, leased_at, ended_at from webhook_delivery
      where (status = 'PENDING') <> (ended_at is null)
        or (status <> 'PENDING' and (due_at is not null or leased_by is not null))`,
  ),
  sqlCheck(
    'a leased delivery has the time and the end of its lease',
    `
      select hex(id) as delivery, leased_at, due_at from webhook_delivery
      where (leased_by is null) <> (leased_at is null)
        or (leased_by is not null and (due_at is null or due_at <= leased_at))`,
  ),
  sqlCheck(
    'a pending delivery is due, unless it waits in a line of an ordered webhook',
    `
      select hex(d.id) as delivery from webhook_delivery d join webhook w on w.id = d.webhook_id
      where d.status = 'PENDING' and d.due_at is null and (w.ordered = 0 or d.account_id is null)`,
  ),
  sqlCheck(
    'one pending delivery of each line is due, until its webhook is deleted',
    `
      select hex(d.webhook_id) as webhook, hex(d.account_id) as account, count(d.due_at) as due
      from webhook_delivery d join webhook w on w.id = d.webhook_id
      where d.status = 'PENDING' and w.ordered = 1 and w.deleted_at is null
        and d.account_id is not null
      group by d.webhook_id, d.account_id having count(d.due_at) <> 1`,
  ),
];

const ATTEMPTS: readonly SqlCheck[] = [
  sqlCheck(
    'the attempts of a delivery are numbered 1, 2, 3 … without a gap, up to the last that ended',
    `
      select hex(d.id) as delivery, d.attempts, a.attempts as recorded, a.first, a.last
      from webhook_delivery d
      left join ${ATTEMPTS_OF_DELIVERIES} a on a.delivery_id = d.id
      where coalesce(a.attempts, 0) <> ${RECORDED} or a.first <> 1 or a.last <> a.attempts`,
  ),
  sqlCheck(
    'a delivery has at most as many failures as failed attempts',
    `
      select hex(d.id) as delivery, d.status, d.failures, a.failures as failed
      from webhook_delivery d
      left join ${ATTEMPTS_OF_DELIVERIES} a on a.delivery_id = d.id
      where d.failures < 0 or d.failures > coalesce(a.failures, 0)
        or (d.status = 'FAILED' and d.failures = 0)`,
  ),
  sqlCheck(
    'the last attempt of a delivery was successful if it is delivered, and not if it failed',
    `
      select hex(d.id) as delivery, d.status, last.http_status from webhook_delivery d
      left join webhook_attempt last on last.delivery_id = d.id and last.number = ${RECORDED}
      where (d.status = 'DELIVERED' and not (${isDeliveredSql('last.http_status')}))
        or ((d.status = 'FAILED' or (d.status = 'PENDING' and d.failures > 0))
          and (last.delivery_id is null or ${isDeliveredSql('last.http_status')}))`,
  ),
  sqlCheck(
    'an attempt belongs to a delivery',
    `
      select hex(a.delivery_id) as delivery, a.attempts from ${ATTEMPTS_OF_DELIVERIES} a
      left join webhook_delivery d on d.id = a.delivery_id
      where d.id is null`,
  ),
  sqlCheck(
    'an attempt has the status of its response, or an error if there was no response',
    `
      select hex(delivery_id) as delivery, number from webhook_attempt
      where http_status is null and (error is null or response_body is not null)`,
  ),
];

/** Names a row that belongs to a webhook and an account. */
const cursorOf: RowName = ({ webhook_id, account_id }) => ({
  webhook: hexOf(webhook_id),
  account: hexOf(account_id),
});

/** Names an attempt by its delivery and its number. */
const attemptOf: RowName = ({ delivery_id, number }) => ({
  delivery: hexOf(delivery_id),
  number: String(number),
});

/** Makes the rule that a condition is true of each row. */
function rowRule(
  statement: string,
  nameOf: RowName,
  isTrueOf: (row: StoredRow) => boolean,
): RowRule {
  return {
    statement,
    watch: () => ({ see: (row) => (isTrueOf(row) ? undefined : nameOf(row)) }),
  };
}

/** Returns a form of a list whose items differ. */
const setOf =
  (isItem: (item: string) => boolean): Form =>
  (value) =>
    listOf(isItem)(value) && new Set(textOf(value).split(',')).size === itemsOf(value).length;

const itemsOf = (value: unknown) => textOf(value).split(',');

const isWebUrl: Form = (value) => URL.canParse(textOf(value)) && /^https?:/i.test(textOf(value));

const isSecret = matching(/^whsec_[A-Za-z0-9+/]{43}=$/);

const isCount: Form = (value) => Number(value) >= 0;

/** Checks a status of HTTP. A receiver may answer any three digits. */
const isHttpStatus: Form = (value) => Number(value) >= 0 && Number(value) <= 999;

/** Returns the time of a column in milliseconds; undefined if it is null. */
function msOf(value: unknown): number | undefined {
  return value === null || value === undefined ? undefined : dateOf(value).getTime();
}

/** Tells whether each known time is later than the first one, but for the error of a clock. */
function areInOrder(first: unknown, ...later: readonly unknown[]): boolean {
  const firstMs = msOf(first);
  if (firstMs === undefined) return true;
  return later.every((time) => (msOf(time) ?? firstMs) >= firstMs - CLOCK_ERROR_MAX_MS);
}

/** Returns the time in a UUIDv7, which begins with 48 bits of milliseconds. */
function timeOfId(id: unknown): Date {
  return new Date(Number.parseInt(hexOf(id).slice(0, 12), 16));
}

/** A delivery of an event of the ledger, and the rows that its event may have. */
interface EventPlace {
  readonly accountId: string;
  readonly position: bigint;
  readonly row: StoredRow;
}

/** Returns the id of the event at a place, in the form of SQL's hex(); undefined if there is none. */
type FindEvent = (place: EventPlace) => string | undefined;

const isFirst = (position: bigint) => position === firstPositionOf(sequenceOf(position));

/** The id of each kind of event, made from the rows of its place. A kind without an entry does not compile. */
const EVENT_IDS: { readonly [Kind in LedgerEventKind]: FindEvent } = {
  'bulk-transfer.performed': ({ position, row: { bulk_id } }) =>
    bulk_id !== null && isFirst(position) ? hexOf(bulk_id) : undefined,
  'transfer.performed': ({ accountId, position, row: { transfer_position, bulk_created_at } }) => {
    if (transfer_position === null || bulk_created_at === null) return undefined;
    const createdAt = dateOf(bulk_created_at);
    return hexOfId(positionId('transfer', { accountId, position, createdAt }));
  },
  'account.credited': ({ position, row: { entry_id, entry_kind } }) =>
    entry_id !== null && entry_kind !== 'BULK_TRANSFER' && isFirst(position)
      ? hexOf(entry_id)
      : undefined,
  'transfer.received': ({ accountId, position, row: { received_at } }) => {
    if (received_at === null) return undefined;
    const createdAt = dateOf(received_at);
    return hexOfId(positionId('incoming-transfer', { accountId, position, createdAt }));
  },
};

/** Tells whether the event of a delivery is in the ledger. A test event is not. */
function isInLedger(row: StoredRow): boolean {
  if (row.account_id === null || row.position === null) return true;
  const kind = LEDGER_EVENT_KINDS.find((each) => each === row.kind);
  if (!kind) return false;
  const place = { accountId: hexOf(row.account_id), position: BigInt(String(row.position)), row };
  return EVENT_IDS[kind](place) === hexOf(row.event_id);
}

const WEBHOOK_ROWS: readonly Check[] = [
  rowCheck({ columns: '*', source: 'webhook', key: ['id'] }, [
    formRule("a webhook's id, address, choices and secrets are well-formed", rowOf('webhook'), {
      id: isStoredId,
      url: isWebUrl,
      events: setOf((kind) => LEDGER_EVENT_KINDS.some((each) => each === kind)),
      account_ibans: absentOr(setOf(isIban)),
      description: absentOr(text(DESCRIPTION)),
      ordered: (value) => [0, 1].includes(Number(value)),
      status: oneOf(WEBHOOK_STATUSES),
      secret: isSecret,
      previous_secret: absentOr(isSecret),
    }),
    rowRule(
      'the times of a webhook are not earlier than its registration by more than a day',
      rowOf('webhook'),
      ({ created_at, previous_secret_ends_at, last_delivered_at, failing_since, deleted_at }) =>
        areInOrder(
          created_at,
          previous_secret_ends_at,
          last_delivered_at,
          failing_since,
          deleted_at,
        ),
    ),
  ]),
  rowCheck(
    {
      columns: 'c.webhook_id, c.account_id, w.account_ibans, a.iban',
      source: `webhook_cursor c left join webhook w on w.id = c.webhook_id
        left join account a on a.id = c.account_id`,
      key: ['c.webhook_id', 'c.account_id'],
    },
    [
      rowRule(
        'a webhook that lists accounts has no cursor of another account',
        cursorOf,
        ({ account_ibans, iban }) =>
          account_ibans === null || itemsOf(account_ibans).includes(textOf(iban)),
      ),
    ],
  ),
  rowCheck(
    {
      columns: `d.id, d.account_id, d.position, d.kind, d.event_id, d.status, d.leased_by,
        d.leased_at, d.created_at, d.ended_at, b.id as bulk_id, b.created_at as bulk_created_at,
        t.position as transfer_position, e.id as entry_id, e.kind as entry_kind,
        i.created_at as received_at`,
      source: `webhook_delivery d
        left join bulk_transfer b on b.account_id = d.account_id
          and b.sequence = ${sequenceSql('d.position')}
        left join transfer t on t.account_id = d.account_id and t.position = d.position
        left join ledger_entry e on e.account_id = d.account_id
          and e.sequence = ${sequenceSql('d.position')}
        left join incoming_transfer i on i.account_id = d.account_id and i.position = d.position`,
      key: ['d.id'],
    },
    [
      formRule("a delivery's id, status and server are well-formed", rowOf('delivery'), {
        id: isStoredId,
        status: oneOf(DELIVERY_STATUSES),
        leased_by: absentOr(isStoredId),
      }),
      rowRule(
        'the event of a delivery is in the ledger, with its account, position, kind and id',
        rowOf('delivery'),
        isInLedger,
      ),
      rowRule(
        'a delivery was made at the time in its id, and ended later, give or take a day',
        rowOf('delivery'),
        ({ id, created_at, leased_at, ended_at }) =>
          areInOrder(timeOfId(id), created_at) &&
          areInOrder(created_at, timeOfId(id), leased_at, ended_at),
      ),
    ],
  ),
  rowCheck(
    {
      columns: `t.delivery_id, t.number, t.at, t.duration_ms, t.http_status, d.created_at,
        d.ended_at`,
      source: 'webhook_attempt t left join webhook_delivery d on d.id = t.delivery_id',
      key: ['t.delivery_id', 't.number'],
    },
    [
      formRule("an attempt's duration and status are well-formed", attemptOf, {
        duration_ms: isCount,
        http_status: absentOr(isHttpStatus),
      }),
      rowRule(
        'an attempt was made between the making and the end of its delivery, give or take a day',
        attemptOf,
        ({ at, created_at, ended_at }) => areInOrder(created_at, at) && areInOrder(at, ended_at),
      ),
    ],
  ),
];

/** The invariants that the database checks in SQL. */
export const WEBHOOK_SQL_CHECKS: readonly SqlCheck[] = [
  ...WEBHOOKS,
  ...CURSORS,
  ...DELIVERIES,
  ...ATTEMPTS,
];

export const WEBHOOK_CHECKS: readonly Check[] = [...WEBHOOK_SQL_CHECKS, ...WEBHOOK_ROWS];
