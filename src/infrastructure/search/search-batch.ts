/** The SQL with which entries of the ledger are added to the search tables. SQLite, MySQL and MariaDB share it. */
import { firstPositionOf } from '../../domain/postings.js';
import { idLiteral } from '../database/id-literal.js';
import {
  ALL_SEARCH_TABLES,
  listNumber,
  SEARCH_COLUMNS,
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
 * servers may index the same range. A watermark that another process has moved or removed meanwhile is left alone.
 */
export function indexStatements(ranges: readonly IndexedRange[]): string[] {
  const receiving = ranges.filter(({ hasIncomingTransfers }) => hasIncomingTransfers);
  const lists = { transfer: ranges, incoming_transfer: receiving };
  const entries = SEARCHED_LISTS.flatMap((list) =>
    lists[list].length === 0
      ? []
      : ALL_SEARCH_TABLES.map((table) => indexStatement(list, table, lists[list])),
  );
  return [...ranges.map(watermarkStatement), ...entries];
}

function watermarkStatement({ shortId, after, last, lastEntryId }: IndexedRange): string {
  const [account, sequence, entryId] = WATERMARK.columns;
  return after === 0n
    ? `replace into ${WATERMARK.name} (${account}, ${sequence}, ${entryId})
        values (${shortId}, ${last}, ${idLiteral(lastEntryId)})`
    : `update ${WATERMARK.name} set ${sequence} = ${last}, ${entryId} = ${idLiteral(lastEntryId)}
        where ${account} = ${shortId} and ${sequence} = ${after}`;
}

/** Each range is a select of its own. With a join or an OR, MariaDB would read the whole accounts. */
function indexStatement(
  list: SearchedList,
  { name, column, valueIn }: SearchTable,
  ranges: readonly IndexedRange[],
): string {
  const value = valueIn(list);
  const selects = ranges.map(
    ({ accountId, shortId, after, last }) =>
      `select ${shortId} as account_short_id, ${listNumber(list)} as list, ${value} as value, position
      from ${list} where account_id = ${idLiteral(accountId)}
        and position between ${firstPositionOf(after + 1n)} and ${firstPositionOf(last + 1n) - 1n}
        and ${value} is not null`,
  );
  return `replace into ${name} (account_short_id, list, ${column}, position)
    select account_short_id, list, value, position from (${selects.join(' union all ')}) entries
    order by account_short_id, value, position`;
}

/** Returns the statements that remove accounts from the search tables. */
export function removeStatements(shortIds: readonly number[]): string[] {
  return deletionsWhere(`account_short_id in (${shortIds.join(',')})`);
}

/** Returns the statements that remove what belongs to no account, because a ledger without the account was restored. */
export function removeOrphansStatements(): string[] {
  return deletionsWhere('account_short_id not in (select short_id from account)');
}

function deletionsWhere(condition: string): string[] {
  return SEARCH_COLUMNS.map(({ name }) => `delete from ${name} where ${condition}`);
}
