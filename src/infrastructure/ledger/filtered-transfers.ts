/**
 * Pages of transfers that match a filter. The search tables find the positions of the transfers that were indexed; the
 * transfers after the account's watermark, its tail, are read from the ledger. A filter therefore sees a transfer as
 * soon as it is committed. The number of rows that are read for one page is limited.
 *
 * A search table has the transfers with one IBAN or end-to-end id in the order of the list, but not those within a
 * range of names or amounts. A page is therefore read in one of three ways:
 *
 *   range with few matches   all matches of the range, MATCHES_MAX at most, are examined
 *   IBAN or end-to-end id    its next matches in the order of the list are examined, MATCHES_MAX at most
 *   otherwise                transfers are examined in the order of the list, TRANSFERS_EXAMINED_MAX at most
 *
 * A rebuild may remove the account from the search tables at any time. Each statement that reads them therefore also
 * tells whether they still have all entries up to the watermark. If not, the read begins again with another watermark.
 *
 * A page that ends at a limit may have fewer nodes than the page size, or none. The page says that there are more, and
 * its cursor continues after the last examined transfer.
 */
import type { EntityClass, FilterQuery, QueryOrderMap } from '@mikro-orm/core';
import type { EntityManager } from '@mikro-orm/sql';
import { COUNT_MAX, type Page, type PageRange } from '../../application/ports/page.js';
import type { TransferFilter } from '../../application/ports/scoped-ledger-reader.js';
import { UnavailableError } from '../../domain/errors.js';
import { firstPositionOf } from '../../domain/postings.js';
import { IncomingTransfer } from '../../entities/incoming-transfer.entity.js';
import { Transfer } from '../../entities/transfer.entity.js';
import { idLiteral } from '../database/id-literal.js';
import {
  isIndexedTo,
  isOfList,
  SEARCH_TABLES,
  SEARCHED_NAME_BYTES,
  type SearchedList,
  type SearchTable,
} from '../search/search-tables.js';
import type { Read } from './keyset-page.js';
import { toPage } from './keyset-page.js';
import type { AccountRows } from './ledger-scope.js';

/** A table of transfers that can be searched. Both tables have the same columns for the search. */
export interface SearchedTable<Row> {
  readonly entity: EntityClass<Row>;
  readonly name: SearchedList;
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

/** The largest number of matches of a condition that are examined for one page. */
const MATCHES_MAX = 1_000;

/** The last code point. A prefix followed by it sorts after every text with the prefix. */
const LAST_CHARACTER = Buffer.from('\u{10FFFF}');

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

/** Tells whether a filter has a condition other than a time, which the positions express. */
export function needsSearch(filter: TransferFilter): boolean {
  return criteriaOf(filter).length > 0;
}

/** The transfers of an account that match a filter. */
export interface SearchedTransfers {
  readonly accountId: string;
  readonly ofAccount: AccountRows;
  readonly filter: TransferFilter;
  /** The positions that match the times of the filter. */
  readonly bounds: PositionBounds;
  /** The sequence of the last ledger entry that the search tables contain. */
  readonly watermark: bigint;
}

/** The error of a read that found less in the search tables than it relies on. */
export class EntriesRemovedError extends UnavailableError {
  constructor() {
    super('STATEMENT_FAILED');
  }
}

/** Reads one page. @throws EntriesRemovedError if the search tables no longer have all entries up to the watermark */
export async function readFilteredPage<Row extends Transfer | IncomingTransfer>(
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
 * Counts the transfers of a filter, up to a limit. The matches of each condition are examined, one condition after the
 * other. The first condition with few enough matches decides: the count is the number of its matches that meet all
 * conditions.
 * @returns null if every condition has too many matches
 * @throws EntriesRemovedError if the search tables no longer have all entries up to the watermark
 */
export async function countMatches(
  read: Read,
  { name }: Pick<SearchedTable<never>, 'name'>,
  searched: SearchedTransfers,
): Promise<number | null> {
  const criteria = criteriaOf(searched.filter);
  const within = allOf([
    plain(searched.ofAccount.sql),
    plain(isWithin({ ...EVERYWHERE, ...searched.bounds })),
  ]);
  const meetsAll = allOf([within, ...criteria.map(({ unindexed }) => unindexed)]);
  const limit = `limit ${COUNT_MAX + 1}`;
  const isIndexed = isIndexedTo(searched.accountId, searched.watermark);
  const sources = [
    ...criteria.map((criterion) => matchesSource(name, searched, criterion, limit)),
    // The positions of the times, if any.
    {
      sql: `select position from ${name} where ${within.sql} ${limit}`,
      parameters: within.parameters,
    },
  ];
  for (const { sql, parameters } of sources) {
    const [counted] = await read((em) =>
      em.getConnection().execute<CountedRow[]>(
        `select ${isIndexed} as is_indexed, (select count(*) from (${sql}) examined) as examined,
          (select count(*) from (select position as matched from (${sql}) sources) matches
            cross join ${name} on ${name}.account_id = ${idLiteral(searched.accountId)}
              and ${name}.position = matches.matched
            where ${meetsAll.sql}) as matching`,
        [...parameters, ...parameters, ...meetsAll.parameters],
      ),
    );
    if (Number(counted?.is_indexed) !== 1) throw new EntriesRemovedError();
    if (Number(counted?.examined) <= COUNT_MAX) return Number(counted?.matching);
  }
  return null;
}

/** A row as the driver returns it. */
interface CountedRow {
  readonly is_indexed: number | string;
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
  readonly #criteria: readonly Criterion[];
  /** The positions of the page. */
  readonly #bounds: BoundPositions;
  readonly #order: string;
  readonly #pageOrder: string;

  constructor(
    private readonly em: EntityManager,
    private readonly table: Pick<SearchedTable<never>, 'name'>,
    private readonly searched: SearchedTransfers,
    private readonly range: PageRange<bigint>,
  ) {
    this.#criteria = criteriaOf(searched.filter);
    this.#bounds = boundsOf(searched.bounds, range);
    this.#order = `order by position ${range.fromEnd ? 'asc' : 'desc'}`;
    this.#pageOrder = `${this.#order} limit`;
  }

  async find(): Promise<Found> {
    return (await this.#findFew()) ?? (await this.#findNext()) ?? this.#findAmongAll();
  }

  /** @returns undefined if every range has many matches, or if there is no range */
  async #findFew(): Promise<Found | undefined> {
    for (const criterion of this.#criteria.filter(({ isRange }) => isRange)) {
      const all = this.#indexedMatches(criterion, EVERYWHERE);
      const matches = await this.#readIndexed(all, `limit ${MATCHES_MAX + 1}`);
      if (matches.length <= MATCHES_MAX) return { positions: await this.#among(matches) };
    }
    return undefined;
  }

  /** @returns undefined if there is no IBAN or end-to-end id */
  async #findNext(): Promise<Found | undefined> {
    const criterion = this.#criteria.find(({ isRange }) => !isRange);
    if (!criterion) return undefined;
    const next = this.#indexedMatches(criterion, this.#bounds);
    const matches = await this.#readIndexed(next, `${this.#pageOrder} ${MATCHES_MAX + 1}`);
    const examined = matches.slice(0, MATCHES_MAX);
    const examinedTo = matches.length > MATCHES_MAX ? examined.at(-1) : undefined;
    return { positions: await this.#among(examined, examinedTo), examinedTo };
  }

  /** Examines transfers in the order of the list. */
  async #findAmongAll(): Promise<Found> {
    const { name } = this.table;
    const { sql } = this.searched.ofAccount;
    const all = plain(`select position from ${name} where ${sql} and ${isWithin(this.#bounds)}`);
    const end = `${this.#pageOrder} 1 offset ${TRANSFERS_EXAMINED_MAX - 1}`;
    const [examinedTo] = await this.#read(all, end);
    const matching = this.#meetingAll(isWithin(this.#examinedBounds(examinedTo)));
    const positions = await this.#read(matching, `${this.#pageOrder} ${this.range.size + 1}`);
    return { positions, examinedTo };
  }

  /** Returns the positions of the page among indexed matches, and in the tail. */
  #among(matches: readonly bigint[], examinedTo?: bigint): Promise<readonly bigint[]> {
    const { first, last } = this.#examinedBounds(examinedTo);
    const tail = firstPositionOf(this.searched.watermark + 1n);
    const isInTail = first > tail;
    const places = [isWithin({ first: isInTail ? first : tail, last })];
    const within = matches.filter((position) => position >= first && position <= last);
    if (within.length > 0) places.push(`position in (${within.join(',')})`);
    const selects = places.map((place) => this.#meetingAll(place));
    const union = {
      sql: `select position from (${selects.map(({ sql }) => sql).join(' union all ')}) found`,
      parameters: selects.flatMap(({ parameters }) => parameters),
    };
    return this.#read(union, `${this.#pageOrder} ${this.range.size + 1}`);
  }

  /**
   * Returns the select of the rows at some places that meet all conditions. The condition on places is the only one on
   * the position, because SQLite uses only one lower and one upper limit of a range, whichever they are.
   */
  #meetingAll(place: string): Condition {
    const { sql, parameters } = allOf([
      plain(this.searched.ofAccount.sql),
      plain(place),
      ...this.#criteria.map(({ unindexed }) => unindexed),
    ]);
    return { sql: `select position from ${this.table.name} where ${sql}`, parameters };
  }

  /** Returns the positions of the page up to the last position that is examined. */
  #examinedBounds(examinedTo: bigint | undefined): BoundPositions {
    const { first, last } = this.#bounds;
    if (examinedTo === undefined) return { first, last };
    return this.range.fromEnd ? { first, last: examinedTo } : { first: examinedTo, last };
  }

  #indexedMatches(criterion: Criterion, bounds: BoundPositions): Condition {
    return indexedMatches(this.table.name, this.searched, criterion, bounds);
  }

  /** Reads positions of a search table, and tells apart no match and no entries any more. */
  async #readIndexed({ sql, parameters }: Condition, rest: string): Promise<readonly bigint[]> {
    const { accountId, watermark } = this.searched;
    const isIndexed = isIndexedTo(accountId, watermark);
    const checked = `select position from (${sql} ${rest}) matches
      union all select ${NOT_INDEXED} where not ${isIndexed}`;
    const positions = await this.#read({ sql: checked, parameters }, this.#order);
    if (positions.includes(NOT_INDEXED)) throw new EntriesRemovedError();
    return positions;
  }

  async #read({ sql, parameters }: Condition, rest: string): Promise<readonly bigint[]> {
    const rows = await this.em
      .getConnection()
      .execute<FoundRow[]>(`${sql} ${rest}`, [...parameters]);
    return rows.map(({ position }) => BigInt(position));
  }
}

/** Returns the select of the positions that a search table has for a criterion. */
function indexedMatches(
  list: SearchedList,
  { accountId, watermark }: SearchedTransfers,
  { table, indexed }: Criterion,
  { first, last }: BoundPositions = EVERYWHERE,
): Condition {
  const indexedLast = firstPositionOf(watermark + 1n) - 1n;
  const bounds = { first, last: last < indexedLast ? last : indexedLast };
  return {
    sql: `select position from ${table.name} where ${isOfList(accountId, list)} and ${indexed.sql}
      and ${isWithin(bounds)}`,
    parameters: indexed.parameters,
  };
}

/** Returns the select of the positions that match a criterion, with those of the tail. */
function matchesSource(
  list: SearchedList,
  searched: SearchedTransfers,
  criterion: Criterion,
  limit: string,
): Condition {
  const indexed = indexedMatches(list, searched, criterion);
  const { sql, parameters } = criterion.unindexed;
  return {
    // Each branch has the limit, because MariaDB reads the whole union first.
    sql: `select position from (select * from (${indexed.sql} ${limit}) matches union all
        select * from (select position from ${list}
          where account_id = ${idLiteral(searched.accountId)}
            and position >= ${firstPositionOf(searched.watermark + 1n)} and ${sql} ${limit}) tail
      ) sources ${limit}`,
    parameters: [...indexed.parameters, ...parameters],
  };
}

/**
 * One condition of a filter in two forms: on a search table, and on the rows of the ledger. The search table may find
 * more rows than the condition allows.
 */
interface Criterion {
  readonly table: SearchTable;
  readonly indexed: Condition;
  readonly unindexed: Condition;
  /** Tells whether the search table has the matches in another order than the list. */
  readonly isRange: boolean;
}

/** Returns the conditions of a filter, the most selective kind first. */
function criteriaOf(filter: TransferFilter): Criterion[] {
  const { endToEndId, counterpartyIban, counterpartyNamePrefix: prefix } = filter;
  const { amountMinorMin, amountMinorMax } = filter;
  const criteria: Criterion[] = [];
  if (endToEndId !== undefined) {
    criteria.push(equality(SEARCH_TABLES.endToEndId, Buffer.from(endToEndId)));
  }
  if (counterpartyIban !== undefined) {
    criteria.push(equality(SEARCH_TABLES.iban, counterpartyIban));
  }
  if (prefix !== undefined && prefix !== '') criteria.push(nameCriterion(prefix));
  if (amountMinorMin !== undefined || amountMinorMax !== undefined) {
    const within = plain(
      `amount_minor between ${amountMinorMin ?? 0n} and ${amountMinorMax ?? AMOUNT_MAX}`,
    );
    criteria.push({
      table: SEARCH_TABLES.amount,
      indexed: within,
      unindexed: within,
      isRange: true,
    });
  }
  return criteria;
}

function equality(table: SearchTable, value: string | Uint8Array): Criterion {
  const equal = { sql: `${table.column} = ?`, parameters: [value] };
  return { table, indexed: equal, unindexed: equal, isRange: false };
}

function nameCriterion(prefix: string): Criterion {
  const within = (column: string, start: Uint8Array): Condition => ({
    sql: `(${column} >= ? and ${column} < ?)`,
    parameters: [start, Buffer.concat([start, LAST_CHARACTER])],
  });
  const start = Buffer.from(prefix);
  const table = SEARCH_TABLES.name;
  return {
    table,
    indexed: within(table.column, start.subarray(0, SEARCHED_NAME_BYTES)),
    unindexed: within('counterparty_name_folded', start),
    isRange: true,
  };
}

/** A value above every amount. */
const AMOUNT_MAX = 2n ** 53n;

/** Positions between two limits, which are inclusive. */
type BoundPositions = Required<PositionBounds>;

function isWithin({ first, last }: BoundPositions): string {
  return `position between ${first} and ${last}`;
}

/** Returns the limits of a page. The list is newest first, so lower positions come after a cursor. */
function boundsOf(bounds: PositionBounds, { after, before }: PageRange<bigint>): BoundPositions {
  const firsts = [bounds.first ?? 0n, before === undefined ? 0n : before + 1n];
  const lasts = [bounds.last ?? POSITION_MAX, after === undefined ? POSITION_MAX : after - 1n];
  return {
    first: firsts.reduce((one, other) => (one > other ? one : other)),
    last: lasts.reduce((one, other) => (one < other ? one : other)),
  };
}

const POSITION_MAX = 2n ** 53n - 1n;

/** The position that stands for the answer that the search tables no longer have the entries. */
const NOT_INDEXED = -1n;

const EVERYWHERE: BoundPositions = { first: 0n, last: POSITION_MAX };

function plain(sql: string): Condition {
  return { sql, parameters: [] };
}

function allOf(conditions: readonly Condition[]): Condition {
  return {
    sql: conditions.map(({ sql }) => sql).join(' and '),
    parameters: conditions.flatMap(({ parameters }) => parameters),
  };
}
