import { CURRENCY_DEFAULT, canonicalAmount } from './bulk-transfer.js';
import { normaliseIban } from './iban.js';
import { type FingerprintVersion, fingerprintOf } from './idempotency.js';

/** A credit from outside, as the client sent it. */
export interface CreditContent {
  readonly iban: string;
  /** The amount in major units: "14.5". */
  readonly amount: string;
  readonly currency?: string | null | undefined;
  readonly description: string;
}

type ContentFields = Readonly<Record<keyof CreditContent, string>>;

/**
 * Returns the fingerprint that tells two credits with one idempotency key apart. The spelling of the values does not
 * matter. A new field is added to version 2, and only if the request gives it: see FingerprintVersion.
 */
export function creditFingerprint(credit: CreditContent, version: FingerprintVersion): string {
  const content: ContentFields = {
    iban: normaliseIban(credit.iban),
    amount: canonicalAmount(credit.amount),
    currency: credit.currency ?? CURRENCY_DEFAULT,
    description: credit.description,
  };
  if (version === 2) return fingerprintOf(version, content);
  const { iban, amount, currency, description } = content;
  return fingerprintOf(version, [iban, amount, currency, description]);
}
