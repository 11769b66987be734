import { createUnionType, Field, ID, InputType, ObjectType, registerEnumType } from 'type-graphql';
import { EXPORT_KINDS, type ExportKind } from '../domain/kinds.js';
import { type Descriptions, enumOf } from './enum.js';
import { CalendarDate, DateTime } from './scalars.js';
import { AccountNotFoundType, InvalidInputType, OrderNotFoundType } from './user-errors.js';

const Kind = enumOf(EXPORT_KINDS);

registerEnumType(Kind, {
  name: 'ExportKind',
  description: 'The kind of an exported file.',
  valuesConfig: {
    STATEMENT_CAMT_053: {
      description: 'The statement of an account as camt.053.001.08 of ISO 20022.',
    },
    STATEMENT_CSV: { description: 'The statement of an account as CSV.' },
    STATUS_PAIN_002: {
      description: 'The status of each transfer of a bulk or an order, as pain.002.001.10.',
    },
    TRANSFERS_CSV: {
      description:
        'The transfers of a bulk or an order as CSV, with the problems of each row, to correct and to send again.',
    },
    RECEIPT_HTML: { description: 'A receipt of a bulk or an order, to print.' },
  } satisfies Descriptions<ExportKind>,
});

@InputType('CreateExportInput', {
  description:
    'A file to export. Exactly one of accountIban, bulkTransferId and orderId names what it is about.',
})
export class CreateExportInput {
  @Field(() => String, {
    nullable: true,
    description: 'IBAN of the account of a statement, in any case, with or without spaces.',
  })
  accountIban?: string | null;

  @Field(() => ID, { nullable: true, description: 'The value of BulkTransfer.id.' })
  bulkTransferId?: string | null;

  @Field(() => ID, { nullable: true, description: 'The value of BulkTransferOrder.id.' })
  orderId?: string | null;

  @Field(() => Kind, { description: 'The kind, which must fit what the file is about.' })
  kind!: ExportKind;

  @Field(() => CalendarDate, {
    nullable: true,
    description: 'The first day of a statement; only a statement has days.',
  })
  from?: string | null;

  @Field(() => CalendarDate, {
    nullable: true,
    description: 'The last day of a statement, included.',
  })
  to?: string | null;

  @Field(() => String, {
    nullable: true,
    description: 'The time zone of the days, by its name of IANA: Europe/Berlin. UTC if absent.',
  })
  timeZone?: string | null;
}

@ObjectType('ExportReady', {
  description: 'A link to a file, which needs no token.',
  simpleResolvers: true,
})
export class ExportReadyType {
  @Field(() => String, {
    description:
      'The address of the file, from the root of this server. It gives exactly this file, to everybody who has it.',
  })
  url!: string;

  @Field(() => DateTime, { description: 'The time at which the link expires: in ten minutes.' })
  expiresAt!: Date;
}

export const CreateExportResult = createUnionType({
  name: 'CreateExportResult',
  description: 'The link to the file, or the reason why there is none.',
  types: () => [ExportReadyType, InvalidInputType, AccountNotFoundType, OrderNotFoundType] as const,
});
