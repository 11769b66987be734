/** The warnings about an order: those of a bulk, and those of its file. */
import { ORDER_FILE_WARNING_CODES } from './order-file.js';
import type { Problem } from './problem.js';
import { TRANSFER_WARNING_CODES } from './transfer-warnings.js';

/**
 * - SAME_FILE: the same file was imported before
 * - NOT_SEPA: a value breaks a rule of SEPA, and BANK_RULES does not make it a problem
 */
export const ORDER_WARNING_CODES = [
  ...TRANSFER_WARNING_CODES,
  ...ORDER_FILE_WARNING_CODES,
  'SAME_FILE',
  'NOT_SEPA',
] as const;

export type OrderWarningCode = (typeof ORDER_WARNING_CODES)[number];

/** A problem of a file, or of a row of it. */
export interface FileProblem extends Omit<Problem, 'index'> {
  /** The line of the file, from 1. */
  readonly line?: number | undefined;
  /** The name of the column as the file writes it. */
  readonly column?: string | undefined;
}

/** A warning about the file of an order. */
export interface FileWarning {
  readonly field: string;
  readonly code: OrderWarningCode;
  /** The line of the file, from 1. */
  readonly line?: number | undefined;
  readonly column?: string | undefined;
  readonly message: string;
  /** The earlier order with the same file. */
  readonly orderId?: string | undefined;
}
