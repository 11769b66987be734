import { Field, Int, InterfaceType, ObjectType, registerEnumType } from 'type-graphql';
import { REJECTION_CODES, type RejectionCode } from '../domain/kinds.js';
import { PROBLEM_CODES } from '../domain/problem.js';
import { enumOf } from './enum.js';
import { MoneyType } from './money.js';

const ErrorCode = enumOf(REJECTION_CODES);
export const ProblemCode = enumOf(PROBLEM_CODES);

registerEnumType(ErrorCode, {
  name: 'ErrorCode',
  description: 'The reason why a mutation did nothing.',
});
registerEnumType(ProblemCode, {
  name: 'ProblemCode',
  description: 'The kind of a problem of a value.',
  valuesConfig: {
    TOO_FEW: { description: 'A bulk without transfers.' },
    TOO_MANY: { description: 'More transfers than one bulk may have.' },
    CURRENCY_MISMATCH: { description: 'A currency other than the currency of the account.' },
    INVALID_CHARACTERS: {
      description:
        'Control characters, lone surrogates, noncharacters, line separators, and characters that change the direction of writing.',
    },
    DUPLICATE: { description: 'The end-to-end id of an earlier row.' },
    SAME_ACCOUNT: { description: 'The counterparty is the account that is debited.' },
    MISMATCH: { description: 'A value other than the value of the account.' },
    UNREADABLE_FILE: {
      description: 'A file that cannot be read as the format that it should have.',
    },
    MISSING_COLUMN: { description: 'A file without a column that every row needs.' },
    DUPLICATE_COLUMN: { description: 'A file with two columns for the same value.' },
    CELL_COUNT_MISMATCH: { description: 'A row with more or fewer cells than the header.' },
    AMBIGUOUS_AMOUNTS: {
      description:
        'A file whose amounts can be read in two ways: with a decimal point or with a decimal comma.',
    },
    SPREADSHEET_NUMBER: {
      description: 'A number such as 8.9E+19: a spreadsheet has replaced the value that was there.',
    },
    ROW_COUNT_MISMATCH: {
      description: 'A number of transactions in the file that is not the number of its rows.',
    },
    CONTROL_SUM_MISMATCH: {
      description: 'A control sum in the file that is not the sum of its amounts.',
    },
    INVALID_DATE: { description: 'A value that is not a date.' },
    UNSUPPORTED: {
      description:
        'A part of a file that this server does not perform, such as an account without an IBAN.',
    },
  },
});

@InterfaceType('UserError', {
  description: 'An outcome other than the requested one. Nothing was done.',
})
export abstract class UserErrorType {
  /** Each type below narrows the code, so the compiler can tell the types apart. */
  @Field(() => ErrorCode)
  code!: RejectionCode;

  @Field(() => String, { description: 'A sentence for a human reader.' })
  message!: string;

  @Field(() => Boolean, { description: 'Whether the same request may succeed later.' })
  retryable!: boolean;
}

@ObjectType('TransferProblem', {
  description: 'One problem of a request.',
  simpleResolvers: true,
})
export class TransferProblemType {
  @Field(() => Int, {
    nullable: true,
    description: 'The row, 0-based; null if the problem concerns the whole request.',
  })
  index!: number | null;

  @Field(() => String, { description: 'The name of the field in the input.' })
  field!: string;

  @Field(() => ProblemCode)
  code!: keyof typeof ProblemCode;

  @Field(() => String, { description: 'A sentence for a human reader; it quotes the value.' })
  message!: string;
}

@ObjectType('InvalidBulkTransfer', {
  implements: UserErrorType,
  description: 'The bulk has problems. All of its rows were checked.',
  simpleResolvers: true,
})
export class InvalidBulkTransferType extends UserErrorType {
  declare code: 'INVALID_BULK_TRANSFER';

  @Field(() => Int, { description: 'Number of all problems.' })
  problemCount!: number;

  @Field(() => [TransferProblemType], { description: 'The first 1,000 problems.' })
  problems!: TransferProblemType[];
}

@ObjectType('InsufficientFunds', {
  implements: UserErrorType,
  description: 'The balance does not cover the bulk.',
  simpleResolvers: true,
})
export class InsufficientFundsType extends UserErrorType {
  declare code: 'INSUFFICIENT_FUNDS';

  @Field(() => MoneyType)
  balance!: MoneyType;

  @Field(() => MoneyType)
  totalAmount!: MoneyType;

  @Field(() => MoneyType, { description: 'The missing amount: totalAmount - balance.' })
  shortfall!: MoneyType;
}

@ObjectType('AccountNotFound', {
  implements: UserErrorType,
  description: 'No account of this server has this IBAN.',
  simpleResolvers: true,
})
export class AccountNotFoundType extends UserErrorType {
  declare code: 'ACCOUNT_NOT_FOUND';

  @Field(() => String)
  iban!: string;
}

@ObjectType('IdempotencyKeyReused', {
  implements: UserErrorType,
  description: 'The idempotency key was used before, for a request with other content.',
  simpleResolvers: true,
})
export class IdempotencyKeyReusedType extends UserErrorType {
  declare code: 'IDEMPOTENCY_KEY_REUSED';

  bulkTransferId!: string | null;
}

@ObjectType('AccountBusy', {
  implements: UserErrorType,
  description:
    'The account lock was not acquired in time, or the server is overloaded. Send the same request again.',
  simpleResolvers: true,
})
export class AccountBusyType extends UserErrorType {
  declare code: 'ACCOUNT_BUSY';
}

@ObjectType('AccountExists', {
  implements: UserErrorType,
  description: 'An account of this server has this IBAN already.',
  simpleResolvers: true,
})
export class AccountExistsType extends UserErrorType {
  declare code: 'ACCOUNT_EXISTS';

  accountId!: string;
}

@ObjectType('InvalidInput', {
  implements: UserErrorType,
  description: 'The input has problems. All of its fields were checked.',
  simpleResolvers: true,
})
export class InvalidInputType extends UserErrorType {
  declare code: 'INVALID_INPUT';

  @Field(() => [TransferProblemType])
  problems!: TransferProblemType[];
}

@ObjectType('WebhookNotFound', {
  implements: UserErrorType,
  description: "No webhook of the caller's organizations has this id, or has a delivery with it.",
  simpleResolvers: true,
})
export class WebhookNotFoundType extends UserErrorType {
  declare code: 'WEBHOOK_NOT_FOUND';
}

@ObjectType('OrderNotFound', {
  implements: UserErrorType,
  description: "No order of the caller's organizations has this id.",
  simpleResolvers: true,
})
export class OrderNotFoundType extends UserErrorType {
  declare code: 'ORDER_NOT_FOUND';
}

@ObjectType('OrderStateConflict', {
  implements: UserErrorType,
  description: 'The state of the order does not allow the change.',
  simpleResolvers: true,
})
export class OrderStateConflictType extends UserErrorType {
  declare code: 'ORDER_STATE_CONFLICT';

  orderId!: string;
}

/** The type of each rejection. A code without a type does not compile where rejections are presented. */
export interface UserErrorTypes {
  INVALID_BULK_TRANSFER: InvalidBulkTransferType;
  INSUFFICIENT_FUNDS: InsufficientFundsType;
  ACCOUNT_NOT_FOUND: AccountNotFoundType;
  IDEMPOTENCY_KEY_REUSED: IdempotencyKeyReusedType;
  ACCOUNT_BUSY: AccountBusyType;
  ACCOUNT_EXISTS: AccountExistsType;
  INVALID_INPUT: InvalidInputType;
  WEBHOOK_NOT_FOUND: WebhookNotFoundType;
  ORDER_NOT_FOUND: OrderNotFoundType;
  ORDER_STATE_CONFLICT: OrderStateConflictType;
}
