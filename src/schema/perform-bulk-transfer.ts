import { createUnionType, Field, InputType, Int, ObjectType } from 'type-graphql';
import { AccountType } from './account.js';
import { BulkTransferType } from './bulk-transfer.js';
import { MoneyType } from './money.js';
import {
  AccountBusyType,
  AccountNotFoundType,
  IdempotencyKeyReusedType,
  InsufficientFundsType,
  InvalidBulkTransferType,
  TransferProblemType,
  UserErrorType,
} from './user-errors.js';

@InputType('CreditTransferInput', { description: 'One credit transfer of a bulk.' })
export class CreditTransferInput {
  @Field(() => String, {
    description: 'In major units, positive, at most the fraction digits of the currency: "14.5".',
  })
  amount!: string;

  @Field(() => String, { nullable: true, defaultValue: 'EUR', description: "The account's." })
  currency?: string | null;

  @Field(() => String, { description: '1 to 140 characters.' })
  counterpartyName!: string;

  @Field(() => String, { description: 'Spaces and lower case are accepted and normalised.' })
  counterpartyIban!: string;

  @Field(() => String, { nullable: true })
  counterpartyBic?: string | null;

  @Field(() => String, { description: '0 to 140 characters.' })
  description!: string;

  @Field(() => String, { nullable: true, description: '1 to 35 characters, unique in the bulk.' })
  endToEndId?: string | null;
}

@InputType('PerformBulkTransferInput', { description: 'A bulk of credit transfers.' })
export class PerformBulkTransferInput {
  @Field(() => String, {
    nullable: true,
    description:
      '1 to 255 printable ASCII characters. The same key with the same content gets the first answer again; with other content, IdempotencyKeyReused. The HTTP header Idempotency-Key means the same.',
  })
  idempotencyKey?: string | null;

  @Field(() => String, { description: 'The account that is debited.' })
  organizationIban!: string;

  @Field(() => String, { nullable: true, description: 'Checked against the account where given.' })
  organizationName?: string | null;

  @Field(() => String, { nullable: true, description: 'Checked against the account where given.' })
  organizationBic?: string | null;

  @Field(() => [CreditTransferInput], {
    description: '1 to BULK_TRANSFERS_MAX, by default 10,000.',
  })
  creditTransfers!: CreditTransferInput[];
}

@ObjectType('BulkTransferPerformed', {
  description: 'All transfers are recorded and the account is debited.',
  simpleResolvers: true,
})
export class BulkTransferPerformedType {
  @Field(() => BulkTransferType)
  bulkTransfer!: BulkTransferType;

  @Field(() => AccountType)
  account!: AccountType;

  @Field(() => Boolean, {
    description: 'Whether an earlier request with the same key had performed the bulk.',
  })
  replayed!: boolean;
}

export const PerformBulkTransferResult = createUnionType({
  name: 'PerformBulkTransferResult',
  types: () =>
    [
      BulkTransferPerformedType,
      InvalidBulkTransferType,
      InsufficientFundsType,
      AccountNotFoundType,
      IdempotencyKeyReusedType,
      AccountBusyType,
    ] as const,
});

@ObjectType('BulkTransferValidation', {
  description: 'What performBulkTransfer would come to, were nothing to change meanwhile.',
  simpleResolvers: true,
})
export class BulkTransferValidationType {
  @Field(() => Boolean)
  valid!: boolean;

  @Field(() => Int)
  transferCount!: number;

  @Field(() => MoneyType, { nullable: true, description: "Null where an amount can't be read." })
  totalAmount!: MoneyType | null;

  @Field(() => MoneyType, {
    nullable: true,
    description: 'Null where the account or the total is unknown; negative where funds are short.',
  })
  balanceAfter!: MoneyType | null;

  @Field(() => [TransferProblemType], { description: 'The first 1,000.' })
  problems!: TransferProblemType[];

  @Field(() => UserErrorType, { nullable: true })
  error!: UserErrorType | null;
}
