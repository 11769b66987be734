import { Field, ObjectType, registerEnumType } from 'type-graphql';
import { MoneyType } from './money.js';
import { NodeType } from './node.js';
import { connectionOf } from './page.js';
import { DateTime, Int64 } from './scalars.js';

export const LedgerEntryKind = {
  BULK_TRANSFER: 'BULK_TRANSFER',
  INCOMING_TRANSFER: 'INCOMING_TRANSFER',
  BOOK_TRANSFER: 'BOOK_TRANSFER',
} as const;

registerEnumType(LedgerEntryKind, {
  name: 'LedgerEntryKind',
  description: 'Why a balance changed.',
  valuesConfig: {
    BULK_TRANSFER: { description: 'The debit of one bulk, one entry however many transfers.' },
    INCOMING_TRANSFER: { description: 'Money from outside: creditAccount, an opening balance.' },
    BOOK_TRANSFER: { description: 'Money from another account of this server, one entry a bulk.' },
  },
});

@ObjectType('LedgerEntry', {
  implements: NodeType,
  description: 'One line of an account: append-only.',
  simpleResolvers: true,
})
export class LedgerEntryType extends NodeType {
  accountId!: string;

  bulkTransferId!: string | null;

  @Field(() => Int64, { description: '1, 2, 3 … without a gap in each account.' })
  sequence!: bigint;

  @Field(() => LedgerEntryKind)
  kind!: keyof typeof LedgerEntryKind;

  @Field(() => MoneyType, { description: "From the account's side: a debit is negative." })
  amount!: MoneyType;

  @Field(() => MoneyType)
  balanceAfter!: MoneyType;

  @Field(() => String)
  description!: string;

  @Field(() => DateTime)
  createdAt!: Date;
}

export const LedgerEntryConnection = connectionOf('LedgerEntry', LedgerEntryType);
