import { Field, InputType, Int, ObjectType } from 'type-graphql';
import { MoneyType } from './money.js';
import { NodeType } from './node.js';
import { connectionOf } from './page.js';
import { Bic, DateTime, Iban } from './scalars.js';

@ObjectType('Transfer', {
  implements: NodeType,
  description: 'One credit transfer of a bulk. It never changes.',
  simpleResolvers: true,
})
export class TransferType extends NodeType {
  accountId!: string;

  bulkTransferId!: string;

  @Field(() => Int, { description: '0-based position in the bulk.' })
  index!: number;

  @Field(() => MoneyType)
  amount!: MoneyType;

  @Field(() => String)
  counterpartyName!: string;

  @Field(() => Iban)
  counterpartyIban!: string;

  @Field(() => Bic, { nullable: true })
  counterpartyBic!: string | null;

  @Field(() => String)
  description!: string;

  @Field(() => String, { nullable: true })
  endToEndId!: string | null;

  @Field(() => DateTime)
  createdAt!: Date;
}

export const TransferConnection = connectionOf('Transfer', TransferType);

@InputType('TransferFilter', {
  description: 'A filter for transfers. A transfer must meet every condition that is given.',
})
export class TransferFilterInput {
  @Field(() => String, {
    nullable: true,
    description: 'The counterparty with this IBAN; in any case, with or without spaces.',
  })
  counterpartyIban?: string | null;

  @Field(() => String, {
    nullable: true,
    description: 'Counterparties whose name begins with this text; case does not matter.',
  })
  counterpartyName?: string | null;

  @Field(() => String, {
    nullable: true,
    description: 'Smallest amount, in major units: "14.50".',
  })
  minAmount?: string | null;

  @Field(() => String, {
    nullable: true,
    description: 'Largest amount, in major units: "14.50".',
  })
  maxAmount?: string | null;

  @Field(() => DateTime, { nullable: true, description: 'Recorded at this moment or later.' })
  from?: Date | null;

  @Field(() => DateTime, { nullable: true, description: 'Recorded before this moment.' })
  to?: Date | null;

  @Field(() => String, {
    nullable: true,
    description: 'The transfer with exactly this end-to-end id.',
  })
  endToEndId?: string | null;
}
