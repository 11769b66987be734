import { Field, ID, ObjectType } from 'type-graphql';
import { MoneyType } from './money.js';
import { NodeType } from './node.js';
import { connectionOf } from './page.js';
import { Bic, Currency, DateTime, Iban, Int64 } from './scalars.js';

@ObjectType('Account', {
  implements: NodeType,
  description: 'An account of an organization. Bulk transfers debit it.',
  simpleResolvers: true,
})
export class AccountType extends NodeType {
  @Field(() => ID, { description: 'Id of the organization that owns the account.' })
  organizationId!: string;

  @Field(() => String)
  organizationName!: string;

  @Field(() => Iban)
  iban!: string;

  @Field(() => Bic)
  bic!: string;

  @Field(() => Currency)
  currency!: string;

  @Field(() => MoneyType, { description: 'The balance is never negative.' })
  balance!: MoneyType;

  @Field(() => Int64, {
    description: 'Number of the last ledger entry: the version of the balance.',
  })
  sequence!: bigint;

  @Field(() => DateTime)
  createdAt!: Date;
}

export const AccountConnection = connectionOf('Account', AccountType);
