import type { Rejection } from '../domain/errors.js';
import type { RejectionCode } from '../domain/kinds.js';
import { formatAmount } from '../domain/money.js';
import type { Problem } from '../domain/problem.js';
import {
  AccountBusyType,
  AccountExistsType,
  AccountNotFoundType,
  IdempotencyKeyReusedType,
  InsufficientFundsType,
  InvalidBulkTransferType,
  InvalidInputType,
  OrderNotFoundType,
  OrderStateConflictType,
  TransferProblemType,
  type UserErrorTypes,
  WebhookNotFoundType,
} from '../schema/user-errors.js';
import { make, presentMoney } from './present.js';

/** The largest length of an IBAN by ISO 13616. */
const IBAN_CHARACTERS_MAX = 34;

type Presenters = {
  readonly [Code in RejectionCode]: (rejection: Rejection<Code>) => UserErrorTypes[Code];
};

/** The function that presents each rejection as its type of the API. A code without an entry does not compile. */
const PRESENTERS: Presenters = {
  INVALID_BULK_TRANSFER: ({ code, problems, problemCount }) =>
    make(InvalidBulkTransferType, {
      code,
      message: `The bulk has ${problemCount} ${problemCount === 1 ? 'problem' : 'problems'}; nothing was done.`,
      retryable: false,
      problemCount,
      problems: problems.map(presentProblem),
    }),
  INSUFFICIENT_FUNDS: ({ code, balanceMinor, totalAmountMinor, currency }) =>
    make(InsufficientFundsType, {
      code,
      message: `The balance of ${formatAmount(balanceMinor, currency)} ${currency} does not cover ${formatAmount(totalAmountMinor, currency)} ${currency}.`,
      retryable: true,
      balance: presentMoney(balanceMinor, currency),
      totalAmount: presentMoney(totalAmountMinor, currency),
      shortfall: presentMoney(totalAmountMinor - balanceMinor, currency),
    }),
  ACCOUNT_NOT_FOUND: ({ code, iban }) =>
    make(AccountNotFoundType, {
      code,
      message: 'No account of this server has this IBAN.',
      retryable: false,
      // The client may have sent a text of any length.
      iban: iban.slice(0, IBAN_CHARACTERS_MAX),
    }),
  IDEMPOTENCY_KEY_REUSED: ({ code, bulkTransferId }) =>
    make(IdempotencyKeyReusedType, {
      code,
      message:
        'The idempotency key was used before, for a request with other content. Use a new key.',
      retryable: false,
      bulkTransferId: bulkTransferId ?? null,
    }),
  ACCOUNT_BUSY: ({ code }) =>
    make(AccountBusyType, {
      code,
      message: 'The account is busy; nothing was done. Try again.',
      retryable: true,
    }),
  ACCOUNT_EXISTS: ({ code, accountId }) =>
    make(AccountExistsType, {
      code,
      message: 'An account of this server has this IBAN already.',
      retryable: false,
      accountId,
    }),
  INVALID_INPUT: ({ code, problems }) =>
    make(InvalidInputType, {
      code,
      message: `The input has ${problems.length} ${problems.length === 1 ? 'problem' : 'problems'}; nothing was done.`,
      retryable: false,
      problems: problems.map(presentProblem),
    }),
  WEBHOOK_NOT_FOUND: ({ code }) =>
    make(WebhookNotFoundType, {
      code,
      message: 'The organizations of the caller have no such webhook or delivery.',
      retryable: false,
    }),
  ORDER_NOT_FOUND: ({ code }) =>
    make(OrderNotFoundType, {
      code,
      message: 'The organizations of the caller have no such order.',
      retryable: false,
    }),
  ORDER_STATE_CONFLICT: ({ code, orderId, reason }) =>
    make(OrderStateConflictType, {
      code,
      message: `The order does not allow this now. ${reason}`,
      retryable: false,
      orderId,
    }),
};

export function presentProblem({ index, field, code, message }: Problem): TransferProblemType {
  return make(TransferProblemType, { index: index ?? null, field, code, message });
}

/** Presents a rejection as a member of a mutation's union. */
export function presentRejection<Code extends RejectionCode>(
  rejection: Rejection<Code>,
): UserErrorTypes[Code] {
  return PRESENTERS[rejection.code](rejection);
}
