/**
 * The invariants of the search tables: up to the watermark of an account, they have exactly one entry for each transfer
 * that has the value. Transfers after the watermark are not indexed yet.
 */
import { firstPositionOf } from '../../domain/postings.js';
import {
  ALL_SEARCH_TABLES,
  isBeingRemoved,
  listNumber,
  SEARCHED_LISTS,
  type SearchedList,
  type SearchTable,
  WATERMARK,
} from '../search/search-tables.js';
import { type SqlCheck, sqlCheck } from './check.js';

/** The SQL for the position after the last indexed transfer of an account. */
const INDEXED_END = `(watermark.sequence + 1) * ${firstPositionOf(1n)}`;

/** Joins one select for each list of a search table. */
function ofBothLists(
  select: (list: SearchedList, table: SearchTable) => string,
  table: SearchTable,
): string {
  return SEARCHED_LISTS.map((list) => select(list, table)).join(' union all ');
}

function wrongEntries(list: SearchedList, { name, column, valueIn }: SearchTable): string {
  return `
      select '${list}' as list, entry.account_short_id, entry.position from ${name} entry
      left join account on account.short_id = entry.account_short_id
      left join ${list} on ${list}.account_id = account.id and ${list}.position = entry.position
      where entry.list = ${listNumber(list)}
        and (${valueIn(list)} is null or entry.${column} <> ${valueIn(list)})`;
}

/**
 * Reads each of the two tables once. A count for each account would need an index, and MariaDB reads the whole table for
 * each account while its statistics say that the table is empty. The outer joins fix the order of the tables.
 */
function wrongCounts(list: SearchedList, { name, valueIn }: SearchTable): string {
  return `
      select '${list}' as list, account_short_id, sum(transfers) as transfers, sum(entries) as entries
      from (
        select account.short_id as account_short_id,
          sum(case when ${list}.position < ${INDEXED_END} then 1 else 0 end) as transfers, 0 as entries
        from ${list}
        left join account on account.id = ${list}.account_id
        left join ${WATERMARK.name} watermark on watermark.account_short_id = account.short_id
        where ${valueIn(list)} is not null
        group by account.short_id
        union all
        select entry.account_short_id, 0 as transfers,
          sum(case when entry.position < ${INDEXED_END} then 1 else 0 end) as entries
        from ${name} entry
        left join ${WATERMARK.name} watermark on watermark.account_short_id = entry.account_short_id
        where entry.list = ${listNumber(list)}
        group by entry.account_short_id
      ) counted
      group by account_short_id having sum(transfers) <> sum(entries)`;
}

export const SEARCH_CHECKS: readonly SqlCheck[] = [
  sqlCheck(
    'the watermark of an account is one of its ledger entries, unless the account is being removed',
    `
      select watermark.account_short_id, watermark.sequence from ${WATERMARK.name} watermark
      left join account on account.short_id = watermark.account_short_id
      left join ledger_entry entry on entry.account_id = account.id
        and entry.sequence = watermark.sequence and entry.id = watermark.entry_id
      where entry.id is null
        and not (account.id is not null and ${isBeingRemoved('watermark')})`,
  ),
  ...ALL_SEARCH_TABLES.flatMap((table) => [
    sqlCheck(
      `an entry of ${table.name} has the value of its transfer`,
      ofBothLists(wrongEntries, table),
    ),
    sqlCheck(
      `${table.name} has one entry for each indexed transfer`,
      ofBothLists(wrongCounts, table),
    ),
  ]),
];
