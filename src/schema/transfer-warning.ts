import { Field, Int, ObjectType, registerEnumType } from 'type-graphql';
import { TRANSFER_WARNING_CODES, type TransferWarningCode } from '../domain/transfer-warnings.js';
import { type Descriptions, enumOf } from './enum.js';

const TransferWarningCodes = enumOf(TRANSFER_WARNING_CODES);

registerEnumType(TransferWarningCodes, {
  name: 'TransferWarningCode',
  description: 'What may be a mistake.',
  valuesConfig: {
    DUPLICATE_IN_BULK: {
      description: 'An earlier row has the same payee, amount and description.',
    },
    DUPLICATE_OF_EARLIER: {
      description:
        'A bulk of the last seven days has the same payees, amounts and descriptions, in any order.',
    },
    NAME_DIFFERS: { description: 'The account paid the IBAN before, and under other names alone.' },
    BIC_COUNTRY_DIFFERS: { description: 'The BIC is of another country than the IBAN.' },
    NATIONAL_CHECK_DIGITS: {
      description: 'Check digits that the country has inside the account number are wrong.',
    },
  } satisfies Descriptions<TransferWarningCode>,
});

@ObjectType('TransferWarning', {
  description: 'Something that may be a mistake. Nothing is refused for it.',
  simpleResolvers: true,
})
export class TransferWarningType {
  @Field(() => Int, { nullable: true, description: 'The row, 0-based; null for the bulk itself.' })
  index!: number | null;

  @Field(() => String, { description: "The input's field name." })
  field!: string;

  @Field(() => TransferWarningCodes)
  code!: TransferWarningCode;

  @Field(() => String, { description: 'A sentence for a person.' })
  message!: string;

  bulkTransferId!: string | null;
}
