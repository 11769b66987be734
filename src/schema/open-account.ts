import { createUnionType, Field, ID, InputType, ObjectType } from 'type-graphql';
import { AccountType } from './account.js';
import { AccountBusyType, AccountExistsType, InvalidInputType } from './user-errors.js';

@InputType('OpenAccountInput', { description: 'An account to open.' })
export class OpenAccountInput {
  @Field(() => ID, {
    nullable: true,
    description:
      'Id of an organization that has an account already, a UUID in any case. Omit it to create an organization.',
  })
  organizationId?: string | null;

  @Field(() => String, {
    description:
      'Name of the organization: 1 to 140 characters. If organizationId is given, it must be the name of that organization.',
  })
  organizationName!: string;

  @Field(() => String, {
    description: 'The IBAN of the new account; in any case, with or without spaces.',
  })
  iban!: string;

  @Field(() => String, { description: "BIC of the account's bank (ISO 9362): 8 or 11 characters." })
  bic!: string;

  @Field(() => String, {
    nullable: true,
    defaultValue: 'EUR',
    description: 'ISO 4217. The currency of an account never changes.',
  })
  currency?: string | null;

  @Field(() => String, {
    nullable: true,
    defaultValue: '0',
    description: 'In major units, 0 or more: "14.5". It becomes the first ledger entry.',
  })
  openingBalance?: string | null;
}

@ObjectType('AccountOpened', { description: 'The account was opened.', simpleResolvers: true })
export class AccountOpenedType {
  @Field(() => AccountType)
  account!: AccountType;
}

export const OpenAccountResult = createUnionType({
  name: 'OpenAccountResult',
  description: 'The account that was opened, or the reason why none was.',
  types: () => [AccountOpenedType, InvalidInputType, AccountExistsType, AccountBusyType] as const,
});
