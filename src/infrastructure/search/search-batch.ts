/** The SQL with which entries of the ledger are added to the search tables. SQLite, MySQL and MariaDB share it. */
import { firstPositionOf } from '../../domain/postings.js';
import type { Database } from '../database/dialect.js';
import { idLiteral } from '../database/id-literal.js';
import {
  ALL_SEARCH_TABLES,
  entryColumns,
  isBeingRemoved,
  listNumber,
  NO_ENTRY,
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
 * servers may index the same range. A watermark that another process has moved meanwhile is left alone. A first
 * watermark is never replaced, because its account may be being removed: the transaction fails, and its batch is read
 * again.
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
    ? `insert into ${WATERMARK.name} (${account}, ${sequence}, ${entryId})
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

/** Returns the statement that begins the removal of accounts: from now on no read uses their entries. */
export function beginRemovalStatement(shortIds: readonly number[]): string {
  const rows = shortIds.map((shortId) => `(${shortId}, 0, ${NO_ENTRY})`);
  return `replace into ${WATERMARK.name} (${WATERMARK.columns}) values ${rows}`;
}

/**
 * Returns the statements of one transaction that removes some entries of accounts, and the watermark of each account
 * that has none left. The accounts are those whose removal has begun, or whose watermark is not in the ledger.
 *
 * The first statement for an account locks its watermark. The others do nothing unless the account is being removed,
 * because another process may have removed it and begun to index it anew.
 * @param rowsMax the largest number of rows that are removed of all accounts in one table
 */
export function removeStatements(
  shortIds: readonly number[],
  deleteSome: Database['deleteSome'],
  rowsMax: number,
): string[] {
  const [account] = WATERMARK.columns;
  const rowsOfEach = Math.ceil(rowsMax / shortIds.length);
  return shortIds.flatMap((shortId) => {
    const watermark = `${WATERMARK.name}.${account} = ${shortId}`;
    const isRemoved = isBeingRemoved(WATERMARK.name);
    const hasBegun = `exists (select 1 from ${WATERMARK.name} where ${watermark} and ${isRemoved})`;
    const entries = ALL_SEARCH_TABLES.map(
      ({ name }) => `exists (select 1 from ${name} where account_short_id = ${shortId})`,
    );
    return [
      `update ${WATERMARK.name} set sequence = 0, entry_id = ${NO_ENTRY}
        where ${watermark} and not exists (${ENTRY_OF_WATERMARK})`,
      ...ALL_SEARCH_TABLES.map((table) =>
        deleteSome(
          { name: table.name, columns: entryColumns(table) },
          `account_short_id = ${shortId} and ${hasBegun}`,
          rowsOfEach,
        ),
      ),
      `delete from ${WATERMARK.name} where ${watermark} and ${isRemoved}
        and not (${entries.join(' or ')})`,
    ];
  });
}

/** The select of the ledger entry that a watermark names. */
const ENTRY_OF_WATERMARK = `select 1 from account
  join ledger_entry entry on entry.account_id = account.id
  where account.short_id = ${WATERMARK.name}.account_short_id
    and entry.sequence = ${WATERMARK.name}.sequence and entry.id = ${WATERMARK.name}.entry_id`;

/** Returns the select of the accounts in the search tables that the ledger does not have, as after a restored backup. */
export function orphansSelect(): string {
  const ofEach = SEARCH_COLUMNS.map(({ name }) => `select distinct account_short_id from ${name}`);
  return `select account_short_id from (${ofEach.join(' union ')}) entries
    where account_short_id not in (select short_id from account)`;
}
