/** The rows of bulk transfer orders: lists of them, and changes whose time depends on the changed rows alone. */
import type { FilterQuery } from '@mikro-orm/core';
import type { EntityManager } from '@mikro-orm/sql';
import type {
  CopiedRows,
  NumberedRow,
  OrderProblem,
  ProblematicOrder,
} from '../../application/ports/order-store.js';
import { COUNT_MAX, type ListPage, type PageRange } from '../../application/ports/page.js';
import type { OrderSums } from '../../entities/bulk-transfer-order.entity.js';
import { OrderRow, type OrderRowRecord } from '../../entities/order-row.entity.js';
import { type AppendTable, appendTableOf } from '../database/append-rows.js';
import type { Database } from '../database/dialect.js';
import { idLiteral } from '../database/id-literal.js';
import { readListPage, toPage } from '../ledger/keyset-page.js';

/** The problems of one row have places from its number times this. A row, or a file, has fewer problems. */
const PROBLEMS_PER_ROW = 32n;

/** The place of the first problem of row 0. The problems of the file have the places before it. */
const FIRST_ROW_PLACE = PROBLEMS_PER_ROW;

/** The number of rows, or of end-to-end ids, that one statement names. */
const NAMED_AT_ONCE = 200;

/** The part of an amount that is summed apart. */
const TOTAL_PARTS = 1_000_000n;

const NOTHING: OrderSums = {
  rowCount: 0,
  problemCount: 0,
  unreadableRows: 0,
  totalAmountMinor: 0n,
};

/** The numbers of the rows to remove: all from the first to the last, or each of them. */
export type RemovedRows = { readonly first: bigint; readonly last: bigint } | readonly bigint[];

/** A row as the driver returns it. */
interface SumsRow {
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
  readonly line: number | string | null;
  readonly amount: string | null;
  readonly currency: string | null;
  readonly counterparty_name: string | null;
  readonly counterparty_iban: string | null;
  readonly counterparty_bic: string | null;
  readonly description: string | null;
  readonly end_to_end_id: Uint8Array | null;
}

/** A row whose end-to-end id other rows have, with the first of them, as the driver returns it. */
interface FirstRow {
  readonly row_index: number | string | bigint;
  readonly first: number | string | bigint;
  /** The first one after the added rows, which was the first before. */
  readonly later: number | string | bigint | null;
}

/** Reads the rows of orders. */
export class OrderRowReads {
  constructor(
    protected readonly database: Pick<Database, 'orm' | 'appendRows' | 'isContention' | 'byIndex'>,
  ) {}

  protected get em(): EntityManager {
    return this.database.orm.em.fork();
  }

  rows(
    orderId: string,
    onlyProblems: boolean,
    range: PageRange<bigint>,
  ): Promise<ListPage<OrderRow>> {
    const where = onlyProblems ? { orderId, hasProblems: 1 } : { orderId };
    const list = { entity: OrderRow, where, key: 'rowIndex', order: 'oldest-first' } as const;
    return readListPage((statement) => statement(this.em), list, range);
  }

  async problems(
    order: ProblematicOrder,
    range: PageRange<bigint>,
  ): Promise<ListPage<OrderProblem>> {
    const { after, before, size, fromEnd } = range;
    const places = (place: bigint) => (place - FIRST_ROW_PLACE) / PROBLEMS_PER_ROW;
    const rows = await this.em.find(
      OrderRow,
      {
        orderId: order.id,
        hasProblems: 1,
        rowIndex: {
          ...(after !== undefined && after >= FIRST_ROW_PLACE && { $gte: places(after) }),
          ...(before !== undefined && { $lte: places(before) }),
        },
      },
      // Each row has a problem at least. One of the first row may be before the place.
      { orderBy: { rowIndex: fromEnd ? 'desc' : 'asc' }, limit: size + 2 },
    );
    const ofFile = problemsOfFile(order);
    const ofRows = rows.toSorted((one, other) => Number(one.rowIndex - other.rowIndex));
    const all = [...ofFile, ...ofRows.flatMap(problemsOfRow)];
    const found = (fromEnd ? all.toReversed() : all).filter(
      ({ place }) => place > (after ?? -1n) && (before === undefined || place < before),
    );
    const page = toPage(found.slice(0, size + 1), range);
    const { problemCount } = order;
    return { ...page, count: async () => (problemCount > COUNT_MAX ? null : problemCount) };
  }

  async rowIndexAt(orderId: string, place: number): Promise<bigint | undefined> {
    const [found] = await this.em.execute<Pick<PerformedRow, 'row_index'>[]>(
      `select row_index from order_row where order_id = ${idLiteral(orderId)}
        order by row_index limit 1 offset ${place}`,
    );
    return found && BigInt(found.row_index);
  }

  async rowsFrom(orderId: string, first: bigint, count: number): Promise<NumberedRow[]> {
    // MikroORM would make an entity of each row, which takes as long as all other work on it.
    const rows = await this.em.execute<PerformedRow[]>(
      `select row_index, line, amount, currency, counterparty_name, counterparty_iban, counterparty_bic,
          description, end_to_end_id
        from order_row where order_id = ${idLiteral(orderId)} and row_index >= ${first}
        order by row_index limit ${count}`,
    );
    return rows.map((row) => ({
      rowIndex: BigInt(row.row_index),
      line: row.line === null ? null : Number(row.line),
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
}

/** Changes rows inside the transaction of an order that is locked. Each change returns by how much the sums change. */
export class OrderRowChanges {
  readonly #table: AppendTable<OrderRowRecord>;
  readonly #copiedColumns: string;
  /** The hint without which MariaDB would look for the first row with an end-to-end id in the order of all rows. */
  readonly #byEndToEndId: string;

  constructor(private readonly database: Pick<Database, 'orm' | 'appendRows' | 'byIndex'>) {
    this.#byEndToEndId = database.byIndex('order_row_end_to_end_id_index').indexHint ?? '';
    this.#table = appendTableOf<OrderRowRecord>(database.orm, OrderRow);
    const { columns } = this.#table([]);
    this.#copiedColumns = columns
      .filter((column) => column !== 'order_id')
      .map((column) => `\`${column}\``)
      .join(', ');
  }

  /** Removes rows, then adds some. @param onRemoved is called with the number of rows that were removed */
  async replace(
    em: EntityManager,
    orderId: string,
    {
      removed,
      added,
    }: { readonly removed: RemovedRows; readonly added: readonly OrderRowRecord[] },
    onRemoved?: (count: number) => void,
  ): Promise<OrderSums> {
    const repeatedIds = await this.#repeatedEndToEndIds(em, orderId, removed);
    const before = await sumsOf(em, orderId, removed);
    const rowIndex =
      'first' in removed ? { $gte: removed.first, $lte: removed.last } : { $in: removed };
    await em.nativeDelete(OrderRow, { orderId, rowIndex } as FilterQuery<OrderRow>);
    onRemoved?.(before.rowCount);
    const after = await this.append(em, orderId, added);
    const unmarked = await this.#unmarkFirst(em, orderId, repeatedIds);
    return plus(minus(after, before), { ...NOTHING, problemCount: -unmarked });
  }

  /** Adds rows, and marks those whose end-to-end id an earlier row of the order has. */
  async append(
    em: EntityManager,
    orderId: string,
    added: readonly OrderRowRecord[],
  ): Promise<OrderSums> {
    if (added.length === 0) return NOTHING;
    await this.database.appendRows(em, [this.#table(added)]);
    const marked = await this.#markDuplicates(em, orderId, added);
    return added.reduce(
      (sums, { problemCount, amountMinor }) =>
        plus(sums, {
          rowCount: 1,
          problemCount,
          unreadableRows: amountMinor === null ? 1 : 0,
          totalAmountMinor: amountMinor ?? 0n,
        }),
      { ...NOTHING, problemCount: marked },
    );
  }

  /** Copies rows of another order, with their marks. @returns the number of the last row; undefined if there is none */
  async copy(
    em: EntityManager,
    orderId: string,
    { from, first, count }: CopiedRows,
  ): Promise<{ readonly last: bigint | undefined; readonly sums: OrderSums }> {
    const found = await em.execute<Pick<PerformedRow, 'row_index'>[]>(
      `select max(row_index) as row_index from (
        select row_index from order_row where order_id = ${idLiteral(from)}
          and row_index >= ${first} order by row_index limit ${count}) copied`,
    );
    if (found[0]?.row_index == null) return { last: undefined, sums: NOTHING };
    const last = BigInt(found[0].row_index);
    await em.execute(`insert into order_row (order_id, ${this.#copiedColumns})
      select ${idLiteral(orderId)}, ${this.#copiedColumns} from order_row
      where order_id = ${idLiteral(from)} and row_index between ${first} and ${last}`);
    return { last, sums: await sumsOf(em, orderId, { first, last }) };
  }
  /** Returns the SQL for the number of the first row, n, that has an end-to-end id. */
  #rowWith(orderId: string, endToEndId: string, condition = '1 = 1'): string {
    return `(select n.row_index from order_row n ${this.#byEndToEndId}
      where n.order_id = ${idLiteral(orderId)} and n.end_to_end_id = ${endToEndId} and ${condition}
      order by n.row_index limit 1)`;
  }

  /**
   * Marks each of the added rows whose end-to-end id an earlier row has, and the row that was the first one before.
   * @returns the number of rows that were marked
   */
  async #markDuplicates(
    em: EntityManager,
    orderId: string,
    added: readonly OrderRowRecord[],
  ): Promise<number> {
    const numbers = added
      .filter(({ endToEndId }) => endToEndId !== null)
      .map((row) => row.rowIndex);
    const [first, last] = [numbers[0], numbers.at(-1)];
    if (first === undefined || last === undefined) return 0;
    const found = await em.execute<FirstRow[]>(`
      select * from (
        select r.row_index, ${this.#rowWith(orderId, 'r.end_to_end_id')} as first,
          ${this.#rowWith(orderId, 'r.end_to_end_id', `n.row_index > ${last}`)} as later
        from order_row r where r.order_id = ${idLiteral(orderId)} and ${among({ first, last })}
      ) f where f.first <> f.row_index or f.later is not null`);
    const duplicates = found.map(({ row_index, first: firstRow, later }) =>
      later === null || BigInt(row_index) !== BigInt(firstRow) ? BigInt(row_index) : BigInt(later),
    );
    return mark(em, orderId, [...new Set(duplicates)]);
  }

  /** Returns the end-to-end ids of rows that are the first of several rows with the same one. */
  async #repeatedEndToEndIds(
    em: EntityManager,
    orderId: string,
    rows: RemovedRows,
  ): Promise<Buffer[]> {
    const next = this.#rowWith(orderId, 'r.end_to_end_id', 'n.row_index > r.row_index');
    const found = await em.execute<{ end_to_end_id: Uint8Array }[]>(`
      select r.end_to_end_id from order_row r
      where r.order_id = ${idLiteral(orderId)} and ${among(rows)} and r.is_duplicate = 0
        and r.end_to_end_id is not null and ${next} is not null`);
    return found.map(({ end_to_end_id }) => Buffer.from(end_to_end_id));
  }

  /** Ends the mark of each row that has become the first with its end-to-end id. @returns their number */
  async #unmarkFirst(
    em: EntityManager,
    orderId: string,
    endToEndIds: readonly Buffer[],
  ): Promise<number> {
    let unmarked = 0;
    for (let start = 0; start < endToEndIds.length; start += NAMED_AT_ONCE) {
      const firstRows = endToEndIds
        .slice(start, start + NAMED_AT_ONCE)
        .map((id) => `select ${this.#rowWith(orderId, `x'${id.toString('hex')}'`)} as first`);
      const found = await em.execute<{ first: number | string | bigint | null }[]>(
        firstRows.join(' union all '),
      );
      const rows = found.flatMap(({ first }) => (first === null ? [] : [BigInt(first)]));
      unmarked += await unmark(em, orderId, rows);
    }
    return unmarked;
  }
}

/** Deletes stored rows of an order. @returns their number */
export async function deleteRows(
  em: EntityManager,
  orderId: string,
  rowsMax: number,
): Promise<number> {
  const rows = await em.find(
    OrderRow,
    { orderId },
    {
      fields: ['rowIndex'],
      orderBy: { rowIndex: 'asc' },
      limit: rowsMax,
      disableIdentityMap: true,
    },
  );
  const last = rows.at(-1);
  if (!last) return 0;
  return em.nativeDelete(OrderRow, { orderId, rowIndex: { $lte: last.rowIndex } });
}

function plus(one: OrderSums, other: OrderSums): OrderSums {
  return {
    rowCount: one.rowCount + other.rowCount,
    problemCount: one.problemCount + other.problemCount,
    unreadableRows: one.unreadableRows + other.unreadableRows,
    totalAmountMinor: one.totalAmountMinor + other.totalAmountMinor,
  };
}

function minus(one: OrderSums, other: OrderSums): OrderSums {
  return {
    rowCount: one.rowCount - other.rowCount,
    problemCount: one.problemCount - other.problemCount,
    unreadableRows: one.unreadableRows - other.unreadableRows,
    totalAmountMinor: one.totalAmountMinor - other.totalAmountMinor,
  };
}

/** Returns the SQL condition for rows. */
function among(rows: RemovedRows): string {
  if ('first' in rows) return `row_index between ${rows.first} and ${rows.last}`;
  return rows.length === 0 ? '1 = 0' : `row_index in (${rows.join(', ')})`;
}

async function sumsOf(em: EntityManager, orderId: string, rows: RemovedRows): Promise<OrderSums> {
  const [found] = await em.execute<SumsRow[]>(`
    select count(*) as \`rows\`, sum(problem_count) as problems, sum(is_duplicate) as duplicates,
      sum(case when amount_minor is null then 1 else 0 end) as unreadable,
      cast(sum((amount_minor - amount_minor % ${TOTAL_PARTS}) / ${TOTAL_PARTS}) as char) as high,
      cast(sum(amount_minor % ${TOTAL_PARTS}) as char) as low
    from order_row where order_id = ${idLiteral(orderId)} and ${among(rows)}`);
  // MariaDB writes the quotient with decimals.
  const [high = '0'] = (found?.high ?? '0').split('.');
  return {
    rowCount: Number(found?.rows),
    problemCount: Number(found?.problems ?? 0) + Number(found?.duplicates ?? 0),
    unreadableRows: Number(found?.unreadable ?? 0),
    totalAmountMinor: BigInt(high) * TOTAL_PARTS + BigInt(found?.low ?? '0'),
  };
}

async function mark(em: EntityManager, orderId: string, rows: readonly bigint[]): Promise<number> {
  let marked = 0;
  for (let start = 0; start < rows.length; start += NAMED_AT_ONCE) {
    const where = { orderId, rowIndex: { $in: rows.slice(start, start + NAMED_AT_ONCE) } };
    const change = { isDuplicate: 1, hasProblems: 1 };
    marked += await em.nativeUpdate(OrderRow, { ...where, isDuplicate: 0 }, change);
  }
  return marked;
}

async function unmark(
  em: EntityManager,
  orderId: string,
  rows: readonly bigint[],
): Promise<number> {
  if (rows.length === 0) return 0;
  const isMarked = `order_id = ${idLiteral(orderId)} and ${among(rows)} and is_duplicate = 1`;
  const [found] = await em.execute<{ count: number | string }[]>(
    `select count(*) as count from order_row where ${isMarked}`,
  );
  await em.execute(`update order_row
    set is_duplicate = 0, has_problems = case when problem_count > 0 then 1 else 0 end
    where ${isMarked}`);
  return Number(found?.count);
}

/** Returns the problems of a row with their places. */
function problemsOfRow(row: OrderRow): OrderProblem[] {
  const start = FIRST_ROW_PLACE + row.rowIndex * PROBLEMS_PER_ROW;
  return row.problems.map((problem, number) => ({
    ...problem,
    row,
    place: start + BigInt(number),
  }));
}

/** Returns the problems of the file of an order with their places. */
function problemsOfFile({ fileProblems }: ProblematicOrder): OrderProblem[] {
  return fileProblems.map((problem, number) => ({ ...problem, place: BigInt(number) }));
}
