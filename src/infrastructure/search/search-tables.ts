/**
 * The search tables. They find the positions of transfers by IBAN, name, amount or end-to-end id. They are derived from
 * the ledger after the commit: a transfer in the ledger costs a bulk one row in one tree. Each table has one entry for
 * each transfer, in the order of account, list, value and position.
 */
import { shortIdOf } from '../../domain/id.js';
import { idLiteral, NO_ID } from '../database/id-literal.js';

/** The lists of an account that can be searched, each by the table that it lists. */
export const SEARCHED_LISTS = ['transfer', 'incoming_transfer'] as const;

export type SearchedList = (typeof SEARCHED_LISTS)[number];

/** The bytes of a folded name that are searchable. A longer prefix finds more names, which the ledger's rows exclude. */
export const SEARCHED_NAME_BYTES = 32;

/** One search table. */
export interface SearchTable {
  readonly name: string;
  /** The column of the searched value. */
  readonly column: string;
  /** The type of the column in SQLite. The migrations have the types of MySQL. */
  readonly sqliteType: string;
  /** Returns the SQL for the value of a row of a list. It is null for a row that has no entry. */
  readonly valueIn: (row: string) => string;
}

export const SEARCH_TABLES = {
  iban: {
    name: 'search_iban',
    column: 'counterparty_iban',
    sqliteType: 'text',
    valueIn: (row) => `${row}.counterparty_iban`,
  },
  name: {
    name: 'search_name',
    column: 'folded_name',
    sqliteType: `varbinary(${SEARCHED_NAME_BYTES})`,
    valueIn: (row) => `substr(${row}.counterparty_name_folded, 1, ${SEARCHED_NAME_BYTES})`,
  },
  amount: {
    name: 'search_amount',
    column: 'amount_minor',
    sqliteType: 'bigint',
    valueIn: (row) => `${row}.amount_minor`,
  },
  endToEndId: {
    name: 'search_end_to_end_id',
    column: 'end_to_end_id',
    sqliteType: 'varbinary(140)',
    valueIn: (row) => `${row}.end_to_end_id`,
  },
} as const satisfies Readonly<Record<string, SearchTable>>;

export const ALL_SEARCH_TABLES: readonly SearchTable[] = Object.values(SEARCH_TABLES);

/**
 * The table with the last indexed ledger entry of each account. Its id tells whether it is still the entry of the
 * ledger. It is not, if the ledger was restored from a backup and the search tables were not.
 */
export const WATERMARK = {
  name: 'search_watermark',
  columns: ['account_short_id', 'sequence', 'entry_id'],
} as const;

/**
 * Returns the SQL condition on a watermark whose account is being removed from the search tables: it has the sequence 0
 * and the id of no entry. The watermark is set so before the first entry is removed, and is deleted with the last one.
 */
export function isBeingRemoved(watermark: string): string {
  return `(${watermark}.sequence = 0 and ${watermark}.entry_id = ${NO_ENTRY})`;
}

/** The SQL for the id of no ledger entry. */
export const NO_ENTRY = idLiteral(NO_ID);

/** Returns the columns of a search table, which are its primary key. */
export function entryColumns({ column }: SearchTable): readonly string[] {
  return ['account_short_id', 'list', column, 'position'];
}

/** The columns of all tables. */
export const SEARCH_COLUMNS: readonly {
  readonly name: string;
  readonly columns: readonly string[];
}[] = [
  ...ALL_SEARCH_TABLES.map((table) => ({ name: table.name, columns: entryColumns(table) })),
  WATERMARK,
];

/** Returns the SQL condition on the entries of a list in a search table. */
export function isOfList(accountId: string, list: SearchedList): string {
  return `account_short_id = ${shortIdOf(accountId)} and list = ${listNumber(list)}`;
}

/** Returns the number of a list in the column list. */
export function listNumber(list: SearchedList): number {
  return SEARCHED_LISTS.indexOf(list);
}

/**
 * Returns the SQL condition that the search tables still have all entries of an account up to a watermark that was read
 * before. The condition belongs into the statement that reads the entries, which sees both in one state.
 */
export function isIndexedTo(accountId: string, watermark: bigint): string {
  return `(${watermark} = 0 or exists (select 1 from ${WATERMARK.name}
    where account_short_id = ${shortIdOf(accountId)} and sequence >= ${watermark}))`;
}

/** Returns the SQL for the watermark of an account: its columns are null if the account has none that counts. */
export function joinWatermark(account: string): string {
  return `left join ${WATERMARK.name} watermark on watermark.account_short_id = ${account}.short_id
    left join ledger_entry indexed_entry on indexed_entry.account_id = ${account}.id
      and indexed_entry.sequence = watermark.sequence and indexed_entry.id = watermark.entry_id`;
}
