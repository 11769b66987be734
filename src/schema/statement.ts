import { Field, Int, ObjectType } from 'type-graphql';
import { AccountType } from './account.js';
import { MoneyType } from './money.js';
import { CalendarDate } from './scalars.js';

@ObjectType('Statement', {
  description: 'The balances, totals and entries of an account for a range of days in UTC.',
  simpleResolvers: true,
})
export class StatementType {
  /** The sequences by which the entries of the statement are read. */
  within!: { readonly first: bigint; readonly last: bigint };
  /** The totals of the entries, after the first field has requested them. */
  totals?: Promise<{ readonly debitsMinor: bigint; readonly creditsMinor: bigint }>;

  @Field(() => AccountType)
  account!: AccountType;

  @Field(() => CalendarDate, { description: 'The first day.' })
  from!: string;

  @Field(() => CalendarDate, { description: 'The last day, included.' })
  to!: string;

  @Field(() => MoneyType)
  openingBalance!: MoneyType;

  @Field(() => MoneyType, { description: 'openingBalance + totalCredits - totalDebits, always.' })
  closingBalance!: MoneyType;

  @Field(() => Int)
  entryCount!: number;
}
