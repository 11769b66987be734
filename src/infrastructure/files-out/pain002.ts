/** The status of a bulk or an order as pain.002.001.10 of ISO 20022, with a status and the reasons for each transfer. */
import type { ExportedTransfer, TransfersContent } from '../../application/ports/exports.js';
import { hasIbanShape, isBic } from '../../domain/iban.js';
import type { OrderStatus } from '../../domain/kinds.js';
import { formatAmount } from '../../domain/money.js';
import type { OrderFailure } from '../../domain/order.js';
import type { ProblemCode } from '../../domain/problem.js';
import { toSepaId } from './sepa-text.js';
import { amountElement, element, parent, textElement, XML_DECLARATION } from './xml.js';

const NAMESPACE = 'urn:iso:std:iso:20022:tech:xsd:pain.002.001.10';

/** The message whose status this is, as far as banks are concerned. */
const ORIGINAL_MESSAGE = 'pain.001.001.09';

const NAME_CHARACTERS_MAX = 70;
const REMITTANCE_CHARACTERS_MAX = 140;
const REASON_CHARACTERS_MAX = 105;
const NOT_PROVIDED = 'NOTPROVIDED';

/** The status of a row that is performed: the account is debited. */
const PERFORMED = 'ACSC';
const REJECTED = 'RJCT';

/** The status of the whole, and of each row that is not performed. */
const STATUSES: Readonly<Record<OrderStatus, readonly [whole: string, row: string]>> = {
  DRAFT: ['RCVD', 'RCVD'],
  SUBMITTED: ['ACTC', 'ACTC'],
  PERFORMED: [PERFORMED, PERFORMED],
  FAILED: [REJECTED, REJECTED],
  CANCELLED: [REJECTED, 'CANC'],
  EXPIRED: [REJECTED, REJECTED],
};

/** The status of the whole if some of its bulks are performed. */
const PARTLY = 'PART';

/** The reason of ISO 20022 for each problem. NARR: the text tells it. */
const REASONS: Readonly<Record<ProblemCode, string>> = {
  REQUIRED: 'NARR',
  TOO_LONG: 'NARR',
  TOO_SHORT: 'NARR',
  TOO_FEW: 'NARR',
  TOO_MANY: 'NARR',
  INVALID_AMOUNT: 'AM12',
  AMOUNT_NOT_POSITIVE: 'AM01',
  AMOUNT_TOO_LARGE: 'AM02',
  TOO_MANY_FRACTION_DIGITS: 'AM12',
  CURRENCY_MISMATCH: 'AM03',
  INVALID_IBAN: 'AC01',
  INVALID_IBAN_CHECKSUM: 'AC01',
  INVALID_BIC: 'RC01',
  INVALID_CHARACTERS: 'NARR',
  INVALID_URL: 'NARR',
  INVALID_DATE: 'DT01',
  INVALID_TIME_ZONE: 'NARR',
  UNREADABLE_FILE: 'FF01',
  MISSING_COLUMN: 'FF01',
  DUPLICATE_COLUMN: 'FF01',
  CELL_COUNT_MISMATCH: 'FF01',
  AMBIGUOUS_AMOUNTS: 'AM12',
  SPREADSHEET_NUMBER: 'FF01',
  ROW_COUNT_MISMATCH: 'AM18',
  CONTROL_SUM_MISMATCH: 'AM10',
  UNSUPPORTED: 'NARR',
  DUPLICATE: 'AM05',
  SAME_ACCOUNT: 'AC01',
  MISMATCH: 'NARR',
};

/** The reason of ISO 20022 for each failure of an order, and its text. */
const FAILURES: Readonly<Record<OrderFailure['code'], readonly [code: string, text: string]>> = {
  INVALID_BULK_TRANSFER: ['NARR', 'Today the rules refuse rows of the order.'],
  INSUFFICIENT_FUNDS: ['AM04', 'The balance does not cover the total.'],
  ACCOUNT_NOT_FOUND: ['AC01', 'The account to debit does not exist.'],
  IDEMPOTENCY_KEY_REUSED: ['AM05', 'The idempotency key was used for another request.'],
};

export async function* writePain002(transfers: TransfersContent): AsyncGenerator<string> {
  yield headOf(transfers);
  let number = 0;
  for await (const page of transfers.pages) {
    const first = number;
    number += page.length;
    yield page.map((row, index) => rowOf(row, first + index, transfers)).join('');
  }
  yield '</OrgnlPmtInfAndSts>\n</CstmrPmtStsRpt></Document>\n';
}

function headOf(transfers: TransfersContent): string {
  const { id, createdAt, account, subjectId, transferCount } = transfers;
  const { totalAmountMinor } = transfers;
  const originalId = subjectId.replaceAll('-', '');
  const count = element('OrgnlNbOfTxs', String(transferCount));
  const sum =
    totalAmountMinor === null
      ? ''
      : element('OrgnlCtrlSum', formatAmount(totalAmountMinor, account.currency));
  const status = wholeStatusOf(transfers);
  return [
    XML_DECLARATION,
    `<Document xmlns="${NAMESPACE}"><CstmrPmtStsRpt>\n`,
    parent(
      'GrpHdr',
      element('MsgId', id),
      element('CreDtTm', createdAt.toISOString()),
      parent('InitgPty', textElement('Nm', account.organizationName, NAME_CHARACTERS_MAX)),
      parent('DbtrAgt', parent('FinInstnId', element('BICFI', account.bic))),
    ),
    '\n',
    parent(
      'OrgnlGrpInfAndSts',
      element('OrgnlMsgId', originalId),
      element('OrgnlMsgNmId', ORIGINAL_MESSAGE),
      count,
      sum,
      element('GrpSts', status),
      failureOf(transfers),
    ),
    `\n<OrgnlPmtInfAndSts>${element('OrgnlPmtInfId', originalId)}${count}${sum}`,
    `${element('PmtInfSts', status)}\n`,
  ].join('');
}

function wholeStatusOf({ status, performedCount, transferCount }: TransfersContent): string {
  const isPartly = performedCount > 0 && performedCount < transferCount;
  return isPartly ? PARTLY : STATUSES[status][0];
}

function failureOf({ failure, status }: TransfersContent): string {
  if (failure) return reason(...FAILURES[failure.code]);
  if (status === 'EXPIRED')
    return reason('NARR', 'The order expired, because nobody submitted it.');
  return status === 'CANCELLED' ? reason('NARR', 'The order was cancelled.') : '';
}

function reason(code: string, text: string): string {
  return parent(
    'StsRsnInf',
    parent('Rsn', element('Cd', code)),
    textElement('AddtlInf', text, REASON_CHARACTERS_MAX),
  );
}

function rowOf(row: ExportedTransfer, number: number, transfers: TransfersContent): string {
  const isPerformed = number < transfers.performedCount;
  const isRejected = !isPerformed && row.problems.length > 0;
  const open = isRejected ? REJECTED : STATUSES[transfers.status][1];
  const content = [
    element('StsId', String(number + 1)),
    element('OrgnlEndToEndId', toSepaId(row.endToEndId ?? '') || NOT_PROVIDED),
    element('TxSts', isPerformed ? PERFORMED : open),
    ...(isPerformed ? [] : row.problems.map(({ code, message }) => reason(REASONS[code], message))),
    isPerformed && transfers.performedAt
      ? element('AccptncDtTm', transfers.performedAt.toISOString())
      : '',
    originalOf(row, transfers),
  ];
  return `${parent('TxInfAndSts', ...content)}\n`;
}

/** Returns what the row asked for, as far as it is well-formed. */
function originalOf(row: ExportedTransfer, { account }: TransfersContent): string {
  const { amountMinor, counterpartyName, counterpartyIban, counterpartyBic, description } = row;
  const iban = counterpartyIban ?? '';
  const bic = counterpartyBic ?? '';
  return parent(
    'OrgnlTxRef',
    amountMinor === null || amountMinor < 0n
      ? ''
      : parent('Amt', amountElement('InstdAmt', amountMinor, account.currency)),
    parent('RmtInf', textElement('Ustrd', description, REMITTANCE_CHARACTERS_MAX)),
    parent('DbtrAcct', parent('Id', element('IBAN', account.iban))),
    isBic(bic, 'format') ? parent('CdtrAgt', parent('FinInstnId', element('BICFI', bic))) : '',
    parent('Cdtr', parent('Pty', textElement('Nm', counterpartyName, NAME_CHARACTERS_MAX))),
    hasIbanShape(iban) ? parent('CdtrAcct', parent('Id', element('IBAN', iban))) : '',
  );
}
