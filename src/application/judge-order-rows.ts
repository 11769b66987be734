/** Judges the rows of an order, each by itself, and makes the records that are kept of them. */
import {
  type BulkTransferRules,
  type CreditTransferRequest,
  judgeRows,
} from '../domain/bulk-transfer.js';
import { normaliseIban } from '../domain/iban.js';
import type { BankRules } from '../domain/kinds.js';
import { VALUE_CHARACTERS_MAX } from '../domain/order.js';
import { type Problem, quote } from '../domain/problem.js';
import { sepaProblems } from '../domain/sepa-rules.js';
import type { BulkTransferOrder } from '../entities/bulk-transfer-order.entity.js';
import type { OrderRowRecord, RowProblem } from '../entities/order-row.entity.js';
import { inSlices } from './bulk-slices.js';
import type { FairTurns } from './ports/fair-turns.js';
import type { LedgerReader } from './ports/ledger-reader.js';

export interface JudgePorts {
  /** The reader that sees all accounts. */
  readonly reader: LedgerReader;
  readonly rules: BulkTransferRules;
  readonly bankRules: BankRules;
  readonly turns: FairTurns;
}

/** A row to judge, with what its file tells. */
export interface SentRow {
  readonly values: CreditTransferRequest;
  /** The line of the file, from 1. */
  readonly line?: number | undefined;
  /** The problems that only the file shows. They replace those of the same fields. */
  readonly problems?: readonly RowProblem[] | undefined;
}

/** The columns of a file, by the fields whose values they have. */
export type FileColumns = Readonly<Partial<Record<keyof CreditTransferRequest, string>>>;

/** The fields of a row. */
const ROW_FIELDS = [
  'amount',
  'currency',
  'counterpartyName',
  'counterpartyIban',
  'counterpartyBic',
  'description',
  'endToEndId',
] as const satisfies readonly (keyof CreditTransferRequest)[];

/** @param first the number of the first row */
export async function judgeOrderRows(
  { reader, rules, bankRules, turns }: JudgePorts,
  { id: orderId, accountId, organizationId }: BulkTransferOrder,
  first: number,
  { rows, columns = {} }: { readonly rows: readonly SentRow[]; readonly columns?: FileColumns },
): Promise<OrderRowRecord[]> {
  const [account] = await reader.accountsById([accountId]);
  if (!account) throw new Error('The account of an order does not exist');
  const ibans = new Set(rows.map(({ values }) => normaliseIban(values.counterpartyIban)));
  const accounts = await reader.accountFactsByIban([...ibans]);
  const records: OrderRowRecord[] = [];
  await inSlices(rows.length, { turns, key: organizationId }, (start, end) => {
    const some = rows.slice(start, end);
    const values = some.map((row) => row.values);
    for (const [offset, judged] of judgeRows(values, account, accounts, rules).entries()) {
      const row = some[offset];
      if (!row) continue;
      const problems = problemsOf(row, judged.problems, bankRules).map(inColumns(columns));
      // The amount that is kept must be the one that was judged.
      const isReadable = kept(row.values.amount) === row.values.amount;
      records.push({
        ...keptValues(row.values),
        orderId,
        rowIndex: BigInt(first + start + offset),
        line: row.line ?? null,
        amountMinor: (isReadable ? judged.amountMinor : undefined) ?? null,
        problemCount: problems.length,
        problemsJson: problems.length === 0 ? null : JSON.stringify(problems),
        isDuplicate: 0,
        hasProblems: problems.length === 0 ? 0 : 1,
      });
    }
  });
  return records;
}

/**
 * Returns the problems of a row. The file knows best what is wrong with a value that it does not write as it should, and
 * a row that cannot be read has no values.
 */
function problemsOf(
  { values, problems: ofFile = [] }: SentRow,
  judged: readonly Problem[],
  bankRules: BankRules,
): RowProblem[] {
  if (ofFile.some(({ field }) => field === 'content')) return [...ofFile];
  const ofBanks = bankRules === 'sepa' ? sepaProblems(values) : [];
  const found = [...judged, ...cutProblems(values), ...ofBanks].filter(
    ({ field, code }, place, all) =>
      !ofFile.some((problem) => problem.field === field) &&
      place === all.findIndex((other) => other.field === field && other.code === code),
  );
  return [...ofFile, ...found];
}

function inColumns(columns: FileColumns): (problem: RowProblem) => RowProblem {
  const columnOf: Readonly<Record<string, string>> = columns;
  return ({ field, code, message, column = columnOf[field] }) => ({ field, code, message, column });
}

/** Returns a problem for each value that is not kept as it was sent. A row is judged, and paid, by what is kept. */
function cutProblems(row: CreditTransferRequest): Problem[] {
  return ROW_FIELDS.flatMap((field) => {
    const value = row[field];
    if (value == null || kept(value) === value) return [];
    const message = `${quote(value)} has more than ${VALUE_CHARACTERS_MAX} characters, or characters that are not Unicode.`;
    return [{ field, code: 'TOO_LONG', message }];
  });
}

function keptValues(row: CreditTransferRequest) {
  return {
    amount: kept(row.amount),
    currency: kept(row.currency),
    counterpartyName: kept(row.counterpartyName),
    counterpartyIban: kept(row.counterpartyIban),
    counterpartyBic: kept(row.counterpartyBic),
    description: kept(row.description),
    endToEndId: kept(row.endToEndId),
  };
}

/** Returns a value as it is kept: databases store no lone surrogates, and nobody needs a longer text. */
function kept(value: string | null | undefined): string | null {
  if (value == null) return null;
  const wellFormed = value.toWellFormed();
  if (wellFormed.length <= VALUE_CHARACTERS_MAX) return wellFormed;
  return Array.from(wellFormed.slice(0, 2 * VALUE_CHARACTERS_MAX))
    .slice(0, VALUE_CHARACTERS_MAX)
    .join('')
    .toWellFormed();
}
