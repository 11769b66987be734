/**
 * The rules of a bulk transfer that need only the values of the request. A request is read once, row by row. The
 * result is either the transfers to record or the rejection. Each problem is noted with its row, field and code.
 */
import { fractionDigitsOf, listedCurrency } from './currency.js';
import type { Rejection } from './errors.js';
import {
  bicProblem,
  type IbanCheck,
  ibanProblem,
  isSameBic,
  normaliseBic,
  normaliseIban,
} from './iban.js';
import { ContentHash, type FingerprintVersion, idempotencyKeyProblems } from './idempotency.js';
import { amountProblem, formatAmount, MINOR_UNITS_MAX, parseAmountIn } from './money.js';
import { PROBLEMS_LISTED_MAX, type Problem, requiredProblem, valueProblem } from './problem.js';
import { DESCRIPTION, END_TO_END_ID, isSameName, NAME, textProblems } from './text.js';

/** The currency of a row that gives no currency. */
export const CURRENCY_DEFAULT = 'EUR';

/** A row as the client sent it. Amounts are in major units: "14.5". */
export interface CreditTransferRequest {
  readonly amount: string;
  readonly currency?: string | null | undefined;
  readonly counterpartyName: string;
  readonly counterpartyIban: string;
  readonly counterpartyBic?: string | null | undefined;
  readonly description: string;
  readonly endToEndId?: string | null | undefined;
}

/** A bulk as the client sent it. */
export interface BulkTransferRequest {
  readonly idempotencyKey?: string | undefined;
  readonly organizationIban: string;
  readonly organizationName?: string | null | undefined;
  readonly organizationBic?: string | null | undefined;
  readonly creditTransfers: readonly CreditTransferRequest[];
}

/** The facts that the rules need about an account of this server. None of them ever changes. */
export interface AccountFacts {
  readonly id: string;
  readonly organizationId: string;
  readonly iban: string;
  readonly bic: string;
  readonly currency: string;
  readonly organizationName: string;
}

/** A row that can be recorded. */
export interface CreditTransfer {
  readonly amountMinor: bigint;
  readonly counterpartyName: string;
  readonly counterpartyIban: string;
  readonly counterpartyBic: string | null;
  /** The account of this server that is credited; null if the money goes to another bank. */
  readonly counterpartyAccountId: string | null;
  readonly description: string;
  readonly endToEndId: string | null;
}

export interface BulkTransferRules {
  readonly ibanCheck: IbanCheck;
  /** The largest number of rows in one bulk. */
  readonly transfersMax: number;
  /** Tells whether a bulk without an idempotency key is refused. */
  readonly requiresIdempotencyKey?: boolean;
}

/** A request with its IBANs in electronic form. The IBANs are normalised once, for every reader of the request. */
export interface NormalisedBulk {
  readonly request: BulkTransferRequest;
  readonly organizationIban: string;
  readonly rows: readonly NormalisedRow[];
}

interface NormalisedRow {
  readonly sent: CreditTransferRequest;
  readonly counterpartyIban: string;
}

export function normaliseBulk(request: BulkTransferRequest): NormalisedBulk {
  return {
    request,
    organizationIban: normaliseIban(request.organizationIban),
    rows: request.creditTransfers.map((sent) => ({
      sent,
      counterpartyIban: normaliseIban(sent.counterpartyIban),
    })),
  };
}

/** A bulk that can be recorded, as far as its values tell. */
export interface RecordableBulk {
  readonly rejection?: undefined;
  readonly debtor: AccountFacts;
  /** The transfers, one for each row. */
  readonly transfers: readonly CreditTransfer[];
  /** The sum in minor units. */
  readonly totalAmountMinor: bigint;
}

/** A bulk that cannot be recorded. */
export interface RejectedBulk {
  readonly rejection: Rejection<'INVALID_BULK_TRANSFER' | 'ACCOUNT_NOT_FOUND'>;
  readonly debtor: AccountFacts | undefined;
  /**
   * The sum in minor units. Undefined if an amount cannot be read, currencies differ, or no balance could cover the
   * sum.
   */
  readonly totalAmountMinor: bigint | undefined;
}

export type BulkTransferReading = RecordableBulk | RejectedBulk;

/** Returns the IBANs of all accounts that a request names, without duplicates. The debtor's IBAN comes first. */
export function ibansOf({ organizationIban, rows }: NormalisedBulk): string[] {
  const ibans = new Set([organizationIban]);
  for (const { counterpartyIban } of rows) ibans.add(counterpartyIban);
  return [...ibans];
}

/**
 * Returns the fingerprint that tells two bulks with one idempotency key apart. It covers the account and all rows.
 * The spelling does not matter: "14.5" and "14.50" are the same content, as is an IBAN with and without spaces.
 */
export function bulkTransferFingerprint(bulk: NormalisedBulk, version: FingerprintVersion): string {
  const fingerprint = new BulkTransferFingerprint(bulk, version);
  fingerprint.add(0, bulk.rows.length);
  return fingerprint.digest();
}

/** The fingerprint of a bulk, made from ranges of its rows: the hash of the content [account, [row, row, …]]. */
export class BulkTransferFingerprint {
  readonly #hash: ContentHash;

  constructor(
    private readonly bulk: NormalisedBulk,
    private readonly version: FingerprintVersion,
  ) {
    const account = JSON.stringify(bulk.organizationIban);
    this.#hash = new ContentHash(version, `[${account},[`);
  }

  /**
   * Adds the rows from start up to end, exclusive. The first range starts at 0; each range starts where the last one
   * ended.
   */
  add(start: number, end: number): void {
    const contentAs: (row: NormalisedRow) => object = this.version === 1 ? valuesOf : contentOf;
    const rows = this.bulk.rows.slice(start, end).map(contentAs);
    if (rows.length === 0) return;
    const separator = start === 0 ? '' : ',';
    this.#hash.add(`${separator}${JSON.stringify(rows).slice(1, -1)}`);
  }

  /** @returns the fingerprint; call this once, after the last row */
  digest(): string {
    return this.#hash.digest(']]');
  }
}

/** Every field of a row. A field that is not given is undefined, and is in no fingerprint. */
type RowContent = Readonly<Record<keyof CreditTransferRequest, string | undefined>>;

/**
 * Returns the normalised content of a row in version 2. A new optional field is added here. The order of the fields
 * is part of the fingerprint.
 */
function contentOf({ sent: row, counterpartyIban }: NormalisedRow): RowContent {
  return {
    amount: canonicalAmount(row.amount),
    currency: row.currency ?? CURRENCY_DEFAULT,
    counterpartyName: row.counterpartyName,
    counterpartyIban,
    counterpartyBic: row.counterpartyBic == null ? undefined : normaliseBic(row.counterpartyBic),
    description: row.description,
    endToEndId: row.endToEndId ?? undefined,
  };
}

/**
 * Returns the content of a row in version 1, which has these seven values forever. If rows get a new field, a row
 * that gives this field must have a different content in version 1 too.
 */
function valuesOf(row: NormalisedRow): (string | null)[] {
  const content = contentOf(row);
  return [
    content.amount ?? null,
    content.currency ?? null,
    content.counterpartyName ?? null,
    content.counterpartyIban ?? null,
    content.counterpartyBic ?? null,
    content.description ?? null,
    content.endToEndId ?? null,
  ];
}

/** The columns of a recorded transfer that the fingerprint of its bulk covers. */
export type RecordedTransfer = Omit<CreditTransfer, 'counterpartyAccountId'> & {
  readonly currency: string;
};

/**
 * Returns the fingerprint that a bulk had when it was performed, computed from the recorded rows. A stored value has
 * the same canonical form as the value that was sent.
 * @param transfers all transfers of the bulk, in their order
 * @throws Error for a currency that ISO 4217 does not list
 */
export function recordedBulkFingerprint(
  organizationIban: string,
  transfers: readonly RecordedTransfer[],
  version: FingerprintVersion,
): string {
  const creditTransfers = transfers.map(({ amountMinor, ...row }) => ({
    ...row,
    amount: formatAmount(amountMinor, row.currency),
  }));
  const request = { organizationIban, creditTransfers };
  const rows = creditTransfers.map((sent) => ({ sent, counterpartyIban: sent.counterpartyIban }));
  return bulkTransferFingerprint({ request, organizationIban, rows }, version);
}

/** The longest text, without leading zeros, that is read as an amount. */
const CANONICAL_AMOUNT_CHARACTERS_MAX = 40;

/** Returns an amount as a plain decimal without superfluous zeros. Any other text is returned unchanged. */
export function canonicalAmount(text: string): string {
  const stripped = text.replace(/^0+(?=[0-9])/, '');
  const isShort = stripped.length <= CANONICAL_AMOUNT_CHARACTERS_MAX;
  if (!isShort || !/^[0-9]+(?:\.[0-9]+)?$/.test(stripped)) return text;
  const [integer = '', fraction = ''] = stripped.split('.');
  const significant = fraction.replace(/0+$/, '');
  return significant === '' ? integer : `${integer}.${significant}`;
}

/**
 * Reads a bulk and notes every problem of every row.
 * @param debtor the account that is debited; undefined if it is unknown
 * @param accounts the accounts of this server that the request names, by IBAN. A counterparty among them is known to
 *   exist, so its IBAN is not checked
 */
export function readBulkTransfer(
  bulk: NormalisedBulk,
  debtor: AccountFacts | undefined,
  accounts: ReadonlyMap<string, AccountFacts>,
  rules: BulkTransferRules,
): BulkTransferReading {
  const reader = new BulkTransferReader(bulk, debtor, accounts, rules);
  reader.read(0, bulk.rows.length);
  return reader.reading();
}

/** Reads a bulk in ranges of its rows. The parameters are those of readBulkTransfer. */
export class BulkTransferReader {
  readonly #problems = new ProblemList();
  readonly #rows: RowReader;
  readonly #transfers: CreditTransfer[] = [];
  /** The currencies of the rows. If the account is unknown, the currency that all rows should have is unknown too. */
  readonly #currencies = new Set<string>();
  /** The sum of the readable amounts. */
  #totalAmountMinor = 0n;

  constructor(
    private readonly bulk: NormalisedBulk,
    private readonly debtor: AccountFacts | undefined,
    accounts: ReadonlyMap<string, AccountFacts>,
    rules: BulkTransferRules,
  ) {
    this.#problems.addAll(headProblems(bulk, debtor, rules));
    this.#rows = new RowReader(debtor, accounts, rules, this.#problems);
  }

  /**
   * Reads the rows from start up to end, exclusive. The first range starts at 0; each range starts where the last one
   * ended.
   */
  read(start: number, end: number): void {
    for (const [offset, row] of this.bulk.rows.slice(start, end).entries()) {
      this.#currencies.add(row.sent.currency ?? CURRENCY_DEFAULT);
      const transfer = this.#rows.read(row, start + offset);
      if (!transfer) continue;
      this.#totalAmountMinor += transfer.amountMinor;
      this.#transfers.push(transfer);
    }
  }

  /** Returns the result. Call this once, after the last row. */
  reading(): BulkTransferReading {
    const totalAmountMinor = this.#judgedTotal();
    const { debtor } = this;
    const { listed: problems, count: problemCount } = this.#problems;
    if (problemCount > 0) {
      const rejection = { code: 'INVALID_BULK_TRANSFER', problems, problemCount } as const;
      return { rejection, debtor, totalAmountMinor };
    }
    if (!debtor) {
      const rejection = { code: 'ACCOUNT_NOT_FOUND', iban: this.bulk.organizationIban } as const;
      return { rejection, debtor, totalAmountMinor };
    }
    return { debtor, transfers: this.#transfers, totalAmountMinor: this.#totalAmountMinor };
  }

  /** Returns the total, or undefined. No balance exceeds MINOR_UNITS_MAX, so no bulk can have a larger total. */
  #judgedTotal(): bigint | undefined {
    const isReadable = this.#transfers.length === this.bulk.rows.length;
    if (!isReadable) return undefined;
    if (this.#totalAmountMinor > MINOR_UNITS_MAX) {
      const message = 'The total of all amounts is larger than the largest possible balance.';
      this.#problems.add({ field: 'creditTransfers', code: 'AMOUNT_TOO_LARGE', message });
      return undefined;
    }
    return this.#currencies.size <= 1 ? this.#totalAmountMinor : undefined;
  }
}

/** The judgement of a row by itself. It does not cover the end-to-end ids of other rows. */
export interface JudgedRow {
  readonly problems: readonly Problem[];
  /** The amount in minor units; undefined if it cannot be read in the currency of the account. */
  readonly amountMinor: bigint | undefined;
}

/** Judges rows one by one, apart from any bulk. The parameters are those of readBulkTransfer. */
export function judgeRows(
  rows: readonly CreditTransferRequest[],
  debtor: AccountFacts,
  accounts: ReadonlyMap<string, AccountFacts>,
  rules: BulkTransferRules,
): JudgedRow[] {
  return rows.map((sent, index) => {
    const problems = new ProblemList();
    const counterpartyIban = normaliseIban(sent.counterpartyIban);
    const reader = new RowReader(debtor, accounts, rules, problems);
    const transfer = reader.read({ sent, counterpartyIban }, index);
    return { problems: problems.listed, amountMinor: transfer?.amountMinor };
  });
}

/** Returns the problems of the bulk itself, outside its rows. */
function headProblems(
  { request, organizationIban }: NormalisedBulk,
  debtor: AccountFacts | undefined,
  rules: BulkTransferRules,
): Problem[] {
  const problems = idempotencyKeyProblems(request.idempotencyKey, rules.requiresIdempotencyKey);
  const { organizationName, organizationBic } = request;
  if (organizationIban === '') problems.push(requiredProblem('organizationIban'));
  if (
    debtor &&
    organizationName != null &&
    !isSameName(organizationName, debtor.organizationName)
  ) {
    problems.push(valueProblem('MISMATCH', 'organizationName', organizationName));
  }
  if (organizationBic != null) {
    const problem = bicProblem(organizationBic, 'organizationBic', 'format');
    if (problem) problems.push(problem);
    else if (debtor && !isSameBic(normaliseBic(organizationBic), debtor.bic)) {
      problems.push(valueProblem('MISMATCH', 'organizationBic', organizationBic));
    }
  }
  const field = 'creditTransfers';
  const count = request.creditTransfers.length;
  if (count === 0) {
    problems.push({ field, code: 'TOO_FEW', message: 'A bulk needs at least one transfer.' });
  } else if (count > rules.transfersMax) {
    const message = `The bulk has ${count} transfers; the limit is ${rules.transfersMax}.`;
    problems.push({ field, code: 'TOO_MANY', message });
  }
  return problems;
}

/** Counts every problem and keeps the first 1,000. */
class ProblemList {
  readonly listed: Problem[] = [];
  count = 0;

  add(problem: Problem): void {
    this.count += 1;
    if (this.listed.length < PROBLEMS_LISTED_MAX) this.listed.push(problem);
  }

  addAll(problems: readonly Problem[]): void {
    for (const problem of problems) this.add(problem);
  }
}

/** Reads the rows of one bulk one after the other. */
class RowReader {
  readonly #endToEndIds = new Set<string>();

  constructor(
    private readonly debtor: AccountFacts | undefined,
    private readonly accounts: ReadonlyMap<string, AccountFacts>,
    private readonly rules: BulkTransferRules,
    private readonly problems: ProblemList,
  ) {}

  /**
   * Reads a row and notes its problems.
   * @returns the transfer; undefined if its amount or its currency cannot be used. Other problems do not stop the
   *   reading
   */
  read(
    { sent: row, counterpartyIban: iban }: NormalisedRow,
    index: number,
  ): CreditTransfer | undefined {
    const counterparty = this.accounts.get(iban);
    const amountMinor = this.#readAmount(row, index);
    this.problems.addAll(textProblems(row.counterpartyName, 'counterpartyName', NAME, index));
    this.#judgeIban(row.counterpartyIban, iban, counterparty, index);
    const counterpartyBic = this.#readBic(row.counterpartyBic, index);
    this.problems.addAll(textProblems(row.description, 'description', DESCRIPTION, index));
    this.#judgeEndToEndId(row.endToEndId, index);
    if (amountMinor === undefined) return undefined;
    return {
      amountMinor,
      counterpartyName: row.counterpartyName,
      counterpartyIban: iban,
      counterpartyBic,
      counterpartyAccountId: counterparty?.id ?? null,
      description: row.description,
      endToEndId: row.endToEndId ?? null,
    };
  }

  #readAmount(row: CreditTransferRequest, index: number): bigint | undefined {
    const currency = row.currency ?? CURRENCY_DEFAULT;
    const accountCurrency = this.debtor?.currency ?? CURRENCY_DEFAULT;
    const known = listedCurrency(currency, accountCurrency);
    const parsed = parseAmountIn(row.amount, known);
    if (parsed.problem) {
      this.problems.add(
        amountProblem(parsed.problem, {
          field: 'amount',
          text: row.amount,
          currency: known,
          index,
        }),
      );
    }
    const isMismatch = this.debtor
      ? currency !== this.debtor.currency
      : fractionDigitsOf(currency) === undefined;
    if (isMismatch) {
      this.problems.add(valueProblem('CURRENCY_MISMATCH', 'currency', currency, index));
    }
    return isMismatch ? undefined : parsed.minorUnits;
  }

  #judgeIban(
    sent: string,
    iban: string,
    counterparty: AccountFacts | undefined,
    index: number,
  ): void {
    const field = 'counterpartyIban';
    if (iban === '') {
      this.problems.add(requiredProblem(field, index));
      return;
    }
    if (!counterparty) {
      const problem = ibanProblem(iban, this.rules.ibanCheck);
      if (problem) this.problems.add(valueProblem(problem, field, sent, index));
      return;
    }
    if (counterparty.id === this.debtor?.id) {
      this.problems.add(valueProblem('SAME_ACCOUNT', field, sent, index));
    } else if (this.debtor && counterparty.currency !== this.debtor.currency) {
      const message = `The receiving account is kept in ${counterparty.currency}, not in ${this.debtor.currency}.`;
      this.problems.add({ index, field, code: 'CURRENCY_MISMATCH', message });
    }
  }

  #readBic(sent: string | null | undefined, index: number): string | null {
    if (sent == null) return null;
    const problem = bicProblem(sent, 'counterpartyBic', this.rules.ibanCheck, index);
    if (problem) this.problems.add(problem);
    return normaliseBic(sent);
  }

  #judgeEndToEndId(endToEndId: string | null | undefined, index: number): void {
    if (endToEndId == null) return;
    const field = 'endToEndId';
    if (endToEndId === '') {
      const message =
        'An end-to-end id needs at least one character; omit the field if there is none.';
      this.problems.add({ index, field, code: 'TOO_SHORT', message });
      return;
    }
    this.problems.addAll(textProblems(endToEndId, field, END_TO_END_ID, index));
    if (this.#endToEndIds.has(endToEndId)) {
      this.problems.add(valueProblem('DUPLICATE', field, endToEndId, index));
    }
    this.#endToEndIds.add(endToEndId);
  }
}
