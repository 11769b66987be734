import { Field, ObjectType, registerEnumType } from 'type-graphql';
import { LEDGER_ENTRY_KINDS, type LedgerEntryKind } from '../domain/kinds.js';
import { type Descriptions, enumOf } from './enum.js';
import { MoneyType } from './money.js';
import { NodeType } from './node.js';
import { connectionOf } from './page.js';
import { DateTime, Int64 } from './scalars.js';

const LedgerEntryKindEnum = enumOf(LEDGER_ENTRY_KINDS);

registerEnumType(LedgerEntryKindEnum, {
  name: 'LedgerEntryKind',
  description: 'The reason for a change of a balance.',
  valuesConfig: {
    BULK_TRANSFER: { description: 'The debit of one bulk: one entry for all of its transfers.' },
    INCOMING_TRANSFER: { description: 'Money from outside: creditAccount, an opening balance.' },
    BOOK_TRANSFER: {
      description: 'Money from another account of this server: one entry for each bulk.',
    },
  } satisfies Descriptions<LedgerEntryKind>,
});

@ObjectType('LedgerEntry', {
  implements: NodeType,
  description: 'One change of the balance of an account. An entry never changes.',
  simpleResolvers: true,
})
export class LedgerEntryType extends NodeType {
  accountId!: string;

  bulkTransferId!: string | null;

  @Field(() => Int64, { description: '1, 2, 3 … without a gap in each account.' })
  sequence!: bigint;

  @Field(() => LedgerEntryKindEnum)
  kind!: LedgerEntryKind;

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
