import { Field, ObjectType } from 'type-graphql';
import { Currency, Decimal, Int64 } from './scalars.js';

@ObjectType('Money', { description: 'An amount of money, exact.', simpleResolvers: true })
export class MoneyType {
  @Field(() => Decimal, { description: 'In major units: "14.50".' })
  amount!: string;

  @Field(() => Int64, { description: 'In minor units: "1450".' })
  minorUnits!: bigint;

  @Field(() => Currency)
  currency!: string;
}
