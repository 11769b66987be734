/** The tables of bulk transfer orders. */
import type { FilterQuery } from '@mikro-orm/core';
import type { EntityManager } from '@mikro-orm/sql';
import type {
  NumberedRow,
  OrderChange,
  OrderFilter,
  OrderLease,
  OrderProblem,
  OrderProgress,
  OrderRowChange,
  OrderStore,
} from '../../application/ports/order-store.js';
import { COUNT_MAX, type ListPage, type PageRange } from '../../application/ports/page.js';
import type { OrganizationScope, RequestSource } from '../../domain/caller.js';
import { DomainError, UnavailableError } from '../../domain/errors.js';
import type { NewId } from '../../domain/id.js';
import type { OrderStatus } from '../../domain/kinds.js';
import { MINOR_UNITS_MAX } from '../../domain/money.js';
import { rejected } from '../../domain/mutations.js';
import { OPEN_ORDERS_MAX, OPEN_STATUSES, ORDER_ROWS_MAX } from '../../domain/order.js';
import { AuditEntry } from '../../entities/audit-entry.entity.js';
import { BulkTransferOrder, type OrderSummary } from '../../entities/bulk-transfer-order.entity.js';
import { OrderRow, type OrderRowRecord } from '../../entities/order-row.entity.js';
import { type AppendTable, appendTableOf } from '../database/append-rows.js';
import type { Database } from '../database/dialect.js';
import { idLiteral } from '../database/id-literal.js';
import { inTransaction } from '../database/transaction.js';
import { readListPage, toPage } from '../ledger/keyset-page.js';

/** The problems of one row have places from its number times this. A row has fewer problems. */
const PROBLEMS_PER_ROW = 32n;

/** The number of orders that one look for expired ones returns. */
const EXPIRED_AT_ONCE = 100;

/** The number of rows that one statement deletes. */
const PRUNED_AT_ONCE = 2_000;

/** The number of rows that one statement marks as duplicates. */
const MARKED_AT_ONCE = 1_000;

/** The part of an amount that is summed apart. */
const TOTAL_PARTS = 1_000_000n;

/** The number of attempts of a change while others change the same order. */
const ATTEMPTS_MAX = 3;

/** A row as the driver returns it. */
interface SummaryRow {
  readonly rows: number | string;
  readonly problems: number | string | null;
  readonly duplicates: number | string | null;
  readonly unreadable: number | string | null;
  /** The sum of the amounts in two parts, because it may be larger than an integer of the database. */
  readonly high: string | null;
  readonly low: string | null;
}

/** A row as the driver returns it. */
interface PerformedRow {
  readonly row_index: number | string | bigint;
  readonly amount: string | null;
  readonly currency: string | null;
  readonly counterparty_name: string | null;
  readonly counterparty_iban: string | null;
  readonly counterparty_bic: string | null;
  readonly description: string | null;
  readonly end_to_end_id: Uint8Array | null;
}

export class MikroOrmOrders implements OrderStore {
  /** The orders of this process since its start that came into each state. */
  readonly transitionCounts = new Map<OrderStatus, number>();
  readonly #table: AppendTable<OrderRowRecord>;

  constructor(
    private readonly database: Pick<Database, 'orm' | 'appendRows' | 'isContention'>,
    private readonly newId: NewId,
    private readonly retentionMs: number,
  ) {
    this.#table = appendTableOf<OrderRowRecord>(database.orm, OrderRow);
  }

  get #em(): EntityManager {
    return this.database.orm.em.fork();
  }

  async add(order: BulkTransferOrder, source: RequestSource): Promise<void> {
    await inTransaction(this.#em, async (em) => {
      await assertRoom(em, order.organizationId);
      em.persist([order, this.#audit(order, { action: 'createOrder', source }, order.createdAt)]);
    });
    this.#count(order.status);
  }

  byId(id: string, organizations: OrganizationScope): Promise<BulkTransferOrder | null> {
    return this.#em.findOne(BulkTransferOrder, { id, ...visibleTo(organizations) });
  }

  byIds(ids: readonly string[]): Promise<BulkTransferOrder[]> {
    return this.#em.find(BulkTransferOrder, { id: { $in: ids } });
  }

  list(
    organizations: OrganizationScope,
    { accountId, statuses }: OrderFilter,
    range: PageRange<string>,
  ): Promise<ListPage<BulkTransferOrder>> {
    const where = {
      ...visibleTo(organizations),
      ...(accountId !== undefined && { accountId }),
      ...(statuses !== undefined && { status: { $in: statuses } }),
    } as FilterQuery<BulkTransferOrder>;
    const list = { entity: BulkTransferOrder, where, key: 'id', order: 'newest-first' } as const;
    return readListPage((statement) => statement(this.#em), list, range);
  }

  async change(
    id: string,
    organizations: OrganizationScope,
    change: OrderChange,
  ): Promise<BulkTransferOrder | null> {
    let before: OrderStatus | undefined;
    const changed = await this.#inTransaction(async (em) => {
      const order = await lockOrder(em, id, organizations);
      if (!order) return null;
      before = order.status;
      if (change.isWanted?.(order) === false) return order;
      change.apply(order);
      em.persist(this.#audit(order, change, order.changedAt));
      return order;
    });
    if (changed && changed.status !== before) this.#count(changed.status);
    return changed;
  }

  changeRows(
    id: string,
    organizations: OrganizationScope,
    change: OrderRowChange,
  ): Promise<BulkTransferOrder | null> {
    const { at, removed, added, onRemoved } = change;
    return this.#inTransaction(async (em) => {
      const order = await lockOrder(em, id, organizations);
      if (!order) return null;
      order.assertEditable();
      const rowIndex =
        'first' in removed ? { $gte: removed.first, $lte: removed.last } : { $in: removed };
      const removedCount = await em.nativeDelete(OrderRow, {
        orderId: id,
        rowIndex,
      } as FilterQuery<OrderRow>);
      onRemoved?.(removedCount);
      if (order.rowCount - removedCount + added.length > ORDER_ROWS_MAX) throw tooManyRows();
      await this.database.appendRows(em, [this.#table(added)]);
      order.edit(await summarise(em, id), at, this.retentionMs);
      em.persist(this.#audit(order, change, order.changedAt));
      return order;
    });
  }

  async duplicate(
    id: string,
    organizations: OrganizationScope,
    copy: BulkTransferOrder,
    source: RequestSource,
  ): Promise<BulkTransferOrder | null> {
    const copied = await this.#inTransaction(async (em) => {
      const order = await lockOrder(em, id, organizations);
      if (!order) return null;
      await assertRoom(em, copy.organizationId);
      const columns = this.#table([]).columns.filter((column) => column !== 'order_id');
      const list = columns.map((column) => `\`${column}\``).join(', ');
      await em.execute(`insert into order_row (order_id, ${list})
        select ${idLiteral(copy.id)}, ${list} from order_row where order_id = ${idLiteral(id)}`);
      const summary = await summarise(em, copy.id);
      if (summary.rowCount !== order.rowCount) throw rowsDeleted(order);
      em.persist(copy);
      copy.edit(summary, copy.createdAt, this.retentionMs);
      em.persist(this.#audit(copy, { action: 'duplicateOrder', source }, copy.createdAt));
      return copy;
    });
    if (copied) this.#count(copied.status);
    return copied;
  }

  rows(
    orderId: string,
    onlyProblems: boolean,
    range: PageRange<bigint>,
  ): Promise<ListPage<OrderRow>> {
    const where = onlyProblems ? { orderId, hasProblems: 1 } : { orderId };
    const list = { entity: OrderRow, where, key: 'rowIndex', order: 'oldest-first' } as const;
    return readListPage((statement) => statement(this.#em), list, range);
  }

  async problems(
    { id: orderId, problemCount }: Pick<BulkTransferOrder, 'id' | 'problemCount'>,
    range: PageRange<bigint>,
  ): Promise<ListPage<OrderProblem>> {
    const { after, before, size, fromEnd } = range;
    const rows = await this.#em.find(
      OrderRow,
      {
        orderId,
        hasProblems: 1,
        rowIndex: {
          ...(after !== undefined && { $gte: after / PROBLEMS_PER_ROW }),
          ...(before !== undefined && { $lte: before / PROBLEMS_PER_ROW }),
        },
      },
      // Each row has a problem at least. One of the first row may be before the place.
      { orderBy: { rowIndex: fromEnd ? 'desc' : 'asc' }, limit: size + 2 },
    );
    const found = rows
      .flatMap((row) => (fromEnd ? problemsOf(row).toReversed() : problemsOf(row)))
      .filter(({ place }) => place > (after ?? -1n) && (before === undefined || place < before));
    const page = toPage(found.slice(0, size + 1), range);
    return { ...page, count: async () => (problemCount > COUNT_MAX ? null : problemCount) };
  }

  async rowIndexAt(orderId: string, place: number): Promise<bigint | undefined> {
    const [found] = await this.#em.execute<Pick<PerformedRow, 'row_index'>[]>(
      `select row_index from order_row where order_id = ${idLiteral(orderId)}
        order by row_index limit 1 offset ${place}`,
    );
    return found && BigInt(found.row_index);
  }

  async rowsFrom(orderId: string, first: bigint, count: number): Promise<NumberedRow[]> {
    // MikroORM would make an entity of each row, which takes as long as all other work on it.
    const rows = await this.#em.execute<PerformedRow[]>(
      `select row_index, amount, currency, counterparty_name, counterparty_iban, counterparty_bic,
          description, end_to_end_id
        from order_row where order_id = ${idLiteral(orderId)} and row_index >= ${first}
        order by row_index limit ${count}`,
    );
    return rows.map((row) => ({
      rowIndex: BigInt(row.row_index),
      row: {
        amount: row.amount ?? '',
        currency: row.currency,
        counterpartyName: row.counterparty_name ?? '',
        counterpartyIban: row.counterparty_iban ?? '',
        counterpartyBic: row.counterparty_bic,
        description: row.description ?? '',
        endToEndId: row.end_to_end_id && Buffer.from(row.end_to_end_id).toString(),
      },
    }));
  }

  async claim(lease: OrderLease, now: Date): Promise<BulkTransferOrder | null> {
    const isFree = { $or: [{ leasedUntil: null }, { leasedUntil: { $lte: now } }] };
    const where = { status: 'SUBMITTED', ...isFree } as const;
    const waiting = await this.#em.find(BulkTransferOrder, where, {
      fields: ['id'],
      // One that was tried before comes after the new ones, so that a busy account keeps nobody waiting.
      orderBy: { leasedUntil: 'asc', id: 'asc' },
      limit: 10,
      disableIdentityMap: true,
    });
    for (const { id } of waiting) {
      const claimed = await this.#em.nativeUpdate(
        BulkTransferOrder,
        { id, ...where },
        { leasedBy: lease.holder, leasedUntil: lease.until },
      );
      if (claimed > 0) return this.#em.findOne(BulkTransferOrder, { id });
    }
    return null;
  }

  async noteProgress(
    id: string,
    { holder, until }: OrderLease,
    progress: OrderProgress,
  ): Promise<boolean> {
    const updated = await this.#em.nativeUpdate(
      BulkTransferOrder,
      { id, status: 'SUBMITTED', leasedBy: holder },
      { ...progress, leasedUntil: until },
    );
    return updated > 0;
  }

  async release(id: string, holder: string, from: Date): Promise<void> {
    await this.#em.nativeUpdate(
      BulkTransferOrder,
      { id, status: 'SUBMITTED', leasedBy: holder },
      { phase: 'WAITING', rowsDone: 0, leasedUntil: from },
    );
  }

  async leaseHolders(): Promise<string[]> {
    const where = { status: 'SUBMITTED', leasedBy: { $ne: null } } as const;
    const leased = await this.#em.find(BulkTransferOrder, where, {
      fields: ['leasedBy'],
      disableIdentityMap: true,
    });
    return [...new Set(leased.flatMap(({ leasedBy }) => leasedBy ?? []))];
  }

  async releaseOf(holder: string): Promise<number> {
    const leased = await this.#em.find(
      BulkTransferOrder,
      { status: 'SUBMITTED', leasedBy: holder },
      { fields: ['id'], disableIdentityMap: true },
    );
    for (const { id } of leased) {
      await this.#em.nativeUpdate(
        BulkTransferOrder,
        { id, status: 'SUBMITTED', leasedBy: holder },
        { phase: 'WAITING', rowsDone: 0, leasedBy: null, leasedUntil: null },
      );
    }
    return leased.length;
  }

  async expired(now: Date): Promise<string[]> {
    const orders = await this.#em.find(
      BulkTransferOrder,
      { expiresAt: { $lte: now } },
      { fields: ['id'], limit: EXPIRED_AT_ONCE, disableIdentityMap: true },
    );
    return orders.map(({ id }) => id);
  }

  async pruneRows(before: Date): Promise<boolean> {
    const [row] = await this.#em.execute<{ id: Uint8Array }[]>(
      `select o.id from bulk_transfer_order o
        where o.status in ('PERFORMED', 'CANCELLED', 'EXPIRED') and o.changed_at < ?
          and exists (select 1 from order_row r where r.order_id = o.id) limit 1`,
      [before],
    );
    if (!row) return false;
    const orderId = Buffer.from(row.id).toString('hex');
    const rows = await this.#em.find(
      OrderRow,
      { orderId },
      { fields: ['rowIndex'], orderBy: { rowIndex: 'asc' }, limit: PRUNED_AT_ONCE },
    );
    const rowIndex = { $in: rows.map((one) => one.rowIndex) };
    await this.#em.nativeDelete(OrderRow, { orderId, rowIndex });
    return true;
  }

  /** Runs a change, again if others change the same order. @throws UnavailableError if they still do */
  async #inTransaction<Result>(work: (em: EntityManager) => Promise<Result>): Promise<Result> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await inTransaction(this.#em, work);
      } catch (cause) {
        if (!this.database.isContention(cause)) throw cause;
        if (attempt === ATTEMPTS_MAX) throw new UnavailableError('STATEMENT_FAILED', { cause });
      }
    }
  }

  async countSubmitted(): Promise<{ count: number; oldestSince: Date | undefined }> {
    const where = { status: 'SUBMITTED' } as const;
    const [count, oldest] = await Promise.all([
      this.#em.count(BulkTransferOrder, where),
      this.#em.find(BulkTransferOrder, where, { orderBy: { submittedAt: 'asc' }, limit: 1 }),
    ]);
    return { count, oldestSince: oldest[0]?.submittedAt ?? undefined };
  }

  #count(status: OrderStatus): void {
    this.transitionCounts.set(status, (this.transitionCounts.get(status) ?? 0) + 1);
  }

  #audit(
    { id, accountId }: BulkTransferOrder,
    { action, outcome = 'DONE', source }: Pick<OrderChange, 'action' | 'outcome' | 'source'>,
    at: Date,
  ): AuditEntry {
    const what = { action, outcome, accountId, subjectId: id };
    return AuditEntry.of({ id: this.newId(), at, source, ...what });
  }
}

function visibleTo(organizations: OrganizationScope) {
  return organizations === 'all' ? {} : { organizationId: { $in: organizations } };
}

/** Locks an order. An update locks on every database; a snapshot that was read before could not. */
async function lockOrder(
  em: EntityManager,
  id: string,
  organizations: OrganizationScope,
): Promise<BulkTransferOrder | null> {
  await em.execute(
    `update bulk_transfer_order set row_count = row_count where id = ${idLiteral(id)}`,
  );
  return em.findOne(BulkTransferOrder, { id, ...visibleTo(organizations) });
}

/** Counts the rows of an order, after it has marked those whose end-to-end id an earlier row has. */
async function summarise(em: EntityManager, orderId: string): Promise<OrderSummary> {
  await markDuplicates(em, orderId);
  const [found] = await em.execute<SummaryRow[]>(`
    select count(*) as \`rows\`, sum(problem_count) as problems,
      sum(case when duplicate_of is null then 0 else 1 end) as duplicates,
      sum(case when amount_minor is null then 1 else 0 end) as unreadable,
      cast(sum((amount_minor - amount_minor % ${TOTAL_PARTS}) / ${TOTAL_PARTS}) as char) as high,
      cast(sum(amount_minor % ${TOTAL_PARTS}) as char) as low
    from order_row where order_id = ${idLiteral(orderId)}`);
  return {
    rowCount: Number(found?.rows),
    problemCount: Number(found?.problems ?? 0) + Number(found?.duplicates ?? 0),
    totalAmountMinor: Number(found?.unreadable ?? 0) > 0 ? null : totalOf(found),
  };
}

/** @throws DomainError INVALID_INPUT for a total that no balance could cover */
function totalOf(found: SummaryRow | undefined): bigint {
  // MariaDB writes the quotient with decimals.
  const [high = '0'] = (found?.high ?? '0').split('.');
  const total = BigInt(high) * TOTAL_PARTS + BigInt(found?.low ?? '0');
  if (total <= MINOR_UNITS_MAX) return total;
  const message = 'The total of all amounts is larger than the largest possible balance.';
  const problems = [{ field: 'rows', code: 'AMOUNT_TOO_LARGE', message }] as const;
  throw rejected('addOrderRows', { code: 'INVALID_INPUT', problems });
}

/** A row as the driver returns it. */
interface DuplicateRow {
  readonly row_index: number | string | bigint;
  readonly first: number | string | bigint;
}

/** Marks each row whose end-to-end id an earlier row of the order has, and no other row. */
async function markDuplicates(em: EntityManager, orderId: string): Promise<void> {
  const id = idLiteral(orderId);
  await em.execute(`update order_row set duplicate_of = null,
      has_problems = case when problem_count > 0 then 1 else 0 end
    where order_id = ${id} and duplicate_of is not null`);
  const duplicates = await em.execute<DuplicateRow[]>(`
    select r.row_index, d.first from order_row r join (
      select end_to_end_id, min(row_index) as first from order_row
      where order_id = ${id} and end_to_end_id is not null
      group by end_to_end_id having count(*) > 1
    ) d on d.end_to_end_id = r.end_to_end_id
    where r.order_id = ${id} and r.row_index > d.first`);
  for (let start = 0; start < duplicates.length; start += MARKED_AT_ONCE) {
    const some = duplicates.slice(start, start + MARKED_AT_ONCE);
    const cases = some.map(
      ({ row_index, first }) => `when ${BigInt(row_index)} then ${BigInt(first)}`,
    );
    const numbers = some.map(({ row_index }) => BigInt(row_index));
    await em.execute(`update order_row
      set duplicate_of = case row_index ${cases.join(' ')} end, has_problems = 1
      where order_id = ${id} and row_index in (${numbers.join(', ')})`);
  }
}

/** Returns the problems of a row with their places. */
function problemsOf(row: OrderRow): OrderProblem[] {
  return row.problems.map((problem, number) => ({
    ...problem,
    row,
    place: row.rowIndex * PROBLEMS_PER_ROW + BigInt(number),
  }));
}

/**
 * Asserts that an organization may have another order. Requests at the same moment may exceed the limit by their number.
 * @throws DomainError INVALID_INPUT
 */
async function assertRoom(em: EntityManager, organizationId: string): Promise<void> {
  const open = await em.count(BulkTransferOrder, {
    organizationId,
    status: { $in: OPEN_STATUSES },
  });
  if (open < OPEN_ORDERS_MAX) return;
  const message = `An organization may have ${OPEN_ORDERS_MAX} orders that are not finished: cancel one first.`;
  const problems = [{ field: 'organizationIban', code: 'TOO_MANY', message }] as const;
  throw rejected('createOrder', { code: 'INVALID_INPUT', problems });
}

function rowsDeleted({ id }: BulkTransferOrder): DomainError {
  const reason = 'Its rows were deleted, because it ended long ago.';
  return new DomainError({ code: 'ORDER_STATE_CONFLICT', orderId: id, reason });
}

function tooManyRows() {
  const message = `An order may have ${ORDER_ROWS_MAX} rows.`;
  const problems = [{ field: 'rows', code: 'TOO_MANY', message }] as const;
  return rejected('addOrderRows', { code: 'INVALID_INPUT', problems });
}
