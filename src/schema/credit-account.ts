import { createUnionType, Field, InputType, ObjectType } from 'type-graphql';
import { AccountType } from './account.js';
import { LedgerEntryType } from './ledger-entry.js';
import {
  AccountBusyType,
  AccountNotFoundType,
  IdempotencyKeyReusedType,
  InvalidInputType,
} from './user-errors.js';

@InputType('CreditAccountInput', { description: 'Money from outside.' })
export class CreditAccountInput {
  @Field(() => String, {
    nullable: true,
    description: '1 to 255 printable ASCII characters; apart from the keys of bulks.',
  })
  idempotencyKey?: string | null;

  @Field(() => String)
  iban!: string;

  @Field(() => String, { description: 'In major units, positive: "14.5".' })
  amount!: string;

  @Field(() => String, { nullable: true, defaultValue: 'EUR', description: "The account's." })
  currency?: string | null;

  @Field(() => String, { description: '0 to 140 characters.' })
  description!: string;
}

@ObjectType('AccountCredited', { description: 'The balance has grown.', simpleResolvers: true })
export class AccountCreditedType {
  @Field(() => AccountType)
  account!: AccountType;

  @Field(() => LedgerEntryType)
  entry!: LedgerEntryType;

  @Field(() => Boolean, {
    description: 'Whether an earlier request with the same key had made the credit.',
  })
  replayed!: boolean;
}

export const CreditAccountResult = createUnionType({
  name: 'CreditAccountResult',
  types: () =>
    [
      AccountCreditedType,
      InvalidInputType,
      AccountNotFoundType,
      IdempotencyKeyReusedType,
      AccountBusyType,
    ] as const,
});
