/**
 * Statements as camt.053.001.08 of ISO 20022: OPBD + the entries = CLBD, exactly. A bulk is one entry with the number of
 * its transfers. A credit from accounts of this server has the transfers that it consists of.
 */
import type { StatementContent, StatementEntry } from '../../application/ports/exports.js';
import type { LedgerEntryKind } from '../../domain/kinds.js';
import { formatAmount } from '../../domain/money.js';
import { inTimeZone } from '../../domain/time-zone.js';
import type { IncomingTransfer } from '../../entities/incoming-transfer.entity.js';
import { toSepaId } from './sepa-text.js';
import {
  amountElement,
  creditDebit,
  element,
  parent,
  textElement,
  XML_DECLARATION,
} from './xml.js';

const NAMESPACE = 'urn:iso:std:iso:20022:tech:xsd:camt.053.001.08';

const NAME_CHARACTERS_MAX = 70;
const REMITTANCE_CHARACTERS_MAX = 140;

/** The end-to-end id of a transfer that has none. */
const NOT_PROVIDED = 'NOTPROVIDED';

/** The family of each kind of entry: issued or received credit transfers. ESCT is a SEPA credit transfer. */
const FAMILIES: Readonly<Record<LedgerEntryKind, readonly [family: string, subFamily: string]>> = {
  BULK_TRANSFER: ['ICDT', 'ESCT'],
  INCOMING_TRANSFER: ['RCDT', 'ESCT'],
  BOOK_TRANSFER: ['RCDT', 'BOOK'],
};

export async function* writeCamt053(statement: StatementContent): AsyncGenerator<string> {
  yield headOf(statement);
  for await (const page of statement.pages) yield page.map(entryOf).join('');
  yield '</Stmt>\n</BkToCstmrStmt></Document>\n';
}

function headOf(statement: StatementContent): string {
  const { id, createdAt, account, days, startsAt, endsAt } = statement;
  const at = element('CreDtTm', createdAt.toISOString());
  const lastMoment = new Date(endsAt.getTime() - 1);
  return [
    XML_DECLARATION,
    `<Document xmlns="${NAMESPACE}"><BkToCstmrStmt>\n`,
    parent('GrpHdr', element('MsgId', id), at),
    `\n<Stmt>${element('Id', id)}${at}`,
    parent(
      'FrToDt',
      element('FrDtTm', inTimeZone(startsAt, days.timeZone)),
      element('ToDtTm', inTimeZone(lastMoment, days.timeZone)),
    ),
    parent(
      'Acct',
      parent('Id', element('IBAN', account.iban)),
      element('Ccy', account.currency),
      parent('Ownr', textElement('Nm', account.organizationName, NAME_CHARACTERS_MAX)),
      parent('Svcr', parent('FinInstnId', element('BICFI', account.bic))),
    ),
    balance('OPBD', statement.openingBalanceMinor, account.currency, days.from),
    balance('CLBD', statement.closingBalanceMinor, account.currency, days.to),
    totalsOf(statement),
    '\n',
  ].join('');
}

function balance(code: string, minorUnits: bigint, currency: string, day: string): string {
  return parent(
    'Bal',
    parent('Tp', parent('CdOrPrtry', element('Cd', code))),
    amountElement('Amt', minorUnits, currency),
    creditDebit(minorUnits),
    parent('Dt', element('Dt', day)),
  );
}

/** Returns the totals that need no read: the number of entries, and their sum. */
function totalsOf(statement: StatementContent): string {
  const { openingBalanceMinor, closingBalanceMinor, entryCount, account } = statement;
  const net = closingBalanceMinor - openingBalanceMinor;
  const amount = formatAmount(net < 0n ? -net : net, account.currency);
  return parent(
    'TxsSummry',
    parent(
      'TtlNtries',
      element('NbOfNtries', String(entryCount)),
      parent('TtlNetNtry', element('Amt', amount), creditDebit(net)),
    ),
  );
}

function entryOf({ entry, day, transferCount, incomingTransfers }: StatementEntry): string {
  const { sequence, amountMinor, currency, kind, description } = entry;
  const [family, subFamily] = FAMILIES[kind];
  const content = [
    element('NtryRef', String(sequence)),
    amountElement('Amt', amountMinor, currency),
    creditDebit(amountMinor),
    parent('Sts', element('Cd', 'BOOK')),
    parent('BookgDt', element('Dt', day)),
    parent('ValDt', element('Dt', day)),
    element('AcctSvcrRef', withoutHyphens(entry.id)),
    parent(
      'BkTxCd',
      parent(
        'Domn',
        element('Cd', 'PMNT'),
        parent('Fmly', element('Cd', family), element('SubFmlyCd', subFamily)),
      ),
    ),
    detailsOf({ entry, transferCount, incomingTransfers }),
    textElement('AddtlNtryInf', description, REMITTANCE_CHARACTERS_MAX),
  ];
  return `${parent('Ntry', ...content)}\n`;
}

function detailsOf({
  entry,
  transferCount,
  incomingTransfers,
}: Omit<StatementEntry, 'day'>): string {
  const isBatch = entry.kind === 'BULK_TRANSFER' || (transferCount ?? 0) > 1;
  const batch =
    isBatch && transferCount !== undefined
      ? parent(
          'Btch',
          entry.bulkTransferId === null
            ? ''
            : element('PmtInfId', withoutHyphens(entry.bulkTransferId)),
          element('NbOfTxs', String(transferCount)),
          amountElement('TtlAmt', entry.amountMinor, entry.currency),
          creditDebit(entry.amountMinor),
        )
      : '';
  return parent('NtryDtls', batch, ...incomingTransfers.map(transferOf));
}

function transferOf(transfer: IncomingTransfer): string {
  const { id, amountMinor, currency, counterpartyName, counterpartyIban } = transfer;
  return parent(
    'TxDtls',
    parent(
      'Refs',
      element('AcctSvcrRef', withoutHyphens(id)),
      element('EndToEndId', toSepaId(transfer.endToEndId ?? '') || NOT_PROVIDED),
    ),
    amountElement('Amt', amountMinor, currency),
    creditDebit(amountMinor),
    parent(
      'RltdPties',
      parent('Dbtr', parent('Pty', textElement('Nm', counterpartyName, NAME_CHARACTERS_MAX))),
      parent('DbtrAcct', parent('Id', element('IBAN', counterpartyIban))),
    ),
    parent('RmtInf', textElement('Ustrd', transfer.description, REMITTANCE_CHARACTERS_MAX)),
  );
}

/** Returns a UUID without hyphens. ISO 20022 allows 35 characters. */
function withoutHyphens(id: string): string {
  return id.replaceAll('-', '');
}
