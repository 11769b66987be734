/** Files of bulk transfer orders: their formats, limits and warnings. */
import { ORDER_ROWS_MAX } from './order.js';
import type { ProblemCode } from './problem.js';

/** The formats of files that are read. PAIN_001 is pain.001.001.09 or pain.001.001.03 of ISO 20022. */
export const ORDER_FILE_FORMATS = ['CSV', 'PAIN_001'] as const;

export type OrderFileFormat = (typeof ORDER_FILE_FORMATS)[number];

/** The largest number of rows of a file, in all its orders together. */
export const ORDER_FILE_ROWS_MAX = ORDER_ROWS_MAX;

/** The largest number of orders of a file. */
export const ORDER_FILE_ORDERS_MAX = 100;

/** The largest number of rows that a reader returns at once. */
export const ORDER_FILE_BATCH_ROWS_MAX = 1_000;

/** The problem codes that only files have. */
export const FILE_PROBLEM_CODES: readonly ProblemCode[] = [
  'UNREADABLE_FILE',
  'MISSING_COLUMN',
  'DUPLICATE_COLUMN',
  'CELL_COUNT_MISMATCH',
  'AMBIGUOUS_AMOUNTS',
  'SPREADSHEET_NUMBER',
  'ROW_COUNT_MISMATCH',
  'CONTROL_SUM_MISMATCH',
  'INVALID_DATE',
  'UNSUPPORTED',
];

/**
 * The codes of warnings of a file.
 * - FORMAT_OUTDATED: the file is pain.001.001.03, which banks stopped accepting in November 2026
 * - EXECUTION_DATE_KEPT: the file asks for another day than today. The day is kept, but the order is performed when it
 *   is submitted
 * - UNSTRUCTURED_ADDRESS: the file has addresses without a town and a country, which banks refuse since 15 November 2026
 */
export const ORDER_FILE_WARNING_CODES = [
  'FORMAT_OUTDATED',
  'EXECUTION_DATE_KEPT',
  'UNSTRUCTURED_ADDRESS',
] as const;

export type OrderFileWarningCode = (typeof ORDER_FILE_WARNING_CODES)[number];

/** A part of a file that is accepted, but that its author may not expect to be read as it is. */
export interface OrderFileWarning {
  readonly code: OrderFileWarningCode;
  /** A sentence for people. */
  readonly message: string;
  /** The line of the file, from 1. */
  readonly line?: number | undefined;
  /** The name of the column, or the path of the XML element below PmtInf. */
  readonly column?: string | undefined;
  /** The field of the order; content for the file. */
  readonly field: string;
}
