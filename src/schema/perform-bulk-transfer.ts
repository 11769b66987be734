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
      'In major units, positive, with at most the fraction digits of the currency: "14.5". In EUR, at most nine digits before the point.',
  })
  amount!: string;

  @Field(() => String, {
    nullable: true,
    defaultValue: 'EUR',
    description: 'The currency of the account that is debited, ISO 4217.',
  })
  currency?: string | null;

  @Field(() => String, { description: 'Name of the payee: 1 to 140 characters.' })
  counterpartyName!: string;

  @Field(() => String, {
    description:
      'IBAN of the account that is credited. Lower case and pasted characters, such as spaces, are accepted and normalised.',
  })
  counterpartyIban!: string;

  @Field(() => String, {
    nullable: true,
    description: "BIC of the counterparty's bank (ISO 9362): 8 or 11 characters.",
  })
  counterpartyBic?: string | null;

  @Field(() => String, { description: 'Text for the counterparty: 0 to 140 characters.' })
  description!: string;

  @Field(() => String, {
    nullable: true,
    description:
      'Your own reference, which goes with the transfer: 1 to 35 characters, unique in the bulk.',
  })
  endToEndId?: string | null;
}

@InputType('PerformBulkTransferInput', { description: 'A bulk of credit transfers.' })
export class PerformBulkTransferInput {
  @Field(() => String, {
    nullable: true,
    description:
      '1 to 255 printable ASCII characters. The same key with the same content gets the first answer again; with other content, IdempotencyKeyReused. The HTTP header Idempotency-Key has the same effect.',
  })
  idempotencyKey?: string | null;

  @Field(() => String, {
    description: 'IBAN of the account that is debited; in any case, with or without spaces.',
  })
  organizationIban!: string;

  @Field(() => String, {
    nullable: true,
    description: 'If given, it must be the value of the account.',
  })
  organizationName?: string | null;

  @Field(() => String, {
    nullable: true,
    description: 'If given, it must be the value of the account.',
  })
  organizationBic?: string | null;

  @Field(() => [CreditTransferInput], {
    description:
      'The transfers: 1 to BULK_TRANSFERS_MAX of the server, by default 10,000. Every row is checked, and every problem is reported.',
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
    'The bulk that was performed, or the reason why none was. Every member except the first is a UserError.',
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
  description: 'The result that performBulkTransfer would have if nothing changed meanwhile.',
  simpleResolvers: true,
})
export class BulkTransferValidationType {
  @Field(() => Boolean)
  valid!: boolean;

  @Field(() => Int)
  transferCount!: number;

  @Field(() => MoneyType, {
    nullable: true,
    description:
      'Null if an amount is not valid, or if the total is larger than any balance can be.',
  })
  totalAmount!: MoneyType | null;

  @Field(() => MoneyType, {
    nullable: true,
    description:
      'Null if the account or the total is unknown; negative if the balance does not cover the bulk.',
  })
  balanceAfter!: MoneyType | null;

  @Field(() => [TransferProblemType], { description: 'The first 1,000 problems.' })
  problems!: TransferProblemType[];

  @Field(() => UserErrorType, { nullable: true })
  error!: UserErrorType | null;

  request!: BulkTransferRequest;
}
