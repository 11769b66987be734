import { createUnionType, Field, InputType, Int, ObjectType, registerEnumType } from 'type-graphql';
import {
  ORDER_PHASES,
  ORDER_SOURCES,
  ORDER_STATUSES,
  type OrderPhase,
  type OrderSource,
  type OrderStatus,
} from '../domain/kinds.js';
import type { OrderFailure } from '../domain/order.js';
import {
  type FileProblem,
  type FileWarning,
  ORDER_WARNING_CODES,
  type OrderWarningCode,
} from '../domain/order-warnings.js';
import { type Descriptions, enumOf } from './enum.js';
import { MoneyType } from './money.js';
import { NodeType } from './node.js';
import { connectionOf } from './page.js';
import { CalendarDate, DateTime } from './scalars.js';
import { TRANSFER_WARNING_DESCRIPTIONS } from './transfer-warning.js';
import {
  AccountNotFoundType,
  InvalidInputType,
  OrderNotFoundType,
  OrderStateConflictType,
  ProblemCode,
} from './user-errors.js';

const Status = enumOf(ORDER_STATUSES);

registerEnumType(Status, {
  name: 'OrderStatus',
  description:
    'The state of an order. More states may follow: treat one that you do not know as not yet performed.',
  valuesConfig: {
    DRAFT: { description: 'The rows may change. It expires if nobody changes it.' },
    SUBMITTED: { description: 'A server performs it, now or soon.' },
    PERFORMED: { description: 'All of its bulks are performed.' },
    FAILED: {
      description:
        'It was refused as a whole: see failure. It may be corrected and submitted again.',
    },
    CANCELLED: { description: 'It will not be performed.' },
    EXPIRED: { description: 'Nobody changed it in time. It will not be performed.' },
  } satisfies Descriptions<OrderStatus>,
});

const Source = enumOf(ORDER_SOURCES);

registerEnumType(Source, {
  name: 'OrderSource',
  description: 'Where the rows of an order come from.',
  valuesConfig: {
    API: { description: 'addOrderRows.' },
    CSV: { description: 'A CSV file.' },
    PAIN_001: { description: 'A pain.001 file of ISO 20022.' },
  } satisfies Descriptions<OrderSource>,
});

const Phase = enumOf(ORDER_PHASES);

registerEnumType(Phase, {
  name: 'OrderPhase',
  description: 'What is being done for an order.',
  valuesConfig: {
    READING: { description: 'Its file is being read.' },
    CHECKING: { description: 'Its rows are being read and checked.' },
    WAITING: { description: 'It waits for a server or for its account.' },
    WRITING: { description: 'Its transfers are being recorded. None is visible before all are.' },
    DONE: { description: 'Nothing.' },
  } satisfies Descriptions<OrderPhase>,
});

@ObjectType('OrderProblem', {
  description: 'A problem of an order: of one of its rows, of its file or of the order itself.',
  simpleResolvers: true,
})
export class OrderProblemType {
  @Field(() => Int, { nullable: true, description: 'The row; null for the order or its file.' })
  row!: number | null;

  @Field(() => Int, { nullable: true, description: 'The line of the file, from 1.' })
  line!: number | null;

  @Field(() => String, { nullable: true, description: 'The name of the column in the file.' })
  column!: string | null;

  @Field(() => String, { description: 'The name of the field in CreditTransferInput.' })
  field!: string;

  @Field(() => ProblemCode)
  code!: keyof typeof ProblemCode;

  @Field(() => String, { description: 'A sentence for a human reader; it quotes the value.' })
  message!: string;

  @Field(() => String, { nullable: true, description: 'The value as it was sent.' })
  value!: string | null;
}

export const OrderProblemConnection = connectionOf('OrderProblem', OrderProblemType);
const WarningCode = enumOf(ORDER_WARNING_CODES);

registerEnumType(WarningCode, {
  name: 'OrderWarningCode',
  description: 'The kind of a possible mistake in an order.',
  valuesConfig: {
    ...TRANSFER_WARNING_DESCRIPTIONS,
    FORMAT_OUTDATED: {
      description: 'The file is pain.001.001.03, which banks no longer take.',
    },
    EXECUTION_DATE_KEPT: {
      description:
        'The file asks for another day than today. The order is performed when it is submitted.',
    },
    UNSTRUCTURED_ADDRESS: {
      description: 'The file has addresses without a town and a country, which banks refuse.',
    },
    SAME_FILE: { description: 'The same file was imported before: see order.' },
    NOT_SEPA: {
      description: 'The value breaks a rule of SEPA. With BANK_RULES=sepa, it is a problem.',
    },
  } satisfies Descriptions<OrderWarningCode>,
});

@ObjectType('OrderWarning', {
  description: 'A possible mistake in an order. A warning never causes a refusal.',
  simpleResolvers: true,
})
export class OrderWarningType {
  @Field(() => Int, { nullable: true, description: 'The row; null for the order or its file.' })
  row!: number | null;

  @Field(() => Int, { nullable: true, description: 'The line of the file, from 1.' })
  line!: number | null;

  @Field(() => String, { nullable: true, description: 'The name of the column in the file.' })
  column!: string | null;

  @Field(() => String, { description: 'The name of the field in CreditTransferInput.' })
  field!: string;

  @Field(() => WarningCode)
  code!: OrderWarningCode;

  @Field(() => String, { description: 'A sentence for a human reader.' })
  message!: string;

  @Field(() => String, { nullable: true, description: 'The value as it was sent.' })
  value!: string | null;

  bulkTransferId!: string | null;
  orderId!: string | null;
}

export const OrderWarningConnection = connectionOf('OrderWarning', OrderWarningType);

@ObjectType('OrderRow', {
  description: 'A row of an order, as it was sent.',
  simpleResolvers: true,
})
export class OrderRowType {
  @Field(() => Int, {
    description:
      'The number of the row, from 0: 10,000 times its chunk, and its index in the chunk. It stays the same when other rows are removed.',
  })
  row!: number;

  @Field(() => Int, { nullable: true, description: 'The line of the file, from 1.' })
  line!: number | null;

  @Field(() => String, { nullable: true })
  amount!: string | null;

  @Field(() => String, { nullable: true })
  currency!: string | null;

  @Field(() => String, { nullable: true })
  counterpartyName!: string | null;

  @Field(() => String, { nullable: true })
  counterpartyIban!: string | null;

  @Field(() => String, { nullable: true })
  counterpartyBic!: string | null;

  @Field(() => String, { nullable: true })
  description!: string | null;

  @Field(() => String, { nullable: true })
  endToEndId!: string | null;

  @Field(() => [OrderProblemType])
  problems!: OrderProblemType[];
}

export const OrderRowConnection = connectionOf('OrderRow', OrderRowType);

@ObjectType('BulkTransferOrder', {
  implements: NodeType,
  description:
    'Rows that are kept and corrected until they are performed together: as one bulk, or as several if there are more rows than one bulk may have.',
  simpleResolvers: true,
})
export class BulkTransferOrderType extends NodeType {
  @Field(() => String, { nullable: true })
  name!: string | null;

  @Field(() => Status)
  status!: OrderStatus;

  @Field(() => Source)
  source!: OrderSource;

  @Field(() => String, { nullable: true })
  fileName!: string | null;

  @Field(() => CalendarDate, {
    nullable: true,
    description:
      'The day on which its file asks to execute it. The order is performed when it is submitted.',
  })
  executionDate!: string | null;

  @Field(() => Int)
  rowCount!: number;

  @Field(() => Int, {
    description: 'The number of problems. An order with problems is not submitted.',
  })
  problemCount!: number;

  @Field(() => MoneyType, {
    nullable: true,
    description: 'The sum of all rows; null if an amount cannot be read.',
  })
  totalAmount!: MoneyType | null;

  @Field(() => String)
  createdBy!: string;

  @Field(() => String, { nullable: true })
  submittedBy!: string | null;

  @Field(() => DateTime)
  createdAt!: Date;

  @Field(() => DateTime, { nullable: true })
  submittedAt!: Date | null;

  @Field(() => DateTime, { nullable: true })
  performedAt!: Date | null;

  @Field(() => DateTime, {
    nullable: true,
    description: 'The time at which the order expires unless it is changed; null if it does not.',
  })
  expiresAt!: Date | null;

  accountId!: string;
  currency!: string;
  totalMinor!: bigint | null;
  fileProblems!: readonly FileProblem[];
  fileWarnings!: readonly FileWarning[];
  bulkKeys!: readonly string[];
  rejection!: OrderFailure | undefined;
}

export const BulkTransferOrderConnection = connectionOf('BulkTransferOrder', BulkTransferOrderType);

@ObjectType('OrderProgress', {
  description: 'An order, and how far the work on it is.',
  simpleResolvers: true,
})
export class OrderProgressType {
  @Field(() => BulkTransferOrderType)
  order!: BulkTransferOrderType;

  @Field(() => Phase)
  phase!: OrderPhase;

  @Field(() => Int, { description: 'The number of rows that are done in the phase.' })
  rowsDone!: number;

  @Field(() => Int, {
    nullable: true,
    description: 'The number of rows; null while a file is being read.',
  })
  rowsTotal!: number | null;
}

@InputType('OrderFilter', { description: 'The orders of a list. An absent field excludes none.' })
export class OrderFilter {
  @Field(() => String, {
    nullable: true,
    description: 'IBAN of the account, in any case, with or without spaces.',
  })
  accountIban?: string | null;

  @Field(() => [Status], { nullable: true, description: 'Only orders in one of these states.' })
  statuses?: OrderStatus[] | null;
}

@InputType('CreateOrderInput', { description: 'An order to create.' })
export class CreateOrderInput {
  @Field(() => String, {
    description: 'IBAN of the account to debit, in any case, with or without spaces.',
  })
  organizationIban!: string;

  @Field(() => String, { nullable: true, description: 'The purpose: 1 to 140 characters.' })
  name?: string | null;
}

export const OrderResult = createUnionType({
  name: 'OrderResult',
  description: 'The order, or the reason why nothing was done.',
  types: () =>
    [
      BulkTransferOrderType,
      InvalidInputType,
      AccountNotFoundType,
      OrderNotFoundType,
      OrderStateConflictType,
    ] as const,
});

/** The id of an order, as clients send it. */
export const ORDER_ID = 'The value of BulkTransferOrder.id, a UUID in any case.';
