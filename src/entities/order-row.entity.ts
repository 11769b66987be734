import { defineEntity, p } from '@mikro-orm/core';
import { type Problem, valueProblem } from '../domain/problem.js';
import { ExactTextColumn, UuidColumn } from './column-types.js';

/** A problem of a row, without its row. */
export interface RowProblem extends Omit<Problem, 'index'> {
  /** The column of the file in which the value is. */
  readonly column?: string | undefined;
}

/** The fields of a row that name what is paid, as they were sent; null if a field was not sent. */
export interface OrderRowValues {
  readonly amount: string | null;
  readonly currency: string | null;
  readonly counterpartyName: string | null;
  readonly counterpartyIban: string | null;
  readonly counterpartyBic: string | null;
  readonly description: string | null;
  readonly endToEndId: string | null;
}

/** The columns of a row that is added to an order. */
export interface OrderRowRecord extends OrderRowValues {
  readonly orderId: string;
  readonly rowIndex: bigint;
  readonly line: number | null;
  readonly amountMinor: bigint | null;
  readonly problemCount: number;
  readonly problemsJson: string | null;
  /** 1 if an earlier row has the same end-to-end id, else 0. */
  readonly isDuplicate: number;
  /** 1 or 0. */
  readonly hasProblems: number;
}

/** A row of an order, as it was sent, with what is wrong with it. */
export class OrderRow implements OrderRowRecord {
  readonly orderId!: string;
  /** The number of the row in its order. It stays the same when other rows are removed. */
  readonly rowIndex!: bigint;
  /** The line of the file, from 1; null if the row came from no file. */
  readonly line!: number | null;
  readonly amount!: string | null;
  readonly currency!: string | null;
  readonly counterpartyName!: string | null;
  readonly counterpartyIban!: string | null;
  readonly counterpartyBic!: string | null;
  readonly description!: string | null;
  readonly endToEndId!: string | null;
  /** The amount in minor units of the account's currency; null if it cannot be read. */
  readonly amountMinor!: bigint | null;
  /** The number of problems of the row by itself. */
  readonly problemCount!: number;
  /** The problems of the row by itself: see RowProblem. Null if there are none. */
  readonly problemsJson!: string | null;
  readonly isDuplicate!: number;
  readonly hasProblems!: number;

  get problems(): readonly RowProblem[] {
    const own: RowProblem[] = this.problemsJson === null ? [] : JSON.parse(this.problemsJson);
    if (this.isDuplicate === 0) return own;
    return [...own, valueProblem('DUPLICATE', 'endToEndId', this.endToEndId ?? '')];
  }
}

export const OrderRowSchema = defineEntity({
  class: OrderRow,
  tableName: 'order_row',
  properties: {
    orderId: p.type(UuidColumn).primary(),
    rowIndex: p.bigint().unsigned(false).primary(),
    line: p.integer().nullable(),
    amount: p.string().length(500).nullable(),
    currency: p.string().length(500).nullable(),
    counterpartyName: p.string().length(500).nullable(),
    counterpartyIban: p.string().length(500).nullable(),
    counterpartyBic: p.string().length(500).nullable(),
    description: p.string().length(500).nullable(),
    endToEndId: p.type(new ExactTextColumn(2_000)).nullable(),
    amountMinor: p.bigint().nullable(),
    problemCount: p.integer(),
    problemsJson: p.text().fieldName('problems').nullable(),
    isDuplicate: p.integer(),
    hasProblems: p.integer(),
  },
  indexes: [
    { name: 'order_row_problems_index', properties: ['orderId', 'hasProblems', 'rowIndex'] },
    { name: 'order_row_end_to_end_id_index', properties: ['orderId', 'endToEndId', 'rowIndex'] },
  ],
});
