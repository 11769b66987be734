import { Field, ObjectType } from 'type-graphql';
import { AccountType } from './account.js';
import { BulkTransferType } from './bulk-transfer.js';
import { MoneyType } from './money.js';
import { Cursor, DateTime, Int64 } from './scalars.js';
import { TransferType } from './transfer.js';

@ObjectType('TransferPerformed', { description: 'A transfer was recorded.', simpleResolvers: true })
export class TransferPerformedType {
  @Field(() => Cursor, { description: 'Where to resume: give it as after.' })
  cursor!: string;

  @Field(() => TransferType)
  transfer!: TransferType;
}

@ObjectType('BulkTransferPerformedEvent', {
  description: 'A bulk was performed.',
  simpleResolvers: true,
})
export class BulkTransferPerformedEventType {
  @Field(() => Cursor, { description: 'Where to resume: give it as after.' })
  cursor!: string;

  @Field(() => BulkTransferType)
  bulkTransfer!: BulkTransferType;
}

@ObjectType('BalanceUpdated', { description: 'A balance as it is.', simpleResolvers: true })
export class BalanceUpdatedType {
  @Field(() => AccountType)
  account!: AccountType;

  @Field(() => MoneyType)
  balance!: MoneyType;

  @Field(() => Int64, { description: 'Grows with each event.' })
  sequence!: bigint;

  @Field(() => DateTime, { description: 'When the balance became this.' })
  at!: Date;
}
