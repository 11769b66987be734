/**
 * Pages of transfers that match a filter. The number of rows that are read for one page is limited.
 *
 * An index serves an IBAN or an end-to-end id in the order of the list. No index serves a range of names or amounts
 * in that order. For a filter with few matches, the database would read the whole account for one page. Such a page
 * is therefore read in one of two ways:
 *
 *   few matches   the range's own index gives their positions, up to MATCHES_FEW, and these transfers are read
 *   many matches  transfers are examined in the order of the list, TRANSFERS_EXAMINED_MAX at most
 *
 * A page that ends at the second limit may have fewer nodes than the page size, or none. The page says that there are
 * more, and its cursor continues after the last examined transfer.
 */
import type { EntityClass, FilterQuery, QueryOrderMap } from '@mikro-orm/core';
import type { EntityManager } from '@mikro-orm/sql';
import {
  COUNT_MAX,
  type ListPage,
  type Page,
  type PageRange,
} from '../../application/ports/page.js';
import type { TransferFilter } from '../../application/ports/scoped-ledger-reader.js';
import { IncomingTransfer } from '../../entities/incoming-transfer.entity.js';
import { Transfer } from '../../entities/transfer.entity.js';
import type { Read } from './keyset-page.js';
import { toPage } from './keyset-page.js';
import type { AccountRows } from './ledger-scope.js';

/** A table of transfers that can be searched. Both tables have the same columns and indexes for the search. */
export interface SearchedTable<Row> {
  readonly entity: EntityClass<Row>;
  readonly name: 'transfer' | 'incoming_transfer';
}

export const TRANSFERS: SearchedTable<Transfer> = {
  entity: Transfer,
  name: 'transfer',
};
export const INCOMING_TRANSFERS: SearchedTable<IncomingTransfer> = {
  entity: IncomingTransfer,
  name: 'incoming_transfer',
};

/**
 * The largest number of transfers that are examined for one page. They take about ten milliseconds on either
 * database.
 */
const TRANSFERS_EXAMINED_MAX = 10_000;

/** The largest number of matches of a range that are read one by one. */
const MATCHES_FEW = 1_000;

/** The last code point. A prefix followed by it sorts after every text with the prefix, on both databases. */
const LAST_CHARACTER = '\u{10FFFF}';

/** Positions of an account's list. Both limits are inclusive. */
export interface PositionBounds {
  readonly first?: bigint;
  readonly last?: bigint;
}

/** A condition in SQL and its parameters. */
interface Condition {
  readonly sql: string;
  readonly parameters: readonly (string | Uint8Array)[];
}

/**
 * Tells whether a page of a filter has to be examined row by row. This is so if no index serves the whole filter in
 * the order of the list.
 */
export function needsExamining(filter: TransferFilter): boolean {
  return rangesOf(filter).length > 0 || equalitiesOf(filter).length > 1;
}

/** The transfers of an account that match a filter. */
export interface SearchedTransfers {
  readonly ofAccount: AccountRows;
  readonly filter: TransferFilter;
  /** The positions that match the times of the filter. */
  readonly bounds: PositionBounds;
}

export async function readFilteredPage<Row extends Transfer | IncomingTransfer>(
  read: Read,
  table: SearchedTable<Row>,
  searched: SearchedTransfers,
  range: PageRange<bigint>,
): Promise<ListPage<Row>> {
  const page = await read((em) => readExaminedPage(em, table, searched, range));
  return { ...page, count: () => countMatches(read, table, searched) };
}

async function readExaminedPage<Row extends Transfer | IncomingTransfer>(
  em: EntityManager,
  table: SearchedTable<Row>,
  searched: SearchedTransfers,
  range: PageRange<bigint>,
): Promise<Page<Row>> {
  const search = new TransferSearch(em, table, searched, range);
  const { positions, examinedTo } = await search.find();
  const wanted = examinedTo === undefined ? positions : [...positions, examinedTo];
  const rows =
    wanted.length === 0
      ? []
      : await em.find<Row>(
          table.entity,
          { $and: [searched.ofAccount.where, { position: { $in: wanted } }] } as FilterQuery<
            NoInfer<Row>
          >,
          { orderBy: { position: range.fromEnd ? 'asc' : 'desc' } as QueryOrderMap<Row> },
        );
  const isFound = new Set(positions);
  const found = rows.filter(({ position }) => isFound.has(position));
  const page = toPage(found, range);
  const last = rows.find(({ position }) => position === examinedTo);
  if (last === undefined || found.length > range.size) return page;
  const place = { position: last.position, rowId: last.id };
  return range.fromEnd
    ? { ...page, hasPreviousPage: true, startPlace: place }
    : { ...page, hasNextPage: true, endPlace: place };
}

/**
 * Counts the transfers of a filter. The rows of each condition are examined by its own index, one condition after the
 * other. The first condition with few enough rows decides: the count is the number of its rows that meet all
 * conditions.
 */
async function countMatches(
  read: Read,
  { name }: Pick<SearchedTable<never>, 'name'>,
  { ofAccount, filter, bounds: { first = 0n, last = POSITION_MAX } }: SearchedTransfers,
): Promise<number | null> {
  const conditions = [
    ...[...equalitiesOf(filter), ...rangesOf(filter)].map(({ indexed }) => indexed),
    plain(`position between ${first} and ${last}`),
  ];
  const meetsAll = allOf(conditions);
  for (const driving of conditions) {
    const examined = allOf([plain(ofAccount.sql), driving]);
    const rows = await read((em) =>
      em.getConnection().execute<CountedRow[]>(
        `select count(*) as examined, coalesce(sum(meets_all), 0) as matching from (select ${meetsAll.sql} as meets_all
            from ${name} where ${examined.sql} limit ${COUNT_MAX + 1}) counted`,
        [...meetsAll.parameters, ...examined.parameters],
      ),
    );
    const [counted] = rows;
    if (Number(counted?.examined) <= COUNT_MAX) return Number(counted?.matching);
  }
  return null;
}

/** A row as the driver returns it. */
interface CountedRow {
  readonly examined: number | string;
  readonly matching: number | string;
}

interface Found {
  /** The positions of the matches, at most one more than the page size. */
  readonly positions: readonly bigint[];
  /** The position of the last examined transfer, if there are more transfers after it. */
  readonly examinedTo?: bigint | undefined;
}

/** A row as the driver returns it. */
interface FoundRow {
  readonly position: number | string;
}

class TransferSearch {
  /** The condition of the page: its account, its cursors and its times. */
  readonly #within: Condition;
  readonly #ofAccount: Condition;
  readonly #equalities: readonly Condition[];
  readonly #ranges: readonly Criterion[];
  readonly #direction: 'asc' | 'desc';
  readonly #limit: number;

  constructor(
    private readonly em: EntityManager,
    private readonly table: Pick<SearchedTable<never>, 'name'>,
    { ofAccount, filter, bounds }: SearchedTransfers,
    private readonly range: PageRange<bigint>,
  ) {
    this.#ofAccount = plain(ofAccount.sql);
    this.#ranges = rangesOf(filter);
    const { first, last } = boundsOf(bounds, range);
    this.#within = allOf([this.#ofAccount, plain(`position between ${first} and ${last}`)]);
    // The first equality is the most selective one, and its index is read. The other equalities filter its rows.
    this.#equalities = equalitiesOf(filter).map(({ indexed, unindexed }, index) =>
      index === 0 ? indexed : unindexed,
    );
    this.#direction = range.fromEnd ? 'asc' : 'desc';
    this.#limit = range.size + 1;
  }

  async find(): Promise<Found> {
    const few = await this.#findFew();
    if (few) return { positions: few };
    const examinedTo = await this.#lastExamined();
    const examined =
      examinedTo === undefined
        ? []
        : [plain(`position ${this.range.fromEnd ? '<=' : '>='} ${examinedTo}`)];
    const ranges = this.#ranges.map(({ unindexed }) => unindexed);
    const positions = await this.#positions(
      [this.#within, ...this.#equalities, ...examined, ...ranges],
      this.#limit,
    );
    return { positions, examinedTo };
  }

  /** @returns undefined if every range has many matches, or if there is no range */
  async #findFew(): Promise<readonly bigint[] | undefined> {
    for (const { indexed } of this.#ranges) {
      const matches = await this.#readPositions(
        [this.#ofAccount, indexed],
        `limit ${MATCHES_FEW + 1}`,
      );
      if (matches.length > MATCHES_FEW) continue;
      if (matches.length === 0) return [];
      const amongThem = plain(`position in (${matches.join(',')})`);
      const ranges = this.#ranges.map(({ unindexed }) => unindexed);
      return this.#positions(
        [this.#within, amongThem, ...this.#equalities, ...ranges],
        this.#limit,
      );
    }
    return undefined;
  }

  /** Returns the position at which the examination ends; undefined if the list ends before. */
  async #lastExamined(): Promise<bigint | undefined> {
    const [driving] = this.#equalities;
    const [position] = await this.#readPositions(
      driving ? [this.#within, driving] : [this.#within],
      this.#ordered(1, TRANSFERS_EXAMINED_MAX - 1),
    );
    return position;
  }

  #positions(conditions: readonly Condition[], limit: number): Promise<readonly bigint[]> {
    return this.#readPositions(conditions, this.#ordered(limit));
  }

  #ordered(limit: number, offset = 0): string {
    return `order by position ${this.#direction} limit ${limit} offset ${offset}`;
  }

  async #readPositions(conditions: readonly Condition[], rest: string): Promise<readonly bigint[]> {
    const rows = await this.#read('position', conditions, rest);
    return rows.map(({ position }) => BigInt(position));
  }

  #read(
    columns: string,
    conditions: readonly Condition[],
    rest: string,
  ): Promise<readonly FoundRow[]> {
    const where = allOf(conditions);
    return this.em
      .getConnection()
      .execute(`select ${columns} from ${this.table.name} where ${where.sql} ${rest}`, [
        ...where.parameters,
      ]);
  }
}

/**
 * One condition of a filter in two forms. The indexed form uses the condition's index. The unindexed form uses no
 * index, for rows that are examined anyway.
 */
interface Criterion {
  readonly indexed: Condition;
  readonly unindexed: Condition;
}

/**
 * Returns the range conditions of a filter. A database looks up a column in an index, but never an expression. The
 * form with an expression makes both databases read by position.
 */
function rangesOf(filter: TransferFilter): Criterion[] {
  const { counterpartyNamePrefix: prefix, amountMinorMin, amountMinorMax } = filter;
  const ranges: Criterion[] = [];
  if (prefix !== undefined && prefix !== '') {
    const parameters = [Buffer.from(prefix), Buffer.from(prefix + LAST_CHARACTER)];
    const within = (column: string) => ({ sql: `(${column} >= ? and ${column} < ?)`, parameters });
    ranges.push({
      indexed: within('counterparty_name_folded'),
      unindexed: within("coalesce(counterparty_name_folded, '')"),
    });
  }
  if (amountMinorMin !== undefined || amountMinorMax !== undefined) {
    const within = (column: string) =>
      plain(`${column} between ${amountMinorMin ?? 0n} and ${amountMinorMax ?? AMOUNT_MAX}`);
    ranges.push({
      indexed: within('amount_minor'),
      unindexed: within('coalesce(amount_minor, 0)'),
    });
  }
  return ranges;
}

/** A value above every amount. */
const AMOUNT_MAX = 2n ** 53n;

/** Returns the equality conditions of a filter, the most selective one first. */
function equalitiesOf({ endToEndId, counterpartyIban }: TransferFilter): Criterion[] {
  return [
    ...(endToEndId === undefined ? [] : [equality('end_to_end_id', Buffer.from(endToEndId))]),
    ...(counterpartyIban === undefined ? [] : [equality('counterparty_iban', counterpartyIban)]),
  ];
}

function equality(column: string, value: string | Uint8Array): Criterion {
  return {
    indexed: { sql: `${column} = ?`, parameters: [value] },
    unindexed: { sql: `coalesce(${column}, '') = ?`, parameters: [value] },
  };
}

/** Returns the limits of a page. The list is newest first, so lower positions come after a cursor. */
function boundsOf(bounds: PositionBounds, { after, before }: PageRange<bigint>) {
  const firsts = [bounds.first ?? 0n, before === undefined ? 0n : before + 1n];
  const lasts = [bounds.last ?? POSITION_MAX, after === undefined ? POSITION_MAX : after - 1n];
  return {
    first: firsts.reduce((one, other) => (one > other ? one : other)),
    last: lasts.reduce((one, other) => (one < other ? one : other)),
  };
}

const POSITION_MAX = 2n ** 53n - 1n;

function plain(sql: string): Condition {
  return { sql, parameters: [] };
}

function allOf(conditions: readonly Condition[]): Condition {
  return {
    sql: conditions.map(({ sql }) => sql).join(' and '),
    parameters: conditions.flatMap(({ parameters }) => parameters),
  };
}
