import { Field, Int, ObjectType, registerEnumType } from 'type-graphql';
import { MoneyType } from './money.js';
import { NodeType } from './node.js';
import { connectionOf } from './page.js';
import { DateTime } from './scalars.js';

export const BulkTransferStatus = { PERFORMED: 'PERFORMED' } as const;

registerEnumType(BulkTransferStatus, {
  name: 'BulkTransferStatus',
  description: 'A bulk is performed as a whole or does not exist.',
  valuesConfig: { PERFORMED: { description: 'All of its transfers are recorded.' } },
});

@ObjectType('BulkTransfer', {
  implements: NodeType,
  description:
    'Credit transfers that were recorded, and debited from their account, in one commit.',
  simpleResolvers: true,
})
export class BulkTransferType extends NodeType {
  accountId!: string;

  sequence!: bigint;

  @Field(() => String, { nullable: true })
  idempotencyKey!: string | null;

  @Field(() => Int)
  transferCount!: number;

  @Field(() => MoneyType)
  totalAmount!: MoneyType;

  @Field(() => MoneyType, { description: 'Balance of the account after the bulk.' })
  balanceAfter!: MoneyType;

  @Field(() => BulkTransferStatus)
  status!: keyof typeof BulkTransferStatus;

  @Field(() => DateTime)
  createdAt!: Date;
}

export const BulkTransferConnection = connectionOf('BulkTransfer', BulkTransferType);
