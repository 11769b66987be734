import { Field, Int, ObjectType, registerEnumType } from 'type-graphql';
import { TRANSFER_WARNING_CODES, type TransferWarningCode } from '../domain/transfer-warnings.js';
import { type Descriptions, enumOf } from './enum.js';

const TransferWarningCodes = enumOf(TRANSFER_WARNING_CODES);

/** The descriptions of the codes, which the warnings about orders have too. */
export const TRANSFER_WARNING_DESCRIPTIONS = {
  DUPLICATE_IN_BULK: {
    description: 'An earlier row has the same payee, amount and description.',
  },
  DUPLICATE_OF_EARLIER: {
    description:
      'A bulk of the last seven days has the same payees, amounts and descriptions, in any order.',
  },
  DUPLICATE_PAYMENT: {
    description:
      'The account paid the same payee the same amount with the same description within the last seven days.',
  },
  NAME_DIFFERS: { description: 'The account paid this IBAN before, but only under other names.' },
  BIC_COUNTRY_DIFFERS: { description: 'The BIC and the IBAN are of different countries.' },
  NATIONAL_CHECK_DIGITS: {
    description: 'The national check digits inside the account number are wrong.',
  },
} satisfies Descriptions<TransferWarningCode>;

registerEnumType(TransferWarningCodes, {
  name: 'TransferWarningCode',
  description: 'The kind of a possible mistake.',
  valuesConfig: TRANSFER_WARNING_DESCRIPTIONS,
});

@ObjectType('TransferWarning', {
  description: 'A possible mistake. A warning never causes a refusal.',
  simpleResolvers: true,
})
export class TransferWarningType {
  @Field(() => Int, { nullable: true, description: 'The row, 0-based; null for the bulk itself.' })
  index!: number | null;

  @Field(() => String, { description: 'The name of the field in the input.' })
  field!: string;

  @Field(() => TransferWarningCodes)
  code!: TransferWarningCode;

  @Field(() => String, { description: 'A sentence for a human reader.' })
  message!: string;

  bulkTransferId!: string | null;
}
