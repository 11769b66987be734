import {
  type AccountFacts,
  type BulkTransferRequest,
  bulkTransferFingerprint,
  type CreditTransfer,
  CURRENCY_DEFAULT,
} from '../domain/bulk-transfer.js';
import { DomainError, type Rejection } from '../domain/errors.js';
import { bookCreditsOf } from '../domain/postings.js';
import type { Problem } from '../domain/problem.js';
import type { BulkTransfer } from '../entities/bulk-transfer.entity.js';
import { invalidBulkTransfer, receivableProblems } from './bulk-transfer-problems.js';
import type { LedgerReader } from './ports/ledger-reader.js';
import {
  assertSameContent,
  type PreparationPorts,
  prepareBulkTransfer,
  type Requester,
} from './prepare-bulk-transfer.js';

/** The outcome of performing a request if nothing changes meanwhile. Money is in minor units. */
export interface BulkTransferValidation {
  readonly transferCount: number;
  readonly currency: string | undefined;
  readonly totalAmountMinor: bigint | undefined;
  /** The balance after the bulk; negative if funds are insufficient. */
  readonly balanceAfterMinor: bigint | undefined;
  readonly problems: readonly Problem[];
  readonly rejection: Rejection | undefined;
}

/** Runs performBulkTransfer dry, with the same checks by the same code. Nothing is stored. */
export type ValidateBulkTransfer = (
  request: BulkTransferRequest,
  requester: Requester,
) => Promise<BulkTransferValidation>;

export function makeValidateBulkTransfer(ports: PreparationPorts): ValidateBulkTransfer {
  return async (request, requester) => {
    const transferCount = request.creditTransfers.length;
    try {
      return { transferCount, ...(await judge(request, requester, ports)) };
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
  requester: Requester,
  ports: PreparationPorts,
): Promise<Omit<BulkTransferValidation, 'transferCount'>> {
  const { reader } = ports;
  const prepared = await prepareBulkTransfer(request, requester, ports);
  if (prepared.performed) return outcomeOf(prepared.performed);
  const { bulk, reading, fingerprint } = prepared;
  const { debtor, totalAmountMinor, rejection } = reading;
  const problems = rejection?.code === 'INVALID_BULK_TRANSFER' ? rejection.problems : [];
  const currency = debtor?.currency ?? request.creditTransfers[0]?.currency ?? CURRENCY_DEFAULT;
  const outcome = { currency, totalAmountMinor, problems, rejection };
  if (!debtor || totalAmountMinor === undefined) {
    return { ...outcome, balanceAfterMinor: undefined };
  }
  const [account] = await reader.accountsById([debtor.id]);
  if (!account) throw new Error('The account to be debited does not exist');
  const since = await performedSince(request.idempotencyKey, debtor.id, reader);
  if (since) {
    assertSameContent(since, fingerprint, (version) => bulkTransferFingerprint(bulk, version));
    return outcomeOf(since);
  }
  const judged = { ...outcome, balanceAfterMinor: account.balanceMinor - totalAmountMinor };
  if (reading.rejection) return judged;
  if (!account.covers(totalAmountMinor)) {
    const { balanceMinor, currency } = account;
    const rejection = {
      code: 'INSUFFICIENT_FUNDS',
      balanceMinor,
      totalAmountMinor,
      currency,
    } as const;
    return { ...judged, rejection };
  }
  const full = await fullReceivers(reading.transfers, debtor, reader);
  return full.length > 0
    ? { ...judged, problems: full, rejection: invalidBulkTransfer(full) }
    : judged;
}

/**
 * Returns the bulk that used a key, read after the balance. If no bulk has the key now, no bulk had the key when the
 * balance was read. Both answers therefore describe the same moment.
 */
async function performedSince(
  idempotencyKey: string | undefined,
  debtorId: string,
  reader: LedgerReader,
): Promise<BulkTransfer | null> {
  return idempotencyKey === undefined ? null : reader.bulkTransferByKey(debtorId, idempotencyKey);
}

/** Returns the outcome of a bulk that was performed before. */
function outcomeOf(performed: BulkTransfer): Omit<BulkTransferValidation, 'transferCount'> {
  return {
    currency: performed.currency,
    totalAmountMinor: performed.totalAmountMinor,
    balanceAfterMinor: performed.balanceAfterMinor,
    problems: [],
    rejection: undefined,
  };
}

/** Finds the transfers to accounts of this server that could not hold the money. */
async function fullReceivers(
  transfers: readonly CreditTransfer[],
  { organizationName }: AccountFacts,
  reader: LedgerReader,
): Promise<Problem[]> {
  const credits = bookCreditsOf(transfers, organizationName);
  const receivers = await reader.accountsById(credits.map(({ accountId }) => accountId));
  const known = receivers.filter((account) => account !== null);
  return receivableProblems(transfers, credits, known);
}
