/**
 * The invariants of bulk transfer orders and of their rows. They are true at every moment: while servers perform orders,
 * after a server was killed, and while the rows of orders that ended are deleted in parts.
 */
import {
  type AuditedAction,
  CALLER_KINDS,
  ORDER_PHASES,
  ORDER_SOURCES,
  ORDER_STATUSES,
} from '../../domain/kinds.js';
import { parseAmountIn } from '../../domain/money.js';
import {
  failureFromJson,
  OPEN_STATUSES,
  ORDER_KEY_CHARACTERS_MAX,
  ORDER_ROWS_MAX,
  VALUE_CHARACTERS_MAX,
} from '../../domain/order.js';
import { ORDER_WARNING_CODES } from '../../domain/order-warnings.js';
import { PROBLEM_CODES } from '../../domain/problem.js';
import { NAME } from '../../domain/text.js';
import { type Check, type SqlCheck, sqlCheck } from './check.js';
import { absentOr, isStoredId, matching, oneOf, text } from './forms.js';
import { type Form, formRule, hexOf, type RowName, rowCheck, rowOf, textOf } from './row-check.js';
import type { StoredRow } from './table-pages.js';

/** The actions whose audit entries name an order. Each of them sets the time of its last change. */
export const ORDER_ACTIONS: readonly AuditedAction[] = [
  'createOrder',
  'importOrder',
  'addOrderRows',
  'replaceOrderRow',
  'removeOrderRows',
  'submitOrder',
  'cancelOrder',
  'duplicateOrder',
  'performOrder',
  'expireOrder',
];

/** The states in which an order keeps all of its rows. */
const OPEN = `(${OPEN_STATUSES.map((status) => `'${status}'`).join(', ')})`;

/** The SQL for the orders that actions named, and the times of the first and the last such action. */
function auditedBy(actions: readonly AuditedAction[], outcome = "outcome = 'DONE'"): string {
  const list = actions.map((action) => `'${action}'`).join(', ');
  return `(select subject_id, min(at) as first, max(at) as last from audit_entry
        where action in (${list}) and ${outcome} and subject_id is not null group by subject_id)`;
}

export const ORDER_SQL_CHECKS: readonly SqlCheck[] = [
  sqlCheck(
    'an order belongs to an account, with its organization and currency',
    `
      select hex(o.id) as id from bulk_transfer_order o
      left join account a on a.id = o.account_id
      where a.id is null or a.organization_id <> o.organization_id or a.currency <> o.currency`,
  ),
  sqlCheck(
    'a row belongs to an order',
    `
      select hex(r.order_id) as id, r.rows_kept from (
        select order_id, count(*) as rows_kept from order_row group by order_id
      ) r left join bulk_transfer_order o on o.id = r.order_id
      where o.id is null`,
  ),
  sqlCheck(
    'an order counts its stored rows, and while it keeps all, their problems and their total',
    `
      select hex(o.id) as id, o.row_count, o.kept_rows, r.kept, o.problem_count, r.problems,
        o.unreadable_rows, r.unreadable, o.total_amount_minor, r.total
      from bulk_transfer_order o left join (
        select order_id, count(*) as kept, sum(amount_minor) as total,
          sum(problem_count + is_duplicate) as problems,
          sum(case when amount_minor is null then 1 else 0 end) as unreadable
        from order_row group by order_id
      ) r on r.order_id = o.id
      where o.kept_rows <> coalesce(r.kept, 0) or o.kept_rows > o.row_count
        or (o.status in ${OPEN} and o.phase <> 'READING' and o.kept_rows <> o.row_count)
        or (o.kept_rows = o.row_count and (o.problem_count <> coalesce(r.problems, 0)
          or o.unreadable_rows <> coalesce(r.unreadable, 0)
          or o.total_amount_minor <> coalesce(r.total, 0)))`,
  ),
  sqlCheck(
    'a row has problems if it has some of its own or repeats an end-to-end id, and only then',
    `
      select hex(order_id) as id, row_index from order_row
      where has_problems <> (case when problem_count + is_duplicate > 0 then 1 else 0 end)
        or is_duplicate not in (0, 1) or (problem_count > 0) <> (problems is not null)`,
  ),
  sqlCheck(
    'a row is a duplicate if an earlier row has its end-to-end id, and only then',
    `
      select hex(r.order_id) as id, r.row_index, r.is_duplicate, r.first from (
        select order_id, row_index, is_duplicate, end_to_end_id,
          -- MariaDB's min() would take time in the square of the rows with one value.
          first_value(row_index) over (partition by order_id, end_to_end_id order by row_index)
            as first
        from order_row
      ) r left join bulk_transfer_order o on o.id = r.order_id
      -- The outer join makes MariaDB look each order up by its id.
      where (o.id is null or o.kept_rows = o.row_count) and r.is_duplicate
        <> case when r.end_to_end_id is not null and r.first < r.row_index then 1 else 0 end`,
  ),
  sqlCheck(
    'an order that was submitted has a caller, a key and a size, and no other has',
    `
      select hex(id) as id, status from bulk_transfer_order
      where (submitted_at is null) <> (submitted_by is null)
        or (submitted_at is null) <> (submitted_by_kind is null)
        or (submitted_at is null) <> (request_id is null)
        or (submitted_at is null) <> (remote_address is null)
        or (submitted_at is null) <> (idempotency_key is null)
        or (submitted_at is null) <> (bulk_rows_max is null)
        or (submitted_at is null and status in ('SUBMITTED', 'PERFORMED', 'FAILED'))
        or (submitted_at is null and performed_bulks <> 0)
        or (status in ('SUBMITTED', 'PERFORMED')
          and (row_count = 0 or problem_count <> 0 or file_problems is not null))`,
  ),
  sqlCheck(
    'an order has an end and a failure as its state says, and expires if it may change',
    `
      select hex(id) as id, status from bulk_transfer_order
      where (status = 'PERFORMED') <> (performed_at is not null)
        or (status = 'FAILED' and failure is null)
        or (status in ('DRAFT', 'SUBMITTED', 'PERFORMED') and failure is not null)
        or (status in ('DRAFT', 'FAILED') or (status <> 'SUBMITTED' and kept_rows > 0))
          <> (expires_at is not null)
        or (expires_at <= changed_at and phase <> 'READING')`,
  ),
  sqlCheck(
    'an order is leased and worked on while it is read or submitted, and only then',
    `
      select hex(id) as id, status, phase, rows_done from bulk_transfer_order
      where (leased_by is not null and leased_until is null)
        or (leased_until is not null and status <> 'SUBMITTED' and phase <> 'READING')
        or (phase = 'READING' and (status <> 'DRAFT' or leased_by is null))
        or (phase <> 'DONE') <> (status = 'SUBMITTED' or phase = 'READING')
        or rows_done < 0 or rows_done > row_count
        or (status = 'PERFORMED' and rows_done <> row_count)`,
  ),
  sqlCheck(
    'an order has at most as many bulks as its rows need, and all of them when it is performed',
    `
      select hex(id) as id, row_count, bulk_rows_max, performed_bulks from bulk_transfer_order
      where performed_bulks < 0 or bulk_rows_max < 1
        or (bulk_rows_max is not null and (performed_bulks - 1) * bulk_rows_max >= row_count)
        or (status = 'PERFORMED' and performed_bulks * bulk_rows_max < row_count)`,
  ),
  sqlCheck(
    'the bulk of a performed order has its key, its number of transfers and its total',
    `
      select hex(o.id) as id, b.transfer_count, b.total_amount_minor from bulk_transfer_order o
      left join bulk_transfer b
        on b.account_id = o.account_id and b.idempotency_key = o.idempotency_key
      where o.status = 'PERFORMED' and o.performed_bulks = 1
        and (b.id is null or b.transfer_count <> o.row_count
          or b.total_amount_minor <> o.total_amount_minor)`,
  ),
  sqlCheck(
    'an order was created, submitted, ended and last changed as the audit log says',
    `
      select hex(o.id) as id, o.created_at, made.first as made_at, o.changed_at, changed.last
      from bulk_transfer_order o
      left join ${auditedBy(['createOrder', 'duplicateOrder', 'importOrder'])} made on made.subject_id = o.id
      left join ${auditedBy(ORDER_ACTIONS, "outcome <> 'NOT_FOUND'")} changed
        on changed.subject_id = o.id
      left join ${auditedBy(['submitOrder'])} submitted on submitted.subject_id = o.id
      left join ${auditedBy(['performOrder'])} performed on performed.subject_id = o.id
      left join ${auditedBy(['cancelOrder'])} cancelled on cancelled.subject_id = o.id
      left join ${auditedBy(['expireOrder'])} expired on expired.subject_id = o.id
      where (o.phase <> 'READING' and (made.first is null or changed.last is null))
        or made.first <> o.created_at or changed.last <> o.changed_at
        or (o.submitted_at is null) <> (submitted.last is null)
        or o.submitted_at <> submitted.last
        or (o.performed_at is null) <> (performed.last is null)
        or o.performed_at <> performed.last
        or (o.status = 'CANCELLED') <> (cancelled.last is not null)
        or (o.status = 'EXPIRED') <> (expired.last is not null)`,
  ),
  sqlCheck(
    'the transitions of an order are numbered without a gap, and lead to its state',
    `
      select hex(o.id) as id, o.status, o.transition_count, t.transitions, t.last
      from bulk_transfer_order o left join (
        select order_id, count(*) as transitions, min(sequence) as first, max(sequence) as last
        from order_transition group by order_id
      ) t on t.order_id = o.id
      left join order_transition latest
        on latest.order_id = o.id and latest.sequence = o.transition_count
      where o.transition_count <> coalesce(t.transitions, 0) or t.first <> 1
        or t.last <> o.transition_count
        or (o.phase <> 'READING') <> (o.transition_count > 0)
        or latest.status <> o.status`,
  ),
  sqlCheck(
    'a transition begins in the state in which the one before ended, and has the facts of its order',
    `
      select hex(t.id) as id, t.previous_status, b.status from order_transition t
      left join bulk_transfer_order o on o.id = t.order_id
      left join order_transition b on b.order_id = t.order_id and b.sequence = t.sequence - 1
      where o.id is null or o.account_id <> t.account_id
        or (t.sequence = 1) <> (t.previous_status is null)
        or t.previous_status <> b.status or t.status = t.previous_status
        or t.created_at < b.created_at or t.created_at > o.changed_at
        or (t.sequence = 1 and t.created_at <> o.created_at)
        or (t.status = 'FAILED') <> (t.failure_code is not null)
        or (t.status = 'PERFORMED' and (t.created_at <> o.performed_at
          or t.row_count <> o.row_count or t.total_amount_minor <> o.total_amount_minor
          or t.performed_bulks <> o.performed_bulks))
        or t.performed_bulks < 0 or t.performed_bulks > o.performed_bulks
        or (o.status in ${OPEN} and t.row_count > ${ORDER_ROWS_MAX})
        or t.row_count < 0`,
  ),
  sqlCheck(
    'each transition of an order has its outbox message while it is kept',
    `
      select hex(t.id) as id, t.status from order_transition t
      left join outbox_message m on m.subject_id = t.order_id and m.sequence = t.sequence
        and m.type = 'order.changed'
      where m.id is null and t.created_at > ?`,
    { isAboutKept: true },
  ),
  sqlCheck(
    'an audit entry of an order names the account of the order, and an order that exists',
    `
      select hex(x.id) as id, x.action from audit_entry x
      left join bulk_transfer_order o on o.id = x.subject_id and o.account_id = x.account_id
      where x.action in (${ORDER_ACTIONS.map((action) => `'${action}'`).join(', ')})
        and x.subject_id is not null and o.id is null`,
  ),
];

/** Names a row of an order. */
const orderRowOf: RowName = ({ order_id, row_index }) => ({
  order: hexOf(order_id),
  row: String(row_index),
});

const isKey: Form = (value) =>
  /^[\x20-\x7e]+$/.test(textOf(value)) && textOf(value).length <= ORDER_KEY_CHARACTERS_MAX;

const isFailure: Form = (value) => {
  try {
    return typeof failureFromJson(textOf(value)).code === 'string';
  } catch {
    return false;
  }
};

const isValue: Form = (value) =>
  [...textOf(value)].length <= VALUE_CHARACTERS_MAX && textOf(value).isWellFormed();

/** Tells whether the problems of a row are as many as it says, each with a known code. */
function hasProblems({ problems, problem_count }: StoredRow): boolean {
  if (problems === null) return Number(problem_count) === 0;
  return hasListOf(problems, PROBLEM_CODES, Number(problem_count));
}

/** Tells whether a text is a JSON list of objects with known codes. @param length the length, any but 0 if absent */
function hasListOf(value: StoredRow[string], codes: readonly string[], length?: number): boolean {
  try {
    const listed: readonly { readonly code: string }[] = JSON.parse(textOf(value));
    const isLength = length === undefined ? listed.length > 0 : listed.length === length;
    return isLength && listed.every(({ code }) => codes.includes(code));
  } catch {
    return false;
  }
}

/** Tells whether a readable amount is that of the row's text. */
function hasAmount({ amount, amount_minor, currency }: StoredRow): boolean {
  if (amount_minor === null) return true;
  return (
    parseAmountIn(textOf(amount), textOf(currency)).minorUnits === BigInt(String(amount_minor))
  );
}

const ORDER_ROWS: readonly Check[] = [
  rowCheck({ columns: '*', source: 'order_transition', key: ['id'] }, [
    formRule("a transition's id, states and failure are well-formed", rowOf('transition'), {
      id: isStoredId,
      status: oneOf(ORDER_STATUSES),
      previous_status: absentOr(oneOf(ORDER_STATUSES)),
      failure_code: absentOr(matching(/^[A-Z_]{1,40}$/)),
    }),
  ]),
  rowCheck({ columns: '*', source: 'bulk_transfer_order', key: ['id'] }, [
    formRule("an order's id, names, state, key and failure are well-formed", rowOf('order'), {
      id: isStoredId,
      name: absentOr(text(NAME)),
      file_hash: absentOr(matching(/^[0-9a-f]{64}$/)),
      file_part: absentOr((value) => Number(value) >= 0),
      file_problems: absentOr((value) => hasListOf(value, PROBLEM_CODES)),
      file_warnings: absentOr((value) => hasListOf(value, ORDER_WARNING_CODES)),
      import_key: absentOr(isKey),
      execution_date: absentOr(matching(/^\d{4}-\d{2}-\d{2}$/)),
      status: oneOf(ORDER_STATUSES),
      source: oneOf(ORDER_SOURCES),
      phase: oneOf(ORDER_PHASES),
      idempotency_key: absentOr(isKey),
      failure: absentOr(isFailure),
      submitted_by_kind: absentOr(oneOf(CALLER_KINDS)),
      request_id: absentOr(matching(/^[0-9a-f-]{0,36}$/)),
      leased_by: absentOr(isStoredId),
    }),
  ]),
  rowCheck(
    {
      columns: `r.order_id, r.row_index, r.line, r.amount, r.counterparty_name, r.counterparty_iban,
        r.counterparty_bic, r.description, r.end_to_end_id, r.amount_minor, r.problem_count,
        r.problems, o.currency`,
      source: 'order_row r left join bulk_transfer_order o on o.id = r.order_id',
      key: ['r.order_id', 'r.row_index'],
    },
    [
      formRule("a row's number, line and values are well-formed", orderRowOf, {
        row_index: (value) => Number(value) >= 0,
        line: absentOr((value) => Number(value) >= 1),
        counterparty_name: absentOr(isValue),
        counterparty_iban: absentOr(isValue),
        counterparty_bic: absentOr(isValue),
        description: absentOr(isValue),
        end_to_end_id: absentOr(isValue),
      }),
      {
        statement: 'a row has the problems that it counts, and the amount of its text',
        watch: () => ({
          see: (row) => (hasProblems(row) && hasAmount(row) ? undefined : orderRowOf(row)),
        }),
      },
    ],
  ),
];

export const ORDER_CHECKS: readonly Check[] = [...ORDER_SQL_CHECKS, ...ORDER_ROWS];
