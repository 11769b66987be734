import { createUnionType, Field, InputType, Int, ObjectType } from 'type-graphql';
import type { BulkTransferRequest } from '../domain/bulk-transfer.js';
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
    description:
      'In major units, positive, with at most the fraction digits of the currency: "14.5". In EUR nine digits before the point at most.',
  })
  amount!: string;

  @Field(() => String, {
    nullable: true,
    defaultValue: 'EUR',
    description: 'The currency of the account that is debited, ISO 4217.',
  })
  currency?: string | null;

  @Field(() => String, { description: 'Who is paid: 1 to 140 characters.' })
  counterpartyName!: string;

  @Field(() => String, {
    description:
      'The account that is credited. Lower case and what is pasted with it, such as spaces, are accepted and normalised.',
  })
  counterpartyIban!: string;

  @Field(() => String, {
    nullable: true,
    description: 'The BIC of its bank (ISO 9362): 8 or 11 characters.',
  })
  counterpartyBic?: string | null;

  @Field(() => String, { description: 'What the counterparty is told: 0 to 140 characters.' })
  description!: string;

  @Field(() => String, {
    nullable: true,
    description:
      'A reference of your own that goes with the transfer: 1 to 35 characters, unique in the bulk.',
  })
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

  @Field(() => String, {
    description: 'The account that is debited; in any case, with or without spaces.',
  })
  organizationIban!: string;

  @Field(() => String, { nullable: true, description: 'Checked against the account where given.' })
  organizationName?: string | null;

  @Field(() => String, { nullable: true, description: 'Checked against the account where given.' })
  organizationBic?: string | null;

  @Field(() => [CreditTransferInput], {
    description:
      'The transfers: 1 to BULK_TRANSFERS_MAX of the server, by default 10,000. Every row is checked, and every problem told.',
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

  request!: BulkTransferRequest;
}

export const PerformBulkTransferResult = createUnionType({
  name: 'PerformBulkTransferResult',
  description:
    'The bulk that was performed, or why none was. Every member but the first is a UserError.',
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

  @Field(() => MoneyType, {
    nullable: true,
    description: "Null where an amount can't be read, or no balance could cover it.",
  })
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

  request!: BulkTransferRequest;
}
