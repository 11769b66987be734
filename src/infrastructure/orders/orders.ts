/** The tables of bulk transfer orders. */
import { type FilterQuery, UniqueConstraintViolationException } from '@mikro-orm/core';
import type { EntityManager } from '@mikro-orm/sql';
import type {
  CopiedRows,
  OrderChange,
  OrderFilter,
  OrderProgress,
  OrderRowChange,
  OrderStore,
} from '../../application/ports/order-store.js';
import type { ListPage, PageRange } from '../../application/ports/page.js';
import type { OrganizationScope, RequestSource } from '../../domain/caller.js';
import { AbandonedError, ImportConflictError, UnavailableError } from '../../domain/errors.js';
import type { NewId } from '../../domain/id.js';
import type { OrderStatus } from '../../domain/kinds.js';
import { rejected } from '../../domain/mutations.js';
import { isFinal, KEPT_ROWS_MAX, OPEN_ORDERS_MAX, OPEN_STATUSES } from '../../domain/order.js';
import { AuditEntry } from '../../entities/audit-entry.entity.js';
import {
  BulkTransferOrder,
  type OrderLease,
  type OrderSums,
} from '../../entities/bulk-transfer-order.entity.js';
import type { OrderRowRecord } from '../../entities/order-row.entity.js';
import { OrderTransition } from '../../entities/order-transition.entity.js';
import { OutboxMessage } from '../../entities/outbox-message.entity.js';
import type { Database } from '../database/dialect.js';
import { idLiteral, idOfHex } from '../database/id-literal.js';
import { inTransaction } from '../database/transaction.js';
import { readListPage } from '../ledger/keyset-page.js';
import { currentTraceparent } from '../observability/request-scope.js';
import { deleteRows, OrderRowChanges, OrderRowReads } from './order-rows.js';
import { OrganizationTurns } from './organization-turns.js';

/** The number of orders that one look for due ones returns. */
const DUE_AT_ONCE = 100;

/** The number of rows that one transaction deletes. */
const PRUNED_AT_ONCE = 2_000;

/** The number of orders that one statement reads by their ids. */
const READ_AT_ONCE = 500;

/** The number of attempts of a change while others change the same order. */
const ATTEMPTS_MAX = 3;

/** The number of changes of rows that one server makes at once, so that they leave connections to others. */
const ROW_CHANGES_MAX = 3;

/** The states in which a server may have a lease: it adds the rows of a draft, or performs a submitted order. */
const LEASED_STATUSES = ['DRAFT', 'SUBMITTED'] as const;

export class MikroOrmOrders extends OrderRowReads implements OrderStore {
  /** The orders of this process since its start that came into each state. */
  readonly transitionCounts = new Map<OrderStatus, number>();
  readonly #rowChanges: OrderRowChanges;
  readonly #turns = new OrganizationTurns(ROW_CHANGES_MAX);
  /** The organizations whose orders were claimed, in order of their last claim. */
  readonly #claimed = new Set<string>();

  constructor(
    database: Pick<Database, 'orm' | 'appendRows' | 'isContention' | 'byIndex'>,
    private readonly newId: NewId,
    private readonly retentionMs: number,
  ) {
    super(database);
    this.#rowChanges = new OrderRowChanges(database);
  }

  async add(order: BulkTransferOrder, source: RequestSource): Promise<void> {
    await inTransaction(this.em, async (em) => {
      await assertRoom(em, order.organizationId, { orders: 1 });
      em.persist([order, this.#audit(order, { action: 'createOrder', source }, order.createdAt)]);
      this.#noteTransition(em, order, null);
    });
    this.#count(order.status);
  }

  byId(id: string, organizations: OrganizationScope): Promise<BulkTransferOrder | null> {
    return this.em.findOne(BulkTransferOrder, { id, ...visibleTo(organizations) });
  }

  async byIds(ids: readonly string[]): Promise<BulkTransferOrder[]> {
    const orders: BulkTransferOrder[] = [];
    for (let start = 0; start < ids.length; start += READ_AT_ONCE) {
      const some = ids.slice(start, start + READ_AT_ONCE);
      orders.push(...(await this.em.find(BulkTransferOrder, { id: { $in: some } })));
    }
    return orders;
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
    return readListPage((statement) => statement(this.em), list, range);
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
      this.#noteTransition(em, order, before);
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
    const { at, removed, added, organizationId } = change;
    return this.#inTurn(organizationId, async (em) => {
      const order = await lockOrder(em, id, organizations);
      if (!order) return null;
      order.assertEditable();
      if (added.length > 0) await assertRoom(em, order.organizationId, { rows: added.length });
      const rows = { removed, added };
      const sums = await this.#rowChanges.replace(em, id, rows, change.onRemoved);
      const before = order.status;
      order.edit(sums, at, this.retentionMs);
      em.persist(this.#audit(order, change, order.changedAt));
      this.#noteTransition(em, order, before);
      return order;
    });
  }

  async begin(orders: readonly BulkTransferOrder[], rows: number): Promise<void> {
    try {
      await inTransaction(this.em, async (em) => {
        for (const organizationId of new Set(orders.map((order) => order.organizationId))) {
          await assertRoom(em, organizationId, { orders: orders.length, rows });
        }
        await em.persist([...orders]).flush();
      });
    } catch (error) {
      if (!(error instanceof UniqueConstraintViolationException)) throw error;
      throw new ImportConflictError('IN_PROGRESS');
    }
  }

  append(id: string, lease: OrderLease, rows: readonly OrderRowRecord[]): Promise<void> {
    return this.#whileRead(id, lease, (em) => this.#rowChanges.append(em, id, rows));
  }

  async copy(id: string, lease: OrderLease, rows: CopiedRows): Promise<bigint | undefined> {
    let copiedTo: bigint | undefined;
    await this.#whileRead(id, lease, async (em) => {
      const { last, sums } = await this.#rowChanges.copy(em, id, rows);
      copiedTo = last;
      return sums;
    });
    return copiedTo;
  }

  async complete(
    ids: readonly string[],
    { at, ...change }: Pick<OrderChange, 'action' | 'source'> & { readonly at: Date },
  ): Promise<BulkTransferOrder[]> {
    const completed = await this.#inTransaction(async (em) => {
      const orders: BulkTransferOrder[] = [];
      for (const id of ids.toSorted()) {
        const order = await lockOrder(em, id, 'all');
        if (!order?.isBeingRead) throw new AbandonedError();
        order.complete(at, this.retentionMs);
        em.persist(this.#audit(order, change, order.changedAt));
        this.#noteTransition(em, order, null);
        orders.push(order);
      }
      return orders;
    });
    for (const { status } of completed) this.#count(status);
    return ids.flatMap((id) => completed.find((order) => order.id === id) ?? []);
  }

  async abandon(ids: readonly string[], now: Date): Promise<void> {
    for (const id of ids) {
      // A repeated request with the same key begins anew.
      const change = { expiresAt: now, importKey: null };
      await this.em.nativeUpdate(BulkTransferOrder, { id, phase: 'READING' }, change);
    }
  }

  importedBy(organizationIds: readonly string[], importKey: string): Promise<BulkTransferOrder[]> {
    const where = { organizationId: { $in: organizationIds }, importKey };
    return this.em.find(BulkTransferOrder, where, { orderBy: { filePart: 'asc' } });
  }

  lastOfFile(
    organizationIds: readonly string[],
    fileHash: string,
  ): Promise<BulkTransferOrder | null> {
    const organizationId = { $in: organizationIds };
    const where = { organizationId, fileHash, phase: { $ne: 'READING' } } as const;
    return this.em.findOne(BulkTransferOrder, where, { orderBy: { id: 'desc' } });
  }

  async claim(lease: OrderLease, now: Date): Promise<BulkTransferOrder | null> {
    const waiting = await this.em.execute<{ organization: string; id: string }[]>(
      `select hex(organization_id) as organization, hex(min(id)) as id from bulk_transfer_order
        where status = 'SUBMITTED' and (leased_until is null or leased_until <= ?)
        group by organization_id`,
      [now],
    );
    const turnOf = new Map(
      [...this.#claimed].map((organizationId, turn) => [organizationId, turn]),
    );
    const candidates = waiting
      .map((row) => ({ organizationId: idOfHex(row.organization), id: idOfHex(row.id) }))
      .toSorted(
        (one, other) =>
          (turnOf.get(one.organizationId) ?? -1) - (turnOf.get(other.organizationId) ?? -1),
      );
    for (const { id, organizationId } of candidates) {
      const isFree = { $or: [{ leasedUntil: null }, { leasedUntil: { $lte: now } }] };
      const claimed = await this.em.nativeUpdate(
        BulkTransferOrder,
        { id, status: 'SUBMITTED', ...isFree },
        { leasedBy: lease.holder, leasedUntil: lease.until },
      );
      if (claimed === 0) continue;
      this.#claimed.delete(organizationId);
      this.#claimed.add(organizationId);
      return this.em.findOne(BulkTransferOrder, { id });
    }
    return null;
  }

  async noteProgress(
    id: string,
    { holder, until }: OrderLease,
    progress: OrderProgress,
  ): Promise<boolean> {
    const updated = await this.em.nativeUpdate(
      BulkTransferOrder,
      { id, status: 'SUBMITTED', leasedBy: holder },
      { ...progress, leasedUntil: until },
    );
    return updated > 0;
  }

  async release(id: string, holder: string, from: Date): Promise<void> {
    await this.em.nativeUpdate(
      BulkTransferOrder,
      { id, status: 'SUBMITTED', leasedBy: holder },
      { phase: 'WAITING', rowsDone: 0, leasedBy: null, leasedUntil: from },
    );
  }

  async leaseHolders(): Promise<string[]> {
    const where = { status: { $in: LEASED_STATUSES }, leasedBy: { $ne: null } } as const;
    const leased = await this.em.find(BulkTransferOrder, where, {
      fields: ['leasedBy'],
      disableIdentityMap: true,
    });
    return [...new Set(leased.flatMap(({ leasedBy }) => leasedBy ?? []))];
  }

  async releaseOf(holder: string): Promise<number> {
    const leased = await this.em.find(
      BulkTransferOrder,
      { status: { $in: LEASED_STATUSES }, leasedBy: holder },
      { fields: ['id'], disableIdentityMap: true },
    );
    for (const { id } of leased) {
      await this.em.nativeUpdate(
        BulkTransferOrder,
        { id, status: 'SUBMITTED', leasedBy: holder },
        { phase: 'WAITING', rowsDone: 0, leasedBy: null, leasedUntil: null },
      );
      // Rows that were not all added are of no use: they are deleted at the next look for due orders.
      await this.em.nativeUpdate(
        BulkTransferOrder,
        { id, phase: 'READING', leasedBy: holder },
        { expiresAt: new Date(0), importKey: null },
      );
    }
    return leased.length;
  }

  due(now: Date): Promise<BulkTransferOrder[]> {
    return this.em.find(
      BulkTransferOrder,
      { expiresAt: { $lte: now } },
      { orderBy: { expiresAt: 'asc' }, limit: DUE_AT_ONCE },
    );
  }

  pruneRows(id: string, now: Date): Promise<boolean> {
    return this.#inTransaction(async (em) => {
      const order = await lockOrder(em, id, 'all');
      const isDue = order?.expiresAt != null && order.expiresAt <= now;
      if (!isDue || !(isFinal(order.status) || order.isBeingRead)) return false;
      const deleted = await deleteRows(em, id, PRUNED_AT_ONCE);
      order.forget(deleted);
      if (order.isBeingRead && order.keptRows === 0) em.remove(order);
      return order.keptRows > 0;
    });
  }

  /** Runs a change, again if others change the same order. @throws UnavailableError if they still do */
  async #inTransaction<Result>(work: (em: EntityManager) => Promise<Result>): Promise<Result> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await inTransaction(this.em, work);
      } catch (cause) {
        if (!this.database.isContention(cause)) throw cause;
        if (attempt === ATTEMPTS_MAX) throw new UnavailableError('STATEMENT_FAILED', { cause });
      }
    }
  }

  /** Changes rows of an organization while no more than a few other changes are in progress. */
  #inTurn<Result>(
    organizationId: string,
    work: (em: EntityManager) => Promise<Result>,
  ): Promise<Result> {
    return this.#turns.run(organizationId, () => this.#inTransaction(work));
  }

  /** Adds rows to an order that is being read, and renews its lease. @throws AbandonedError if the lease is lost */
  async #whileRead(
    id: string,
    { holder, until }: OrderLease,
    work: (em: EntityManager) => Promise<OrderSums>,
  ): Promise<void> {
    await this.#inTransaction(async (em) => {
      const order = await lockOrder(em, id, 'all');
      if (!order?.isBeingRead || order.leasedBy !== holder) throw new AbandonedError();
      order.append(await work(em), until);
    });
  }

  async countSubmitted(): Promise<{ count: number; oldestSince: Date | undefined }> {
    const where = { status: 'SUBMITTED' } as const;
    const [count, oldest] = await Promise.all([
      this.em.count(BulkTransferOrder, where),
      this.em.find(BulkTransferOrder, where, { orderBy: { submittedAt: 'asc' }, limit: 1 }),
    ]);
    return { count, oldestSince: oldest[0]?.submittedAt ?? undefined };
  }

  #count(status: OrderStatus): void {
    this.transitionCounts.set(status, (this.transitionCounts.get(status) ?? 0) + 1);
  }

  /** Records a change of the state of an order, with its event. @param before the state before; null for a new order */
  #noteTransition(em: EntityManager, order: BulkTransferOrder, before: OrderStatus | null): void {
    if (order.status === before) return;
    order.transitionCount += 1;
    const transition = OrderTransition.of(this.newId(), order, before);
    const { sequence, createdAt } = transition;
    const facts = { id: this.newId(), type: 'order.changed', subjectId: order.id } as const;
    const message = OutboxMessage.of({ ...facts, sequence, createdAt });
    message.trace(currentTraceparent());
    em.persist([transition, message]);
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
  const where = { id, ...visibleTo(organizations) };
  if (organizations !== 'all' && organizations.length === 0) return null;
  const ofThem =
    organizations === 'all'
      ? ''
      : ` and organization_id in (${organizations.map(idLiteral).join(', ')})`;
  await em.execute(
    `update bulk_transfer_order set row_count = row_count where id = ${idLiteral(id)}${ofThem}`,
  );
  return em.findOne(BulkTransferOrder, where);
}

/**
 * Asserts that an organization may have further orders and rows. Requests at the same moment may exceed the limit by
 * what they add.
 * @throws DomainError INVALID_INPUT
 */
async function assertRoom(
  em: EntityManager,
  organizationId: string,
  { orders = 0, rows = 0 }: { readonly orders?: number; readonly rows?: number },
): Promise<void> {
  const found = await em.execute<{ status: OrderStatus; orders: number; kept: number }[]>(
    `select status, count(*) as orders, sum(kept_rows) as kept from bulk_transfer_order
      where organization_id = ${idLiteral(organizationId)} and status <> 'PERFORMED' group by status`,
  );
  const open = found.filter(({ status }) => OPEN_STATUSES.includes(status));
  const openCount = open.reduce((sum, one) => sum + Number(one.orders), 0);
  const keptCount = found.reduce((sum, one) => sum + Number(one.kept), 0);
  if (orders > 0 && openCount + orders > OPEN_ORDERS_MAX) {
    throw noRoom(`${OPEN_ORDERS_MAX} orders that are not finished: cancel one first.`);
  }
  if (rows > 0 && keptCount + rows > KEPT_ROWS_MAX) {
    throw noRoom(`${KEPT_ROWS_MAX} rows in orders that were not performed: remove some first.`);
  }
}

function noRoom(what: string) {
  const problems = [
    { field: 'organizationIban', code: 'TOO_MANY', message: `An organization may have ${what}` },
  ] as const;
  return rejected('createOrder', { code: 'INVALID_INPUT', problems });
}
