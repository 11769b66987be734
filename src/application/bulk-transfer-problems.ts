import type { CreditTransfer } from '../domain/bulk-transfer.js';
import type { Rejection } from '../domain/errors.js';
import type { BookCredit } from '../domain/postings.js';
import { PROBLEMS_LISTED_MAX, type Problem } from '../domain/problem.js';
import type { Account } from '../entities/account.entity.js';

/**
 * Finds the transfers to accounts of this server whose balance would exceed the exact range.
 * @param receivers the credited accounts in their current state
 */
export function receivableProblems(
  transfers: readonly CreditTransfer[],
  credits: readonly BookCredit[],
  receivers: readonly Account[],
): Problem[] {
  const byId = new Map(receivers.map((account) => [account.id, account]));
  const full = new Set(
    credits
      .filter(
        ({ accountId, amountMinor }) => byId.get(accountId)?.canReceive(amountMinor) === false,
      )
      .map(({ accountId }) => accountId),
  );
  return transfers.flatMap(({ counterpartyAccountId }, index) => {
    if (counterpartyAccountId === null || !full.has(counterpartyAccountId)) return [];
    const message =
      'The balance of the receiving account would exceed the largest possible balance.';
    return [{ index, field: 'amount', code: 'AMOUNT_TOO_LARGE', message }];
  });
}

/** Makes the rejection of a bulk with all its problems. */
export function invalidBulkTransfer(
  problems: readonly Problem[],
): Rejection<'INVALID_BULK_TRANSFER'> {
  return {
    code: 'INVALID_BULK_TRANSFER',
    problems: problems.slice(0, PROBLEMS_LISTED_MAX),
    problemCount: problems.length,
  };
}
