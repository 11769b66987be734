/** The changes that a company makes to its bulk transfer orders. A foreign order is answered like one that does not exist. */
import {
  type AccountFacts,
  type BulkTransferRules,
  type CreditTransferRequest,
  judgeRows,
} from '../domain/bulk-transfer.js';
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
  VALUE_CHARACTERS_MAX,
} from '../domain/order.js';
import { type Problem, quote } from '../domain/problem.js';
import { NAME, textProblems } from '../domain/text.js';
import { BulkTransferOrder, type OrderLease } from '../entities/bulk-transfer-order.entity.js';
import type { OrderRowRecord } from '../entities/order-row.entity.js';
import { inSlices } from './bulk-slices.js';
import type { Clock } from './ports/clock.js';
import type { FairTurns } from './ports/fair-turns.js';
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

export interface OrderPorts {
  readonly orders: OrderStore;
  /** The reader that sees all accounts. */
  readonly reader: LedgerReader;
  readonly rules: BulkTransferRules;
  readonly turns: FairTurns;
  readonly clock: Clock;
  readonly newId: NewId;
  /** The time after which an order that nobody changes expires. */
  readonly retentionMs: number;
  /** The largest number of rows that one bulk of an order has. */
  readonly bulkRowsMax: number;
  /** Returns the lease of an order to which this server adds rows, from now on. */
  readonly leaseOf: () => OrderLease;
  /** Called after an order was submitted. */
  readonly onSubmitted: () => void;
}

/** The fields of a row. */
const ROW_FIELDS = [
  'amount',
  'currency',
  'counterpartyName',
  'counterpartyIban',
  'counterpartyBic',
  'description',
  'endToEndId',
] as const satisfies readonly (keyof CreditTransferRequest)[];

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
      const added = await judge(ports, order, first, rows);
      const removed = { first: BigInt(first), last: BigInt(first + CHUNK_ROWS_MAX - 1) };
      return changeRows(ports, order, { action: 'addOrderRows', source, removed, added });
    },
    replaceRow: async (text, row, replacement, source) => {
      const order = await requireOrder(ports, text, source);
      const added = await judge(ports, order, row, [replacement]);
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
  const { orders, clock, newId, leaseOf } = ports;
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
    await orders.abandon([copy.id], clock()).catch(() => {});
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

/** Judges rows, each by itself, and makes their records. @param first the number of the first row */
async function judge(
  { reader, rules, turns }: OrderPorts,
  { id: orderId, accountId, organizationId }: BulkTransferOrder,
  first: number,
  rows: readonly CreditTransferRequest[],
): Promise<OrderRowRecord[]> {
  const [account] = await reader.accountsById([accountId]);
  if (!account) throw new Error('The account of an order does not exist');
  const ibans = new Set(rows.map(({ counterpartyIban }) => normaliseIban(counterpartyIban)));
  const accounts = await reader.accountFactsByIban([...ibans]);
  const records: OrderRowRecord[] = [];
  await inSlices(rows.length, { turns, key: organizationId }, (start, end) => {
    const some = rows.slice(start, end);
    for (const [offset, judged] of judgeRows(some, account, accounts, rules).entries()) {
      const row = some[offset];
      if (!row) continue;
      const problems = [...judged.problems, ...cutProblems(row)];
      // The amount that is kept must be the one that was judged.
      const amountMinor = kept(row.amount) === row.amount ? judged.amountMinor : undefined;
      records.push({
        orderId,
        rowIndex: BigInt(first + start + offset),
        line: null,
        amount: kept(row.amount),
        currency: kept(row.currency),
        counterpartyName: kept(row.counterpartyName),
        counterpartyIban: kept(row.counterpartyIban),
        counterpartyBic: kept(row.counterpartyBic),
        description: kept(row.description),
        endToEndId: kept(row.endToEndId),
        amountMinor: amountMinor ?? null,
        problemCount: problems.length,
        problemsJson: problems.length === 0 ? null : JSON.stringify(problems.map(withoutIndex)),
        isDuplicate: 0,
        hasProblems: problems.length === 0 ? 0 : 1,
      });
    }
  });
  return records;
}

function withoutIndex({ field, code, message }: Problem): Omit<Problem, 'index'> {
  return { field, code, message };
}

/** Returns a problem for each value that is not kept as it was sent. A row is judged, and paid, by what is kept. */
function cutProblems(row: CreditTransferRequest): Problem[] {
  return ROW_FIELDS.flatMap((field) => {
    const value = row[field];
    if (value == null || kept(value) === value) return [];
    const message = `${quote(value)} has more than ${VALUE_CHARACTERS_MAX} characters, or characters that are not Unicode.`;
    return [{ field, code: 'TOO_LONG', message }];
  });
}

/** Returns a value as it is kept: databases store no lone surrogates, and nobody needs a longer text. */
function kept(value: string | null | undefined): string | null {
  if (value == null) return null;
  const wellFormed = value.toWellFormed();
  if (wellFormed.length <= VALUE_CHARACTERS_MAX) return wellFormed;
  return Array.from(wellFormed.slice(0, 2 * VALUE_CHARACTERS_MAX))
    .slice(0, VALUE_CHARACTERS_MAX)
    .join('')
    .toWellFormed();
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
