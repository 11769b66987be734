import { createUnionType, Field, ID, InputType, ObjectType } from 'type-graphql';
import { AccountType } from './account.js';
import { AccountBusyType, AccountExistsType, InvalidInputType } from './user-errors.js';

@InputType('OpenAccountInput', { description: 'An account to open.' })
export class OpenAccountInput {
  @Field(() => ID, {
    nullable: true,
    description: 'Of an organization that has accounts already; absent: a new organization.',
  })
  organizationId?: string | null;

  @Field(() => String, { description: '1 to 140 characters.' })
  organizationName!: string;

  @Field(() => String)
  iban!: string;

  @Field(() => String)
  bic!: string;

  @Field(() => String, { nullable: true, defaultValue: 'EUR' })
  currency?: string | null;

  @Field(() => String, { nullable: true, defaultValue: '0', description: 'In major units.' })
  openingBalance?: string | null;
}

@ObjectType('AccountOpened', { description: 'The account exists now.', simpleResolvers: true })
export class AccountOpenedType {
  @Field(() => AccountType)
  account!: AccountType;
}

export const OpenAccountResult = createUnionType({
  name: 'OpenAccountResult',
  types: () => [AccountOpenedType, InvalidInputType, AccountExistsType, AccountBusyType] as const,
});
