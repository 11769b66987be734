/**
 * Appending rows without tracking them: thousands that nothing will change again. What a column is,
 * and how its values are kept, is the entity's to say; how a database takes them best is its dialect's.
 */
import type { EntityClass } from '@mikro-orm/core';
import type { MikroORM } from '@mikro-orm/sql';
import { ExactTextColumn, UuidColumn } from '../../entities/column-types.js';

/** A value as a driver takes it. */
export type ColumnValue = string | number | bigint | Date | Uint8Array | null;

/** Rows that one table is to have. */
export interface AppendBatch {
  readonly table: string;
  readonly columns: readonly string[];
  /** Each row's values, in the order of the columns, converted when they are asked for. */
  readonly tuples: Iterable<ColumnValue[]>;
}

/** A table that rows are appended to. */
export type AppendTable<Row> = (rows: Iterable<Row>) => AppendBatch;

/** The table of an entity; its rows are the entity's own fields. */
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

/** Numbers, texts and dates go as they are; only our own column types have another form in the database. */
function converterOf(type: unknown): (value: unknown) => ColumnValue {
  if (type instanceof UuidColumn || type instanceof ExactTextColumn) {
    return remembering((value) => type.convertToDatabaseValue(value));
  }
  return (value) => (value ?? null) as ColumnValue;
}

/** The rows of a bulk have its ids, and often its names, in common: what was converted last is known. */
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
