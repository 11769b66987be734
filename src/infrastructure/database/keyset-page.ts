import type { EntityClass, FilterQuery, QueryOrderMap } from '@mikro-orm/core';
import type { EntityManager } from '@mikro-orm/sql';
import { type Page, type PageRange, type Position, toPage } from '../../domain/page.js';

export type ListOrder = 'newest-first' | 'oldest-first';

/** A list in the order of a key of its rows, which says where a page begins. */
export interface KeysetList<Entity extends object, Key extends string> {
  readonly entity: EntityClass<Entity>;
  readonly where: FilterQuery<Entity>;
  readonly key: Key;
  readonly order: ListOrder;
}

/** One page of a list: a range of its key, and one node more to know whether there are others. */
export async function readPage<Entity extends object, Key extends string & keyof Entity>(
  em: EntityManager,
  { entity, where, key, order }: KeysetList<Entity, Key>,
  range: PageRange<Entity[Key] & Position>,
): Promise<Page<Entity>> {
  const isDescending = order === 'newest-first';
  const conditions: object[] = [where];
  if (range.after !== undefined) {
    conditions.push({ [key]: { [isDescending ? '$lt' : '$gt']: range.after } });
  }
  if (range.before !== undefined) {
    conditions.push({ [key]: { [isDescending ? '$gt' : '$lt']: range.before } });
  }
  const direction = isDescending === range.fromEnd ? 'asc' : 'desc';
  const read = await em.find<Entity>(entity, { $and: conditions } as FilterQuery<NoInfer<Entity>>, {
    orderBy: { [key]: direction } as QueryOrderMap<Entity>,
    limit: range.size + 1,
  });
  return toPage(read, range);
}
