import { createUnionType, Field, InputType, ObjectType, registerEnumType } from 'type-graphql';
import { ORDER_FILE_FORMATS, type OrderFileFormat } from '../domain/order-file.js';
import { type Descriptions, enumOf } from './enum.js';
import { BulkTransferOrderType } from './order.js';
import { AccountNotFoundType, InvalidInputType } from './user-errors.js';

const Format = enumOf(ORDER_FILE_FORMATS);

registerEnumType(Format, {
  name: 'ImportFormat',
  description: 'The format of a file of transfers.',
  valuesConfig: {
    CSV: { description: 'A table with a header; see docs/files.md for the columns.' },
    PAIN_001: { description: 'pain.001.001.09 or pain.001.001.03 of ISO 20022.' },
  } satisfies Descriptions<OrderFileFormat>,
});

@InputType('ImportOrderInput', { description: 'A file of transfers.' })
export class ImportOrderInput {
  @Field(() => String, {
    nullable: true,
    description: "IBAN of the account to debit. The file's own if absent; a CSV file has none.",
  })
  organizationIban?: string | null;

  @Field(() => Format, { description: 'The format of the file.' })
  format!: OrderFileFormat;

  @Field(() => String, { description: 'The text of the file.' })
  content!: string;

  @Field(() => String, {
    nullable: true,
    description: 'The name of the file: 1 to 255 characters.',
  })
  fileName?: string | null;
}

@ObjectType('OrdersImported', {
  description: 'The drafts that a file became.',
  simpleResolvers: true,
})
export class OrdersImportedType {
  @Field(() => [BulkTransferOrderType], {
    description: 'The drafts in the order of the file: one of a CSV file, one for each PmtInf.',
  })
  orders!: BulkTransferOrderType[];
}

export const ImportOrderResult = createUnionType({
  name: 'ImportOrderResult',
  description: 'The drafts, or the reason why nothing was done.',
  types: () => [OrdersImportedType, InvalidInputType, AccountNotFoundType] as const,
});
