/**
 * Possible mistakes in a bulk that are not refused. The rules need the rows of the bulk and the facts that were read
 * from the account's history.
 */
import {
  type BulkTransferRequest,
  type CreditTransferRequest,
  canonicalAmount,
} from './bulk-transfer.js';
import { bicCountryOf, ibanProblem, isBic, normaliseBic, normaliseIban } from './iban.js';
import { formatAmount } from './money.js';
import { hasRightNationalCheckDigits } from './national-check-digits.js';
import { quote } from './problem.js';
import { comparableName } from './text.js';

export const TRANSFER_WARNING_CODES = [
  'DUPLICATE_IN_BULK',
  'DUPLICATE_OF_EARLIER',
  'DUPLICATE_PAYMENT',
  'NAME_DIFFERS',
  'BIC_COUNTRY_DIFFERS',
  'NATIONAL_CHECK_DIGITS',
] as const;

export type TransferWarningCode = (typeof TRANSFER_WARNING_CODES)[number];

export interface TransferWarning {
  /** The row, 0-based; undefined for the bulk itself. */
  readonly index?: number | undefined;
  /** The field name of the input. */
  readonly field: string;
  readonly code: TransferWarningCode;
  /** A sentence for people. */
  readonly message: string;
  /** The earlier bulk that this bulk resembles. */
  readonly bulkTransferId?: string | undefined;
}

/** The largest number of warnings that one answer lists. */
export const WARNINGS_LISTED_MAX = 100;

/** A name under which an IBAN was paid, and the payment. */
export interface PaidName extends Payment {
  readonly counterpartyName: string;
  readonly bulkTransferId: string;
  readonly paidAt: Date;
}

/** The known history of an account before a bulk. */
export interface TransferHistory {
  /** The latest bulk with the same payments; names and ids may differ. */
  readonly sameBulk?: { readonly id: string; readonly createdAt: Date } | undefined;
  readonly paidNames: readonly PaidName[];
  /** The moment since which the same payment causes a warning. */
  readonly since: Date;
}

/**
 * The values that make two rows the same payment: payee, amount and description. Ids and the spelling of a name may
 * differ.
 */
export interface Payment {
  readonly amount: string;
  readonly counterpartyIban: string;
  readonly description: string;
}

/** Returns a key that is equal for rows that are the same payment. */
export function paymentKeyOf({ amount, counterpartyIban, description }: Payment): string {
  return JSON.stringify([canonicalAmount(amount), normaliseIban(counterpartyIban), description]);
}

/** Returns the payment that a transfer recorded. */
export function recordedPaymentOf(transfer: {
  readonly amountMinor: bigint;
  readonly currency: string;
  readonly counterpartyIban: string;
  readonly description: string;
}): Payment {
  const { amountMinor, currency, counterpartyIban, description } = transfer;
  return { amount: formatAmount(amountMinor, currency), counterpartyIban, description };
}

/** Territories whose banks have IBANs or BICs of another country. Sources: ISO 9362 and the SWIFT IBAN registry. */
const HOME_OF: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    'GF GP MQ RE PF TF YT NC BL MF PM WF MC'.split(' ').map((territory) => [territory, 'FR']),
  ),
  AX: 'FI',
  GG: 'GB',
  IM: 'GB',
  JE: 'GB',
  SJ: 'NO',
};

const homeOf = (country: string) => HOME_OF[country] ?? country;

/** The names under which one IBAN was paid, in comparable form. An account can have thousands of them. */
interface Payee {
  readonly latest: PaidName;
  readonly names: Set<string | undefined>;
}

/** Judges the rows of one bulk in ranges. */
export class TransferWarningReader {
  readonly #warnings: TransferWarning[] = [];
  readonly #firstIndexOf = new Map<string, number>();
  readonly #payees = new Map<string, Payee>();
  /** The latest of the same payments, by their key. */
  readonly #paidBefore = new Map<string, PaidName>();

  constructor(
    private readonly request: Pick<BulkTransferRequest, 'creditTransfers'>,
    { sameBulk, paidNames, since }: TransferHistory,
  ) {
    for (const paid of paidNames) {
      // The rows of the same bulk have one warning together.
      const isRecent = paid.paidAt >= since && paid.bulkTransferId !== sameBulk?.id;
      const key = isRecent ? paymentKeyOf(paid) : undefined;
      if (key !== undefined && !this.#paidBefore.has(key)) this.#paidBefore.set(key, paid);
      const payee = this.#payees.get(paid.counterpartyIban) ?? { latest: paid, names: new Set() };
      payee.names.add(comparableName(paid.counterpartyName));
      this.#payees.set(paid.counterpartyIban, payee);
    }
    if (sameBulk) {
      this.#warnings.push({
        field: 'creditTransfers',
        code: 'DUPLICATE_OF_EARLIER',
        message: `A bulk with the same payees, amounts and descriptions was performed at ${sameBulk.createdAt.toISOString()}.`,
        bulkTransferId: sameBulk.id,
      });
    }
  }

  /**
   * Judges the rows from start up to end, exclusive. The first range starts at 0; each range starts where the last
   * one ended.
   */
  read(start: number, end: number): void {
    for (const [offset, row] of this.request.creditTransfers.slice(start, end).entries()) {
      if (this.#warnings.length >= WARNINGS_LISTED_MAX) return;
      this.#judge(row, start + offset);
    }
  }

  /** Returns the first WARNINGS_LISTED_MAX warnings, in the order of the rows. */
  warnings(): readonly TransferWarning[] {
    return this.#warnings.slice(0, WARNINGS_LISTED_MAX);
  }

  #judge(row: CreditTransferRequest, index: number): void {
    const iban = normaliseIban(row.counterpartyIban);
    const isIban = ibanProblem(iban, 'strict') === undefined;
    const found = [
      this.#duplicateOf(row, index),
      this.#paymentBefore(row),
      this.#otherNameOf(row, iban),
      isIban && row.counterpartyBic != null ? bicWarning(row.counterpartyBic, iban) : undefined,
      isIban ? nationalWarning(iban) : undefined,
    ];
    for (const warning of found) if (warning) this.#warnings.push({ index, ...warning });
  }

  #duplicateOf(row: CreditTransferRequest, index: number): TransferWarning | undefined {
    const key = paymentKeyOf(row);
    const first = this.#firstIndexOf.get(key);
    if (first === undefined) {
      this.#firstIndexOf.set(key, index);
      return undefined;
    }
    const message = `Row ${first} has the same payee, amount and description.`;
    return { field: 'counterpartyIban', code: 'DUPLICATE_IN_BULK', message };
  }

  #paymentBefore(row: CreditTransferRequest): TransferWarning | undefined {
    const paid = this.#paidBefore.get(paymentKeyOf(row));
    if (!paid) return undefined;
    const { paidAt, bulkTransferId } = paid;
    const message = `The same payee, amount and description were paid at ${paidAt.toISOString()}.`;
    return { field: 'counterpartyIban', code: 'DUPLICATE_PAYMENT', message, bulkTransferId };
  }

  #otherNameOf(row: CreditTransferRequest, iban: string): TransferWarning | undefined {
    const payee = this.#payees.get(iban);
    if (!payee || payee.names.has(comparableName(row.counterpartyName))) return undefined;
    const { latest } = payee;
    return {
      field: 'counterpartyName',
      code: 'NAME_DIFFERS',
      message: `${iban} was paid under the name ${quote(latest.counterpartyName)} before.`,
      bulkTransferId: latest.bulkTransferId,
    };
  }
}

function bicWarning(sent: string, iban: string): TransferWarning | undefined {
  const bic = normaliseBic(sent);
  const [bicCountry, ibanCountry] = [bicCountryOf(bic), iban.slice(0, 2)];
  if (!isBic(bic, 'strict') || homeOf(bicCountry) === homeOf(ibanCountry)) return undefined;
  const message = `The bank ${bic} is in ${bicCountry}, the account ${iban} in ${ibanCountry}.`;
  return { field: 'counterpartyBic', code: 'BIC_COUNTRY_DIFFERS', message };
}

function nationalWarning(iban: string): TransferWarning | undefined {
  if (hasRightNationalCheckDigits(iban)) return undefined;
  const message = `The national check digits (${iban.slice(0, 2)}) inside ${iban} are wrong.`;
  return { field: 'counterpartyIban', code: 'NATIONAL_CHECK_DIGITS', message };
}
