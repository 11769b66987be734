/** The tables to which a floor writes. */
import { v7 } from 'uuid';
import type { CreditTransfer } from '../../harness/bulk-requests.ts';

export type Value = string | number | bigint | Buffer | Date;

export const newId = () => v7(undefined, Buffer.alloc(16));

/** The values that the rows of a bulk share. */
export interface PostedBulk {
  readonly accountId: Buffer;
  readonly sequence: bigint;
  readonly at: Date;
}

export interface PostedTransfer extends CreditTransfer {
  readonly amountMinor: bigint;
}

/** The differences between the tables of today and those of November 2026. */
export interface Tables {
  readonly transferColumns: readonly string[];
  readonly outboxSubject: 'subject_id' | 'account_id';
  bulkId(bulk: PostedBulk): Buffer;
  /** Returns the values of a transfer, in the order of the columns. */
  transferValues(
    transfer: PostedTransfer,
    index: number,
    bulk: PostedBulk & { readonly bulkId: Buffer },
  ): readonly Value[];
}
