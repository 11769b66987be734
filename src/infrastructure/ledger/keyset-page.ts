import { type EntityClass, type FilterQuery, type QueryOrderMap, raw } from '@mikro-orm/core';
import type { EntityManager } from '@mikro-orm/sql';
import {
  COUNT_MAX,
  type ListPage,
  type Page,
  type PageRange,
  type Position,
} from '../../application/ports/page.js';

export type ListOrder = 'newest-first' | 'oldest-first';

/** A list in the order of a key of its rows. The key says where a page begins. */
export interface KeysetList<Entity extends object, Key extends string> {
  readonly entity: EntityClass<Entity>;
  readonly where: FilterQuery<Entity>;
  readonly key: Key;
  readonly order: ListOrder;
  /** Options of the find of a page. */
  readonly options?: { readonly indexHint?: string };
}

/** Runs one statement in the reader's turn. */
export type Read = <Result>(statement: (em: EntityManager) => Promise<Result>) => Promise<Result>;

/** Reads a page of a list. The list is counted only if the caller asks for the count. */
export async function readListPage<Entity extends object, Key extends string & keyof Entity>(
  read: Read,
  list: KeysetList<Entity, Key>,
  range: PageRange<Entity[Key] & Position>,
): Promise<ListPage<Entity>> {
  const page = await read((em) => readPage(em, list, range));
  return { ...page, count: () => read((em) => countRows(em, list)) };
}

/** @returns null if there are more rows than are counted */
async function countRows<Entity extends object>(
  em: EntityManager,
  { entity, where }: Pick<KeysetList<Entity, string>, 'entity' | 'where'>,
): Promise<number | null> {
  const rows = em
    .createQueryBuilder<object>(entity)
    .select(raw('1 as counted'))
    .where(where as object)
    .limit(COUNT_MAX + 1);
  const { sql, params } = rows.toQuery();
  const [counted] = await em
    .getConnection()
    .execute<CountRow[]>(`select count(*) as count from (${sql}) counted`, [...params]);
  const count = Number(counted?.count);
  return count > COUNT_MAX ? null : count;
}

/** A row as the driver returns it. */
interface CountRow {
  readonly count: number | string;
}

/** Reads one page of a list: a range of its key, and one more node that shows whether more nodes exist. */
async function readPage<Entity extends object, Key extends string & keyof Entity>(
  em: EntityManager,
  { entity, where, key, order, options }: KeysetList<Entity, Key>,
  range: PageRange<Entity[Key] & Position>,
): Promise<Page<Entity>> {
  const isDescending = order === 'newest-first';
  const [above, below] = isDescending ? [range.before, range.after] : [range.after, range.before];
  const conditions: object[] = [narrowed(where, key, { above, below })];
  if (above !== undefined) conditions.push({ [key]: { $gt: above } });
  if (below !== undefined) conditions.push({ [key]: { $lt: below } });
  const direction = isDescending === range.fromEnd ? 'asc' : 'desc';
  const read = await em.find<Entity>(entity, { $and: conditions } as FilterQuery<NoInfer<Entity>>, {
    orderBy: { [key]: direction } as QueryOrderMap<Entity>,
    limit: range.size + 1,
    ...options,
  });
  return toPage(read, range);
}

/** The places of a range, of which a page has neither. */
interface Bounds {
  readonly above: Position | undefined;
  readonly below: Position | undefined;
}

/**
 * Returns the condition of a list without those of its bounds that a place within it makes superfluous. SQLite uses one
 * bound of each side, and would read a long list from its first row on for each page.
 */
function narrowed(where: object, key: string, { above, below }: Bounds): object {
  const own = Object.getOwnPropertyDescriptor(where, key)?.value;
  if (!isRange(own)) return where;
  const { $gte, $lt } = own;
  const left = {
    ...(!(typeof above === 'bigint' && above >= $gte) && { $gte }),
    ...(!(typeof below === 'bigint' && below <= $lt) && { $lt }),
  };
  // The conditions on the organizations have symbols as keys, which stay.
  return { ...where, [key]: Object.keys(left).length === 0 ? { $ne: null } : left };
}

function isRange(value: unknown): value is { readonly $gte: bigint; readonly $lt: bigint } {
  if (typeof value !== 'object' || value === null) return false;
  const { $gte, $lt }: { $gte?: unknown; $lt?: unknown } = value;
  return typeof $gte === 'bigint' && typeof $lt === 'bigint' && Object.keys(value).length === 2;
}

/**
 * Makes a page from the rows that were read for a range: one node more than the page size, read from the end if the
 * page is counted from the end. The node of a cursor of this list is itself a node beyond the page, unless it was deleted
 * meanwhile, as old deliveries are. A cursor that was made with another filter is accepted as a cursor of this list.
 */
export function toPage<Node, P extends Position>(
  read: readonly Node[],
  range: PageRange<P>,
): Page<Node> {
  const hasMore = read.length > range.size;
  const nodes = read.slice(0, range.size);
  return {
    nodes: range.fromEnd ? nodes.reverse() : nodes,
    hasNextPage: range.fromEnd ? range.before !== undefined : hasMore,
    hasPreviousPage: range.fromEnd ? hasMore : range.after !== undefined,
  };
}
