/** The changes that a company makes to its bulk transfer orders. A foreign order is answered like one that does not exist. */
import type { AccountFacts, CreditTransferRequest } from '../domain/bulk-transfer.js';
import { type Caller, mayDebit, type RequestSource } from '../domain/caller.js';
import { AbandonedError, type DomainError } from '../domain/errors.js';
import { normaliseIban } from '../domain/iban.js';
import { canonicalId, type NewId } from '../domain/id.js';
import { idempotencyKeyProblems } from '../domain/idempotency.js';
import { rejected } from '../domain/mutations.js';
import {
  CHUNK_ROWS_MAX,
  CHUNKS_MAX,
  firstRowOf,
  ORDER_KEY_CHARACTERS_MAX,
} from '../domain/order.js';
import { type Problem, quote } from '../domain/problem.js';
import { NAME, textProblems } from '../domain/text.js';
import { BulkTransferOrder, type OrderLease } from '../entities/bulk-transfer-order.entity.js';
import { type JudgePorts, judgeOrderRows } from './judge-order-rows.js';
import type { Clock } from './ports/clock.js';
import type { LedgerReader } from './ports/ledger-reader.js';
import type { OrderChange, OrderRowChange, OrderStore } from './ports/order-store.js';

export interface CreateOrderRequest {
  readonly organizationIban: string;
  readonly name: string | undefined;
}

export interface ManageOrders {
  /** @throws DomainError INVALID_INPUT or ACCOUNT_NOT_FOUND */
  create(request: CreateOrderRequest, source: RequestSource): Promise<BulkTransferOrder>;
  /**
   * Adds the rows of a chunk in place of those that it had.
   * @throws DomainError INVALID_INPUT, ORDER_NOT_FOUND or ORDER_STATE_CONFLICT, as do the functions below
   */
  addRows(
    id: string,
    chunk: number,
    rows: readonly CreditTransferRequest[],
    source: RequestSource,
  ): Promise<BulkTransferOrder>;
  replaceRow(
    id: string,
    row: number,
    replacement: CreditTransferRequest,
    source: RequestSource,
  ): Promise<BulkTransferOrder>;
  removeRows(
    id: string,
    rows: readonly number[],
    source: RequestSource,
  ): Promise<BulkTransferOrder>;
  /** Lets a server perform the order. @param idempotencyKey the key of its bulk; the id of the order if absent */
  submit(
    id: string,
    idempotencyKey: string | undefined,
    source: RequestSource,
  ): Promise<BulkTransferOrder>;
  cancel(id: string, source: RequestSource): Promise<BulkTransferOrder>;
  /** Makes a draft with the same rows. */
  duplicate(id: string, source: RequestSource): Promise<BulkTransferOrder>;
}

export interface OrderPorts extends JudgePorts {
  readonly orders: OrderStore;
  readonly clock: Clock;
  readonly newId: NewId;
  /** The time after which an order that nobody changes expires. */
  readonly retentionMs: number;
  /** The largest number of rows that one bulk of an order has. */
  readonly bulkRowsMax: number;
  /** Returns the lease of an order to which this server adds rows, from now on. */
  readonly leaseOf: () => OrderLease;
  /** Called after an order was given up whose rows were not all added. */
  readonly onAbandoned: () => void;
  /** Called after an order was submitted. */
  readonly onSubmitted: () => void;
}

/** The number of rows that one transaction copies. */
const COPIED_AT_ONCE = 5_000;

/** The largest number of rows that one request removes. */
const REMOVED_ROWS_MAX = CHUNK_ROWS_MAX;

export function makeManageOrders(ports: OrderPorts): ManageOrders {
  const { clock, retentionMs, bulkRowsMax, onSubmitted } = ports;
  return {
    create: (request, source) => create(ports, request, source),
    addRows: async (text, chunk, rows, source) => {
      const problems = chunkProblems(chunk, rows.length);
      if (problems.length > 0) throw invalid(problems);
      const order = await requireOrder(ports, text, source);
      const first = firstRowOf(chunk);
      const added = await judgeOrderRows(ports, order, first, {
        rows: rows.map((values) => ({ values })),
      });
      const removed = { first: BigInt(first), last: BigInt(first + CHUNK_ROWS_MAX - 1) };
      return changeRows(ports, order, { action: 'addOrderRows', source, removed, added });
    },
    replaceRow: async (text, row, replacement, source) => {
      const order = await requireOrder(ports, text, source);
      const added = await judgeOrderRows(ports, order, row, { rows: [{ values: replacement }] });
      return changeRows(ports, order, {
        action: 'replaceOrderRow',
        source,
        removed: [BigInt(row)],
        added,
        onRemoved: (count) => {
          if (count === 0) throw invalid([noSuchRow(row)]);
        },
      });
    },
    removeRows: async (text, rows, source) => {
      const numbers = [...new Set(rows)];
      const problems = removedRowsProblems(numbers.length);
      if (problems.length > 0) throw invalid(problems);
      const order = await requireOrder(ports, text, source);
      const removed = numbers.map(BigInt);
      return changeRows(ports, order, { action: 'removeOrderRows', source, removed, added: [] });
    },
    submit: async (text, idempotencyKey, source) => {
      const problems = keyProblems(idempotencyKey);
      if (problems.length > 0) throw invalid(problems);
      const order = await change(ports, text, {
        action: 'submitOrder',
        source,
        apply: (found) => found.submit({ source, idempotencyKey, bulkRowsMax }, clock()),
      });
      onSubmitted();
      return order;
    },
    cancel: (text, source) =>
      change(ports, text, {
        action: 'cancelOrder',
        source,
        apply: (found) => found.cancel(clock(), retentionMs),
      }),
    duplicate: async (text, source) =>
      duplicate(ports, await requireOrder(ports, text, source), source),
  };
}

/** Copies an order in parts, so that the copy of a large order keeps nobody waiting. */
async function duplicate(
  ports: OrderPorts,
  original: BulkTransferOrder,
  source: RequestSource,
): Promise<BulkTransferOrder> {
  const { orders, clock, newId, leaseOf, onAbandoned } = ports;
  original.assertCopyable();
  const facts = { ...original, id: newId(), createdBy: source.caller.name, createdAt: clock() };
  const copy = BulkTransferOrder.beingRead(facts, leaseOf());
  await orders.begin([copy], original.rowCount);
  try {
    for (let first: bigint | undefined = 0n; first !== undefined; ) {
      if (source.isAbandoned?.()) throw new AbandonedError();
      const rows = { from: original.id, first, count: COPIED_AT_ONCE };
      const last: bigint | undefined = await orders.copy(copy.id, leaseOf(), rows);
      first = last === undefined ? undefined : last + 1n;
    }
    const [now] = await orders.byIds([original.id]);
    if (now?.changedAt.getTime() !== original.changedAt.getTime())
      throw original.changedMeanwhile();
    now.assertCopyable();
    const completion = { action: 'duplicateOrder', source, at: clock() } as const;
    const [completed] = await orders.complete([copy.id], completion);
    if (!completed) throw new Error('The copy of an order does not exist');
    return completed;
  } catch (error) {
    // A copy that is left is deleted after its lease.
    await orders.abandon([copy.id], clock()).then(onAbandoned, () => {});
    throw error;
  }
}

async function create(
  { orders, reader, clock, newId, retentionMs }: OrderPorts,
  { organizationIban, name }: CreateOrderRequest,
  source: RequestSource,
): Promise<BulkTransferOrder> {
  const problems = name === undefined ? [] : textProblems(name, 'name', NAME);
  if (problems.length > 0) throw invalid(problems);
  const account = await debtorOf(organizationIban, source.caller, reader);
  const order = BulkTransferOrder.of(
    {
      id: newId(),
      accountId: account.id,
      organizationId: account.organizationId,
      name: name ?? null,
      source: 'API',
      currency: account.currency,
      fileName: null,
      createdBy: source.caller.name,
      createdAt: clock(),
    },
    retentionMs,
  );
  await orders.add(order, source);
  return order;
}

/** @throws DomainError ACCOUNT_NOT_FOUND, also for an account that the caller may not debit */
async function debtorOf(sent: string, caller: Caller, reader: LedgerReader): Promise<AccountFacts> {
  const iban = normaliseIban(sent);
  const account = (await reader.accountFactsByIban([iban])).get(iban);
  if (account && mayDebit(caller, account.organizationId)) return account;
  throw rejected('createOrder', { code: 'ACCOUNT_NOT_FOUND', iban });
}

async function changeRows(
  { orders, clock }: OrderPorts,
  { id, organizationId }: BulkTransferOrder,
  change: Omit<OrderRowChange, 'at' | 'organizationId'>,
): Promise<BulkTransferOrder> {
  const { organizationIds } = change.source.caller;
  const rowChange = { ...change, organizationId, at: clock() };
  const order = await orders.changeRows(id, organizationIds, rowChange);
  if (!order) throw notFound();
  return order;
}

async function change(
  { orders }: OrderPorts,
  text: string,
  request: OrderChange,
): Promise<BulkTransferOrder> {
  const id = canonicalId(text);
  const { organizationIds } = request.source.caller;
  const order = id === undefined ? null : await orders.change(id, organizationIds, request);
  if (!order) throw notFound();
  return order;
}

/** @throws DomainError ORDER_NOT_FOUND */
async function requireOrder(
  { orders }: OrderPorts,
  text: string,
  { caller }: RequestSource,
): Promise<BulkTransferOrder> {
  const id = canonicalId(text);
  const order = id === undefined ? null : await orders.byId(id, caller.organizationIds);
  if (!order) throw notFound();
  return order;
}

function chunkProblems(chunk: number, rowCount: number): Problem[] {
  const problems: Problem[] = [];
  if (chunk < 0 || chunk >= CHUNKS_MAX) {
    const message = `The chunk is ${chunk}; it must be 0 to ${CHUNKS_MAX - 1}.`;
    problems.push({ field: 'chunk', code: chunk < 0 ? 'TOO_FEW' : 'TOO_MANY', message });
  }
  if (rowCount > CHUNK_ROWS_MAX) {
    const message = `The chunk has ${rowCount} rows; the limit is ${CHUNK_ROWS_MAX}.`;
    problems.push({ field: 'rows', code: 'TOO_MANY', message });
  }
  return problems;
}

function removedRowsProblems(count: number): Problem[] {
  if (count <= REMOVED_ROWS_MAX) return [];
  const message = `${count} rows are named; the limit is ${REMOVED_ROWS_MAX}.`;
  return [{ field: 'rows', code: 'TOO_MANY', message }];
}

function keyProblems(key: string | undefined): Problem[] {
  const problems = idempotencyKeyProblems(key, false);
  if (problems.length > 0 || key === undefined || key.length <= ORDER_KEY_CHARACTERS_MAX) {
    return problems;
  }
  const message = `${quote(key)} has more than ${ORDER_KEY_CHARACTERS_MAX} characters.`;
  return [{ field: 'idempotencyKey', code: 'TOO_LONG', message }];
}

function noSuchRow(row: number): Problem {
  return { field: 'row', code: 'MISMATCH', message: `The order has no row ${row}.` };
}

function invalid(problems: readonly Problem[]): DomainError {
  return rejected('createOrder', { code: 'INVALID_INPUT', problems });
}

function notFound(): DomainError {
  return rejected('submitOrder', { code: 'ORDER_NOT_FOUND' });
}
