import { type BulkTransferRequest, CURRENCY_DEFAULT } from '../domain/bulk-transfer.js';
import type { Caller } from '../domain/caller.js';
import { DomainError, type Rejection } from '../domain/errors.js';
import { normaliseIban } from '../domain/iban.js';
import { bookCreditsOf } from '../domain/postings.js';
import type { Problem } from '../domain/problem.js';
import type { BulkTransferPorts } from './perform-bulk-transfer.js';
import { prepareBulkTransfer } from './prepare-bulk-transfer.js';
import { invalidBulkTransfer, receivableProblems } from './receivable.js';

/** What performing a request would come to, were nothing to change meanwhile. Money is in minor units. */
export interface BulkTransferValidation {
  readonly transferCount: number;
  readonly currency: string | undefined;
  readonly totalAmountMinor: bigint | undefined;
  /** Negative where funds are short. */
  readonly balanceAfterMinor: bigint | undefined;
  readonly problems: readonly Problem[];
  readonly rejection: Rejection | undefined;
}

/** The dry run of performBulkTransfer: the same checks by the same code, nothing kept. */
export type ValidateBulkTransfer = (
  request: BulkTransferRequest,
  caller: Caller,
) => Promise<BulkTransferValidation>;

export function makeValidateBulkTransfer(
  ports: Pick<BulkTransferPorts, 'reader' | 'rules'>,
): ValidateBulkTransfer {
  return async (request, caller) => {
    const transferCount = request.creditTransfers.length;
    try {
      return { transferCount, ...(await judge(request, caller, ports)) };
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      return {
        transferCount,
        currency: undefined,
        totalAmountMinor: undefined,
        balanceAfterMinor: undefined,
        problems: [],
        rejection: error.rejection,
      };
    }
  };
}

async function judge(
  request: BulkTransferRequest,
  caller: Caller,
  { reader, rules }: Pick<BulkTransferPorts, 'reader' | 'rules'>,
): Promise<Omit<BulkTransferValidation, 'transferCount'>> {
  const { accounts, debtor, performed, reading } = await prepareBulkTransfer(
    request,
    caller,
    reader,
    rules,
  );
  if (performed) {
    return {
      currency: performed.currency,
      totalAmountMinor: performed.totalAmountMinor,
      balanceAfterMinor: performed.balanceAfterMinor,
      problems: [],
      rejection: undefined,
    };
  }
  const { problems, problemCount, totalAmountMinor } = reading;
  const currency = debtor?.currency ?? request.creditTransfers[0]?.currency ?? CURRENCY_DEFAULT;
  const outcome = { currency, totalAmountMinor, problems };
  const invalid: Rejection | undefined =
    problemCount > 0 ? { code: 'INVALID_BULK_TRANSFER', problems, problemCount } : undefined;
  if (!debtor) {
    const iban = normaliseIban(request.organizationIban);
    const rejection = invalid ?? ({ code: 'ACCOUNT_NOT_FOUND', iban } as const);
    return { ...outcome, balanceAfterMinor: undefined, rejection };
  }
  if (totalAmountMinor === undefined) {
    return { ...outcome, balanceAfterMinor: undefined, rejection: invalid };
  }
  const balanceAfterMinor = debtor.balanceMinor - totalAmountMinor;
  if (invalid) return { ...outcome, balanceAfterMinor, rejection: invalid };
  const { transfers } = reading;
  const credits = bookCreditsOf(transfers, debtor.organizationName);
  const full = receivableProblems(transfers, credits, [...accounts.values()]);
  if (!debtor.covers(totalAmountMinor)) {
    const { balanceMinor, currency } = debtor;
    const rejection = {
      code: 'INSUFFICIENT_FUNDS',
      balanceMinor,
      totalAmountMinor,
      currency,
    } as const;
    return { ...outcome, balanceAfterMinor, rejection };
  }
  if (full.length > 0) {
    return { ...outcome, balanceAfterMinor, problems: full, rejection: invalidBulkTransfer(full) };
  }
  return { ...outcome, balanceAfterMinor, rejection: undefined };
}
