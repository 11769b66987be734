/**
 * Finds possible mistakes in a bulk after the bulk was judged or performed, and only if an answer asks for warnings.
 * The finder reads a limited part of the account's history, by the indexes of the lists. It reads the last bulks of
 * the account, and the rows of those bulks with the same number of rows and the same total. It also reads the names
 * under which the same IBANs were last paid.
 */
import {
  type BulkTransferRequest,
  type CreditTransferRequest,
  CURRENCY_DEFAULT,
  ibansOf,
  normaliseBulk,
} from '../domain/bulk-transfer.js';
import { hasIbanShape, normaliseIban } from '../domain/iban.js';
import { parseAmountIn } from '../domain/money.js';
import {
  type PaidName,
  paymentKeyOf,
  recordedPaymentOf,
  type TransferHistory,
  type TransferWarning,
  TransferWarningReader,
} from '../domain/transfer-warnings.js';
import type { Account } from '../entities/account.entity.js';
import type { BulkTransfer } from '../entities/bulk-transfer.entity.js';
import { inSlices, type SliceTurns } from './bulk-slices.js';
import type { Clock } from './ports/clock.js';
import type { FairTurns } from './ports/fair-turns.js';
import type { ScopedLedgerReader } from './ports/scoped-ledger-reader.js';

/** The number of days within which an earlier bulk with the same rows causes a warning. */
const EARLIER_DAYS = 7;
const DAY_MS = 86_400_000;

/** The number of last bulks of the account among which a bulk with the same rows is searched. */
const EARLIER_BULKS_MAX = 200;

/** The number of these bulks whose rows are read. They have the same number of rows and the same total. */
const COMPARED_BULKS_MAX = 3;

/**
 * The number of rows that are read of one earlier bulk. If this bulk contains all of them, the two bulks count as the
 * same.
 */
const COMPARED_ROWS_MAX = 10_000;

/** The number of rows that are read at once. */
const ROWS_AT_ONCE = 500;

/** The number of rows of a slice that are judged. A slice takes about five milliseconds. */
const SLICE_ROWS = 1_000;

export interface TransferWarningPorts {
  readonly turns: FairTurns;
  readonly clock: Clock;
}

/** The reader of a caller, and the state of the client's connection. */
export interface WarnedCaller {
  readonly reader: ScopedLedgerReader;
  readonly isAbandoned?: (() => boolean) | undefined;
}

/**
 * Finds the warnings for a request.
 * @param performed the bulk that the request became, which is not part of its own history. Absent if the request
 *   became no bulk, or if its key identifies the bulk
 */
export type FindTransferWarnings = (
  request: BulkTransferRequest,
  caller: WarnedCaller,
  performed?: Pick<BulkTransfer, 'sequence'>,
) => Promise<readonly TransferWarning[]>;

/** The key for which bulks of accounts that the caller does not see take turns. */
const UNKNOWN = 'unknown';

const NO_HISTORY: TransferHistory = { paidNames: [], since: new Date(0) };

export function makeFindTransferWarnings({
  turns,
  clock,
}: TransferWarningPorts): FindTransferWarnings {
  return async (request, { reader, isAbandoned }, performed) => {
    const account = await reader.accountByIban(normaliseIban(request.organizationIban));
    const slices = { turns, key: account?.organizationId ?? UNKNOWN, isAbandoned };
    const history = account
      ? await new HistoryReader(request, account, reader, slices).read(clock(), performed)
      : NO_HISTORY;
    const warnings = new TransferWarningReader(request, history);
    const judge = (start: number, end: number) => warnings.read(start, end);
    await inSlices(request.creditTransfers.length, slices, judge, SLICE_ROWS);
    return warnings.warnings();
  };
}

/** Reads the history with which a bulk is compared. */
class HistoryReader {
  constructor(
    private readonly request: BulkTransferRequest,
    private readonly account: Account,
    private readonly reader: ScopedLedgerReader,
    private readonly slices: SliceTurns,
  ) {}

  async read(
    now: Date,
    performed: Pick<BulkTransfer, 'sequence'> | undefined,
  ): Promise<TransferHistory> {
    const judgedBulk = performed ?? (await this.#performed());
    const { nodes: bulks } = await this.reader.bulkTransfers(this.account.id, {
      size: EARLIER_BULKS_MAX,
      fromEnd: false,
      ...(judgedBulk && { after: judgedBulk.sequence }),
    });
    if (bulks.length === 0) return NO_HISTORY;
    const since = new Date(now.getTime() - EARLIER_DAYS * DAY_MS);
    return {
      sameBulk: await this.#sameBulk(bulks, since),
      paidNames: await this.#paidNames(judgedBulk?.sequence),
      since,
    };
  }

  async #performed(): Promise<BulkTransfer | null> {
    const { idempotencyKey } = this.request;
    if (idempotencyKey === undefined) return null;
    return this.reader.bulkTransferByKey(this.account.id, idempotencyKey);
  }

  async #sameBulk(bulks: readonly BulkTransfer[], since: Date): Promise<BulkTransfer | undefined> {
    const { length } = this.request.creditTransfers;
    const recent = bulks.filter(
      ({ createdAt, transferCount }) => createdAt >= since && transferCount === length,
    );
    if (recent.length === 0) return undefined;
    const total = await this.#total();
    const alike = recent.filter(({ totalAmountMinor }) => totalAmountMinor === total);
    if (alike.length === 0) return undefined;
    const counts = await this.#countPayments();
    for (const bulk of alike.slice(0, COMPARED_BULKS_MAX)) {
      if (await this.#hasSameRows(bulk, counts)) return bulk;
    }
    return undefined;
  }

  /** Returns the total in minor units; undefined if no bulk of this account can have the total. */
  async #total(): Promise<bigint | undefined> {
    const { currency } = this.account;
    const rows = this.request.creditTransfers;
    let total: bigint | undefined = 0n;
    await inSlices(rows.length, this.slices, (start, end) => {
      for (const row of rows.slice(start, end)) {
        const amount = amountOf(row, currency);
        total = total === undefined || amount === undefined ? undefined : total + amount;
      }
    });
    return total;
  }

  /** Counts the rows of the bulk by payment. */
  async #countPayments(): Promise<ReadonlyMap<string, number>> {
    const rows = this.request.creditTransfers;
    const counts = new Map<string, number>();
    await inSlices(rows.length, this.slices, (start, end) => {
      for (const row of rows.slice(start, end)) {
        const key = paymentKeyOf(row);
        counts.set(key, (counts.get(key) ?? 0) + 1);
      }
    });
    return counts;
  }

  /** Tells whether a bulk with the same number of rows has the same rows, in any order. */
  async #hasSameRows(
    { accountId, sequence, transferCount }: BulkTransfer,
    counts: ReadonlyMap<string, number>,
  ): Promise<boolean> {
    const left = new Map(counts);
    let after: bigint | undefined;
    for (let start = 0; start < Math.min(transferCount, COMPARED_ROWS_MAX); start += ROWS_AT_ONCE) {
      const range = { size: ROWS_AT_ONCE, fromEnd: false, ...(after !== undefined && { after }) };
      const { nodes } = await this.reader.transfersOfBulk({ accountId, sequence }, range);
      for (const transfer of nodes) {
        const key = paymentKeyOf(recordedPaymentOf(transfer));
        const count = left.get(key) ?? 0;
        if (count === 0) return false;
        left.set(key, count - 1);
      }
      after = nodes.at(-1)?.position;
    }
    return true;
  }

  #paidNames(before: bigint | undefined): Promise<readonly PaidName[]> {
    const ibans = ibansOf(normaliseBulk(this.request)).filter(hasIbanShape);
    return this.reader.paidNames(this.account.id, ibans, before);
  }
}

function amountOf(row: CreditTransferRequest, currency: string): bigint | undefined {
  if ((row.currency ?? CURRENCY_DEFAULT) !== currency) return undefined;
  return parseAmountIn(row.amount, currency).minorUnits;
}
