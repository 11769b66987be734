import { createUnionType, Field, InputType, ObjectType } from 'type-graphql';
import { AccountType } from './account.js';
import { LedgerEntryType } from './ledger-entry.js';
import {
  AccountBusyType,
  AccountNotFoundType,
  IdempotencyKeyReusedType,
  InvalidInputType,
} from './user-errors.js';

@InputType('CreditAccountInput', {
  description: 'Money from outside, and the account that receives it.',
})
export class CreditAccountInput {
  @Field(() => String, {
    nullable: true,
    description:
      '1 to 255 printable ASCII characters, unique among the credits of the account; keys of bulks are separate. The same key with the same content gets the first answer again; with other content, IdempotencyKeyReused.',
  })
  idempotencyKey?: string | null;

  @Field(() => String, { description: 'IBAN of the account; in any case, with or without spaces.' })
  iban!: string;

  @Field(() => String, {
    description:
      'In major units, positive, with at most the fraction digits of the currency: "14.5". At most nine digits before the point.',
  })
  amount!: string;

  @Field(() => String, {
    nullable: true,
    defaultValue: 'EUR',
    description: 'The currency of the account, ISO 4217.',
  })
  currency?: string | null;

  @Field(() => String, { description: 'Description of the ledger entry: 0 to 140 characters.' })
  description!: string;
}

@ObjectType('AccountCredited', { description: 'The account was credited.', simpleResolvers: true })
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
  description: 'The credit, or the reason why there is none.',
  types: () =>
    [
      AccountCreditedType,
      InvalidInputType,
      AccountNotFoundType,
      IdempotencyKeyReusedType,
      AccountBusyType,
    ] as const,
});
