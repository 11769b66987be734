import type { TransferFilter } from '../application/ports/scoped-ledger-reader.js';
import { BadUserInputError } from '../domain/errors.js';
import { hasIbanShape, normaliseIban } from '../domain/iban.js';
import { isZero, parseAmountIn } from '../domain/money.js';
import { quote } from '../domain/problem.js';
import { END_TO_END_ID, foldName, NAME, type TextRule, textProblems } from '../domain/text.js';
import type { TransferFilterInput } from '../schema/transfer.js';

/**
 * Reads a filter.
 * @param currency the currency of the account, which gives the fraction digits of the amounts
 * @throws BadUserInputError for a value that no transfer could have: a malformed amount or IBAN, a name that is too
 *   long, control characters
 */
export function readTransferFilter(input: TransferFilterInput, currency: string): TransferFilter {
  const { counterpartyName, minAmount, maxAmount, from, to, endToEndId } = input;
  const counterpartyIban = readIban(input.counterpartyIban);
  assertText('counterpartyName', counterpartyName, { ...NAME, charactersMin: 0 });
  assertText('endToEndId', endToEndId, END_TO_END_ID);
  return {
    ...(counterpartyIban !== undefined && { counterpartyIban }),
    ...(counterpartyName != null && { counterpartyNamePrefix: foldName(counterpartyName) }),
    ...(minAmount != null && { amountMinorMin: readBound('minAmount', minAmount, currency) }),
    ...(maxAmount != null && { amountMinorMax: readBound('maxAmount', maxAmount, currency) }),
    ...(from != null && { from }),
    ...(to != null && { to }),
    ...(endToEndId != null && { endToEndId }),
  };
}

function readIban(text: string | null | undefined): string | undefined {
  if (text == null) return undefined;
  const iban = normaliseIban(text);
  if (hasIbanShape(iban)) return iban;
  throw new BadUserInputError(`counterpartyIban: ${quote(text)} is not an IBAN.`);
}

function assertText(field: string, text: string | null | undefined, rule: TextRule): void {
  const [problem] = text == null ? [] : textProblems(text, field, rule);
  if (problem) throw new BadUserInputError(`${field}: ${problem.message}`);
}

function readBound(field: string, text: string, currency: string): bigint {
  const parsed = parseAmountIn(text, currency);
  if (parsed.minorUnits !== undefined) return parsed.minorUnits;
  // Zero is no amount of a transfer, but it is a valid limit.
  if (isZero(text)) return 0n;
  throw new BadUserInputError(`${field}: ${quote(text)} is not an amount in ${currency}.`);
}
