import { CURRENCY_DEFAULT, canonicalAmount } from './bulk-transfer.js';
import { normaliseIban } from './iban.js';
import { fingerprintOf } from './idempotency.js';

/** A credit from outside, as the client sent it. */
export interface CreditContent {
  readonly iban: string;
  /** In major units: "14.5". */
  readonly amount: string;
  readonly currency?: string | null | undefined;
  readonly description: string;
}

/** Returns what tells two credits with one idempotency key apart, however their values are spelt. */
export function creditFingerprint(credit: CreditContent): string {
  return fingerprintOf([
    normaliseIban(credit.iban),
    canonicalAmount(credit.amount),
    credit.currency ?? CURRENCY_DEFAULT,
    credit.description,
  ]);
}
