import { Field, ObjectType } from 'type-graphql';
import { AccountType } from './account.js';
import { BulkTransferType } from './bulk-transfer.js';
import { MoneyType } from './money.js';
import { Cursor, DateTime, Int64 } from './scalars.js';
import { TransferType } from './transfer.js';

@ObjectType('TransferPerformed', { description: 'A transfer was recorded.', simpleResolvers: true })
export class TransferPerformedType {
  @Field(() => Cursor, { description: 'The position of this event: send it as after to resume.' })
  cursor!: string;

  @Field(() => TransferType)
  transfer!: TransferType;
}

@ObjectType('BulkTransferPerformedEvent', {
  description: 'A bulk was performed.',
  simpleResolvers: true,
})
export class BulkTransferPerformedEventType {
  @Field(() => Cursor, { description: 'The position of this event: send it as after to resume.' })
  cursor!: string;

  @Field(() => BulkTransferType)
  bulkTransfer!: BulkTransferType;
}

@ObjectType('BalanceUpdated', {
  description: 'The current balance of an account.',
  simpleResolvers: true,
})
export class BalanceUpdatedType {
  @Field(() => AccountType)
  account!: AccountType;

  @Field(() => MoneyType)
  balance!: MoneyType;

  @Field(() => Int64, { description: 'The version of the balance. It grows with each event.' })
  sequence!: bigint;

  @Field(() => DateTime, { description: 'Time of the last change of the balance.' })
  at!: Date;
}
