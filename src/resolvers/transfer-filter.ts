import type { TransferFilter } from '../application/ports.js';
import { fractionDigitsOf } from '../domain/currency.js';
import { BadUserInputError } from '../domain/errors.js';
import { normaliseIban } from '../domain/iban.js';
import { parseAmount } from '../domain/money.js';
import { quote } from '../domain/problem.js';
import { foldName } from '../domain/text.js';
import type { TransferFilterInput } from '../schema/transfer.js';

/**
 * Reads a filter.
 * @param currency of the account, whose fraction digits the amounts have
 * @throws BadUserInputError for an amount that is none
 */
export function readTransferFilter(input: TransferFilterInput, currency: string): TransferFilter {
  const { counterpartyIban, counterpartyName, minAmount, maxAmount, from, to, endToEndId } = input;
  return {
    ...(counterpartyIban != null && { counterpartyIban: normaliseIban(counterpartyIban) }),
    ...(counterpartyName != null && { counterpartyNamePrefix: foldName(counterpartyName) }),
    ...(minAmount != null && { amountMinorMin: readBound('minAmount', minAmount, currency) }),
    ...(maxAmount != null && { amountMinorMax: readBound('maxAmount', maxAmount, currency) }),
    ...(from != null && { from }),
    ...(to != null && { to }),
    ...(endToEndId != null && { endToEndId }),
  };
}

function readBound(field: string, text: string, currency: string): bigint {
  const parsed = parseAmount(text, fractionDigitsOf(currency) ?? 0);
  if (parsed.minorUnits !== undefined) return parsed.minorUnits;
  // Zero is no amount of a transfer, and a fine bound.
  if (/^0+(\.0+)?$/.test(text)) return 0n;
  throw new BadUserInputError(`${field}: ${quote(text)} is not an amount in ${currency}.`);
}
