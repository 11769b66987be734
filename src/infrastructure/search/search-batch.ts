/** The SQL with which entries of the ledger are added to the search tables. SQLite, MySQL and MariaDB share it. */
import { firstPositionOf } from '../../domain/postings.js';
import { idLiteral } from '../database/id-literal.js';
import {
  ALL_SEARCH_TABLES,
  listNumber,
  SEARCHED_LISTS,
  type SearchedList,
  type SearchTable,
  WATERMARK,
} from './search-tables.js';

/** The ledger entries of an account that one batch adds. */
export interface IndexedRange {
  readonly accountId: string;
  readonly shortId: number;
  /** The last entry that was indexed before; 0 for none. */
  readonly after: bigint;
  /** The last entry of the range, and its id. */
  readonly last: bigint;
  readonly lastEntryId: string;
  readonly hasIncomingTransfers: boolean;
}

/**
 * Returns the statements that index ranges, for one transaction. They replace entries that exist already, because two
 * servers may index the same range.
 */
export function indexStatements(ranges: readonly IndexedRange[]): string[] {
  const receiving = ranges.filter(({ hasIncomingTransfers }) => hasIncomingTransfers);
  const lists = { transfer: ranges, incoming_transfer: receiving };
  const watermarks = ranges.map(
    ({ shortId, last, lastEntryId }) => `(${shortId}, ${last}, ${idLiteral(lastEntryId)})`,
  );
  return [
    ...SEARCHED_LISTS.flatMap((list) =>
      lists[list].length === 0
        ? []
        : ALL_SEARCH_TABLES.map((table) => indexStatement(list, table, lists[list])),
    ),
    `replace into ${WATERMARK.name} (${WATERMARK.columns.join(', ')}) values ${watermarks.join(', ')}`,
  ];
}

function indexStatement(
  list: SearchedList,
  { name, column, valueIn }: SearchTable,
  ranges: readonly IndexedRange[],
): string {
  const ofRanges = ranges.map(
    ({ accountId, after, last }) =>
      `(account_id = ${idLiteral(accountId)} and position between ${firstPositionOf(after + 1n)}
        and ${firstPositionOf(last + 1n) - 1n})`,
  );
  const value = valueIn(list);
  return `replace into ${name} (account_short_id, list, ${column}, position)
    select account.short_id, ${listNumber(list)}, ${value}, position
    from ${list} join account on account.id = ${list}.account_id
    where (${ofRanges.join(' or ')}) and ${value} is not null
    order by account.short_id, ${value}, position`;
}

/** Returns the statements that remove accounts from the search tables. */
export function removeStatements(shortIds: readonly number[]): string[] {
  const tables = [...ALL_SEARCH_TABLES.map(({ name }) => name), WATERMARK.name];
  return tables.map(
    (name) => `delete from ${name} where account_short_id in (${shortIds.join(',')})`,
  );
}
