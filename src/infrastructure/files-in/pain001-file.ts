/**
 * Reads files of credit transfers in pain.001 of ISO 20022, versions 03 and 09.
 *
 * The first reading checks the whole document, counts the rows and adds the amounts of each payment. The second reading
 * yields the rows. Both hold the rows of one piece of text in memory.
 */

import type {
  FileBytes,
  FileOrder,
  FileRow,
  ReadOrderFile,
} from '../../application/ports/order-file.js';
import type { CreditTransferRequest } from '../../domain/bulk-transfer.js';
import { normaliseIban } from '../../domain/iban.js';
import {
  ORDER_FILE_BATCH_ROWS_MAX,
  ORDER_FILE_ORDERS_MAX,
  ORDER_FILE_ROWS_MAX,
  type OrderFileWarning,
} from '../../domain/order-file.js';
import type { FileProblem } from '../../domain/order-warnings.js';
import { quote } from '../../domain/problem.js';
import { ControlSum, plainDecimal } from './control-sum.js';
import {
  type Elements,
  type Kept,
  Pain001Elements,
  type Pain001Sink,
  type PainVersion,
} from './pain001-elements.js';
import { decodedText, type TextEncoding, xmlEncoding } from './text-decoding.js';
import { fileProblem, refusedFile, unreadableFile } from './unreadable-file.js';
import { XmlReader } from './xml-reader.js';

const ROW = 'CdtTrfTxInf';

/** The paths of the fields below PmtInf. */
const COLUMNS = {
  amount: `${ROW}/Amt/InstdAmt`,
  currency: `${ROW}/Amt/InstdAmt/@Ccy`,
  counterpartyName: `${ROW}/Cdtr/Nm`,
  counterpartyIban: `${ROW}/CdtrAcct/Id/IBAN`,
  counterpartyBic: `${ROW}/CdtrAgt/FinInstnId/BICFI`,
  description: `${ROW}/RmtInf/Ustrd`,
  endToEndId: `${ROW}/PmtId/EndToEndId`,
} as const satisfies Record<keyof CreditTransferRequest, string>;

/** The elements that are read where those above are not there. */
const OTHER_ACCOUNT = `${ROW}/CdtrAcct/Id/Othr/Id`;
const OTHER_BIC = `${ROW}/CdtrAgt/FinInstnId/BIC`;
const EQUIVALENT_AMOUNT = `${ROW}/Amt/EqvtAmt/Amt`;
const STRUCTURED_REFERENCE = `${ROW}/RmtInf/Strd/CdtrRefInf/Ref`;

/** The text that means that there is no value. Source: EPC132-08, and ISO 20022 for the end-to-end id. */
const NOT_PROVIDED = 'NOTPROVIDED';

export const readPain001File: ReadOrderFile = async (file) => {
  const encoding = await xmlEncoding(file);
  const survey = new Survey();
  const reader = new XmlReader(new Pain001Elements(survey));
  for await (const piece of decodedText(file, encoding)) reader.write(piece);
  reader.end();
  return { orders: survey.orders(), columns: COLUMNS, rows: () => rowsOf(file, encoding) };
};

async function* rowsOf(
  file: FileBytes,
  encoding: TextEncoding,
): AsyncGenerator<readonly FileRow[]> {
  const rows = new Rows();
  const reader = new XmlReader(new Pain001Elements(rows));
  for await (const piece of decodedText(file, encoding)) {
    reader.write(piece);
    while (rows.count >= ORDER_FILE_BATCH_ROWS_MAX) yield rows.take();
  }
  reader.end();
  if (rows.count > 0) yield rows.take();
}

/** What the first reading finds about a payment. */
interface Payment {
  readonly elements: Elements;
  readonly sum: ControlSum;
  readonly addressCount: number;
  readonly firstAddress: { readonly path: string; readonly line: number } | undefined;
}

/** The first reading. */
class Survey implements Pain001Sink {
  #version: PainVersion = '09';
  #group: Elements | undefined;
  readonly #payments: Payment[] = [];
  readonly #total = new ControlSum();
  #sum = new ControlSum();
  #addressCount = 0;
  #firstAddress: Payment['firstAddress'];

  version(version: PainVersion): void {
    this.#version = version;
  }

  group(elements: Elements): void {
    if (this.#group) throw unreadableFile('The file has two headers.', elements.line);
    this.#group = elements;
  }

  startPayment(line: number): void {
    if (this.#payments.length === ORDER_FILE_ORDERS_MAX) {
      const message = `A file has at most ${ORDER_FILE_ORDERS_MAX} payments (PmtInf). Divide it into several files.`;
      throw refusedFile([fileProblem('TOO_MANY', message, line)]);
    }
    this.#sum = new ControlSum();
    this.#addressCount = 0;
    this.#firstAddress = undefined;
  }

  row({ line, texts }: Elements): void {
    const amount = plainDecimal(texts.get(COLUMNS.amount)?.text ?? '');
    this.#sum.add(amount);
    this.#total.add(amount);
    if (this.#total.count > ORDER_FILE_ROWS_MAX) {
      const max = ORDER_FILE_ROWS_MAX.toLocaleString('en');
      const message = `A file has at most ${max} rows. Divide it into several files.`;
      throw refusedFile([fileProblem('TOO_MANY', message, line)]);
    }
  }

  unstructuredAddress(path: string, line: number): void {
    this.#addressCount += 1;
    this.#firstAddress ??= { path, line };
  }

  endPayment(elements: Elements): void {
    const method = elements.texts.get('PmtMtd');
    if (method !== undefined && method.text !== 'TRF') {
      const message = `The payment method is ${quote(method.text)}. Only TRF, a credit transfer, is performed.`;
      throw unreadableFile(message, method.line);
    }
    this.#payments.push({
      elements,
      sum: this.#sum,
      addressCount: this.#addressCount,
      firstAddress: this.#firstAddress,
    });
  }

  orders(): FileOrder[] {
    if (this.#payments.length === 0) throw unreadableFile('The file has no payment (PmtInf).');
    const ofGroup = groupProblems(this.#group, this.#total);
    return this.#payments.map((payment) => orderOf(payment, this.#version, ofGroup));
  }
}

/** Returns the problems of the header, which are problems of every order of the file. */
function groupProblems(group: Elements | undefined, total: ControlSum): FileProblem[] {
  const problems = sumProblems(group, total, 'GrpHdr/');
  const column = 'GrpHdr/NbOfTxs';
  if (group?.texts.has(column)) return problems;
  const message = 'The header does not say how many transactions the file has (NbOfTxs).';
  const missing = { field: 'creditTransfers', code: 'REQUIRED', message } as const;
  return [{ ...missing, line: group?.line, column }, ...problems];
}

function sumProblems(
  elements: Elements | undefined,
  sum: ControlSum,
  prefix: string,
): FileProblem[] {
  const problems: FileProblem[] = [];
  const field = 'creditTransfers';
  const count = elements?.texts.get(`${prefix}NbOfTxs`);
  if (count && !isCount(count.text, sum.count)) {
    const message = `${prefix}NbOfTxs is ${quote(count.text)}, but the number of transactions is ${sum.count}.`;
    const place = { field, line: count.line, column: `${prefix}NbOfTxs` };
    problems.push({ ...place, code: 'ROW_COUNT_MISMATCH', message });
  }
  const control = elements?.texts.get(`${prefix}CtrlSum`);
  if (control && sum.differsFrom(control.text)) {
    const message = `${prefix}CtrlSum is ${quote(control.text)}, but the sum of the amounts is ${sum}.`;
    const place = { field, line: control.line, column: `${prefix}CtrlSum` };
    problems.push({ ...place, code: 'CONTROL_SUM_MISMATCH', message });
  }
  return problems;
}

function isCount(text: string, count: number): boolean {
  return /^[0-9]{1,15}$/.test(text) && Number(text) === count;
}

function orderOf(
  payment: Payment,
  version: PainVersion,
  ofGroup: readonly FileProblem[],
): FileOrder {
  const { elements, sum } = payment;
  const iban = elements.texts.get('DbtrAcct/Id/IBAN')?.text ?? '';
  const date = executionDateOf(elements);
  return {
    name: elements.texts.get('PmtInfId')?.text || null,
    organizationIban: iban === '' ? null : normaliseIban(iban),
    executionDate: date?.day ?? null,
    rowCount: sum.count,
    problems: [
      ...debtorProblems(elements, iban),
      ...(date?.problem ? [date.problem] : []),
      ...(sum.count === 0 ? [noRows(elements)] : []),
      ...sumProblems(elements, sum, ''),
      ...ofGroup,
    ],
    warnings: [
      ...(version === '03' ? [OUTDATED] : []),
      ...(date?.warning ? [date.warning] : []),
      ...addressWarnings(payment),
    ],
  };
}

const OUTDATED: OrderFileWarning = {
  code: 'FORMAT_OUTDATED',
  field: 'content',
  message:
    'The file is pain.001.001.03, which banks stopped accepting in November 2026. It is read, but write pain.001.001.09.',
};

function noRows({ line }: Elements): FileProblem {
  const message = 'The payment has no transactions (CdtTrfTxInf).';
  return { field: 'creditTransfers', code: 'TOO_FEW', line, column: ROW, message };
}

function debtorProblems({ line, texts }: Elements, iban: string): FileProblem[] {
  const problems: FileProblem[] = [];
  if (!texts.has('PmtMtd')) {
    const message = 'The payment has no payment method (PmtMtd): TRF is expected.';
    problems.push({ field: 'content', code: 'REQUIRED', line, column: 'PmtMtd', message });
  }
  if (iban !== '') return problems;
  const field = 'organizationIban';
  const other = texts.get('DbtrAcct/Id/Othr/Id');
  if (other) {
    const message = `The account ${quote(other.text)} has no IBAN. Only accounts with an IBAN are debited.`;
    const place = { field, line: other.line, column: 'DbtrAcct/Id/Othr/Id' };
    return [...problems, { ...place, code: 'UNSUPPORTED', message }];
  }
  const message = 'The payment does not name the account to debit.';
  const place = { field, line, column: 'DbtrAcct/Id/IBAN' };
  return [...problems, { ...place, code: 'REQUIRED', message }];
}

interface ExecutionDate {
  readonly day?: string;
  readonly problem?: FileProblem;
  readonly warning?: OrderFileWarning;
}

/** The elements of the day of execution: a date or a time in version 09, and text in version 03. */
const EXECUTION_DATES = ['ReqdExctnDt/Dt', 'ReqdExctnDt/DtTm', 'ReqdExctnDt'];

function executionDateOf({ texts }: Elements): ExecutionDate | undefined {
  for (const column of EXECUTION_DATES) {
    const kept = texts.get(column);
    if (kept !== undefined && kept.text !== '') return readExecutionDate(kept, column);
  }
  return undefined;
}

function readExecutionDate({ text, line }: Kept, column: string): ExecutionDate {
  const place = { field: 'executionDate', line, column };
  const day = dayOf(text);
  if (day === undefined) {
    const message = `${quote(text)} is not a date such as 2026-11-30.`;
    return { problem: { ...place, code: 'INVALID_DATE', message } };
  }
  // A day that begins earlier or later where the user is only adds or leaves out a warning.
  if (day === new Date().toISOString().slice(0, 10)) return { day };
  const message = `The file asks for ${day}. The day is kept, but the order is performed when it is submitted.`;
  return { day, warning: { ...place, code: 'EXECUTION_DATE_KEPT', message } };
}

/** Returns the day of an ISO date, which may have a time or a time zone; undefined for another text. */
function dayOf(text: string): string | undefined {
  const [, day] =
    /^([0-9]{4}-[0-9]{2}-[0-9]{2})(?:T[0-9:.]{5,20})?(?:Z|[+-][0-9]{2}:[0-9]{2})?$/.exec(text) ??
    [];
  if (day === undefined) return undefined;
  const date = new Date(`${day}T00:00:00Z`);
  const isReal = !Number.isNaN(date.getTime()) && date.toISOString().startsWith(day);
  return isReal ? day : undefined;
}

function addressWarnings({ addressCount, firstAddress }: Payment): OrderFileWarning[] {
  if (firstAddress === undefined) return [];
  const { path, line } = firstAddress;
  const count = addressCount === 1 ? 'An address has' : `${addressCount} addresses have`;
  const message = `${count} lines without a town and a country (TwnNm, Ctry). Banks refuse such addresses since 15 November 2026.`;
  return [{ code: 'UNSTRUCTURED_ADDRESS', field: 'content', line, column: path, message }];
}

/** The second reading: the rows that are not yet taken. */
class Rows implements Pain001Sink {
  readonly #rows: FileRow[] = [];
  #order = -1;

  get count(): number {
    return this.#rows.length;
  }

  take(): readonly FileRow[] {
    return this.#rows.splice(0, ORDER_FILE_BATCH_ROWS_MAX);
  }

  version(): void {}

  group(): void {}

  startPayment(): void {
    this.#order += 1;
  }

  unstructuredAddress(): void {}

  row(elements: Elements): void {
    this.#rows.push(rowOf(elements, this.#order));
  }

  endPayment(): void {}
}

function rowOf({ line, texts }: Elements, order: number): FileRow {
  const textOf = (path: string) => texts.get(path)?.text ?? '';
  const amount = texts.get(COLUMNS.amount);
  const currency = amount?.currency?.trim();
  const bic = providedOf(textOf(COLUMNS.counterpartyBic) || textOf(OTHER_BIC));
  const endToEndId = providedOf(textOf(COLUMNS.endToEndId));
  const values: CreditTransferRequest = {
    amount: plainDecimal(amount?.text ?? ''),
    ...(currency ? { currency } : {}),
    counterpartyName: textOf(COLUMNS.counterpartyName),
    counterpartyIban: textOf(COLUMNS.counterpartyIban),
    ...(bic === undefined ? {} : { counterpartyBic: bic }),
    description: textOf(COLUMNS.description) || textOf(STRUCTURED_REFERENCE),
    ...(endToEndId === undefined ? {} : { endToEndId }),
  };
  return { order, line, values, problems: rowProblems(texts) };
}

/** Returns a text; undefined if it is empty or says that there is no value. */
function providedOf(text: string): string | undefined {
  return text === '' || text === NOT_PROVIDED ? undefined : text;
}

function rowProblems(texts: Elements['texts']): FileProblem[] {
  const problems: FileProblem[] = [];
  const equivalent = texts.get(EQUIVALENT_AMOUNT);
  if (equivalent) {
    const message =
      'The amount is to be converted from another currency (EqvtAmt). Write InstdAmt instead.';
    const place = { field: 'amount', line: equivalent.line, column: EQUIVALENT_AMOUNT };
    problems.push({ ...place, code: 'UNSUPPORTED', message });
  }
  const account = texts.get(OTHER_ACCOUNT);
  if (account) {
    const message = `The account ${quote(account.text)} has no IBAN. Only accounts with an IBAN are credited.`;
    const place = { field: 'counterpartyIban', line: account.line, column: OTHER_ACCOUNT };
    problems.push({ ...place, code: 'UNSUPPORTED', message });
  }
  const amount = texts.get(COLUMNS.amount);
  if (amount && !amount.currency) {
    const message = 'The amount has no currency (Ccy).';
    const place = { field: 'currency', line: amount.line, column: COLUMNS.currency };
    problems.push({ ...place, code: 'REQUIRED', message });
  }
  return problems;
}
