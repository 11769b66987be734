/**
 * Appends thousands of rows that never change again, without MikroORM's change tracking. The entity defines the columns
 * and how their values are stored. The dialect defines the fastest way to insert them.
 */
import type { EntityClass } from '@mikro-orm/core';
import type { MikroORM } from '@mikro-orm/sql';
import { ExactTextColumn, UuidColumn } from '../../entities/column-types.js';

/** A value in the form that a database driver accepts. */
export type ColumnValue = string | number | bigint | Date | Uint8Array | null;

/** Rows to append to one table. */
export interface AppendBatch {
  readonly table: string;
  readonly columns: readonly string[];
  /** Yields the values of each row, in the order of the columns. Values are converted when they are read. */
  readonly tuples: Iterable<ColumnValue[]>;
}

/** Makes a batch from the rows to append to one table. */
export type AppendTable<Row> = (rows: Iterable<Row>) => AppendBatch;

/** Returns the table of an entity. Its rows have the fields of the entity. */
export function appendTableOf<Row extends object>(
  orm: MikroORM,
  entity: EntityClass<Row>,
): AppendTable<Row> {
  const { tableName, props } = orm.getMetadata().get<Row>(entity);
  const fields = props
    .filter(({ persist, fieldNames }) => persist !== false && fieldNames?.length === 1)
    .map(({ name, fieldNames, customType }) => ({
      name,
      column: fieldNames[0] ?? name,
      convert: converterOf(customType),
    }));
  const columns = fields.map(({ column }) => column);
  function* tuplesOf(rows: Iterable<Row>): Iterable<ColumnValue[]> {
    for (const row of rows) yield fields.map(({ name, convert }) => convert(row[name]));
  }
  return (rows) => ({ table: tableName, columns, tuples: tuplesOf(rows) });
}

/**
 * Returns the converter of a column's values. Only the project's own column types have another form in the database;
 * numbers, texts and dates are passed unchanged.
 */
function converterOf(type: unknown): (value: unknown) => ColumnValue {
  if (type instanceof UuidColumn || type instanceof ExactTextColumn) {
    return remembering((value) => type.convertToDatabaseValue(value));
  }
  return (value) => (value ?? null) as ColumnValue;
}

/** Caches the last converted value, because the rows of one bulk share its ids and often its names. */
function remembering(convert: (value: string) => ColumnValue): (value: unknown) => ColumnValue {
  let lastValue: unknown;
  let lastConverted: ColumnValue = null;
  return (value) => {
    if (typeof value !== 'string') return null;
    if (value !== lastValue) {
      lastConverted = convert(value);
      lastValue = value;
    }
    return lastConverted;
  };
}
