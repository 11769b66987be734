/**
 * What we tell the world, as CloudEvents 1.0 in JSON: docs/events.md has an example of each, and
 * docs/events/ a JSON Schema. An event is made from the ledger alone, and always comes out the same:
 * its id is that of the row it tells of, so that whoever sees it twice can tell.
 */
import { formatAmount } from '../../domain/money.js';
import type { Account } from '../../entities/account.entity.js';
import type { BulkTransfer } from '../../entities/bulk-transfer.entity.js';
import type { IncomingTransfer } from '../../entities/incoming-transfer.entity.js';
import type { LedgerEntry } from '../../entities/ledger-entry.entity.js';
import type { Transfer } from '../../entities/transfer.entity.js';
import type { EventKind } from '../broker/topology.js';

/** An event in the structured mode of CloudEvents 1.0. */
export interface CloudEvent {
  readonly specversion: '1.0';
  /** Unique, and the same however often it is published. */
  readonly id: string;
  readonly source: string;
  readonly type: string;
  /** IBAN of the account that it is about. */
  readonly subject: string;
  readonly time: string;
  readonly datacontenttype: 'application/json';
  /** W3C trace context of the request that made it happen. */
  readonly traceparent?: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** An event on its way, and where it goes. */
export interface EventMessage {
  readonly kind: EventKind;
  readonly accountIban: string;
  readonly event: CloudEvent;
}

export const CLOUD_EVENTS_JSON = 'application/cloudevents+json';

const SOURCE = '/virement';

interface Happening {
  readonly kind: EventKind;
  readonly id: string;
  readonly account: Account;
  readonly at: Date;
  readonly traceparent: string | null;
  readonly data: Readonly<Record<string, unknown>>;
}

function messageOf({ kind, id, account, at, traceparent, data }: Happening): EventMessage {
  return {
    kind,
    accountIban: account.iban,
    event: {
      specversion: '1.0',
      id,
      source: SOURCE,
      type: `virement.${kind}.v1`,
      subject: account.iban,
      time: at.toISOString(),
      datacontenttype: 'application/json',
      ...(traceparent !== null && { traceparent }),
      data: { ...accountData(account), ...data },
    },
  };
}

function accountData(account: Account) {
  return {
    accountId: account.id,
    accountIban: account.iban,
    accountBic: account.bic,
    organizationId: account.organizationId,
    organizationName: account.organizationName,
  };
}

/** In major units as a decimal string, and in minor units as a string of digits: neither fits a JSON number. */
function moneyData(minorUnits: bigint, currency: string) {
  return {
    amount: formatAmount(minorUnits, currency),
    minorUnits: minorUnits.toString(),
    currency,
  };
}

export function bulkTransferPerformed(
  bulkTransfer: BulkTransfer,
  account: Account,
  traceparent: string | null,
): EventMessage {
  const { currency } = bulkTransfer;
  return messageOf({
    kind: 'bulk-transfer.performed',
    id: bulkTransfer.id,
    account,
    at: bulkTransfer.createdAt,
    traceparent,
    data: {
      bulkTransferId: bulkTransfer.id,
      sequence: bulkTransfer.sequence.toString(),
      idempotencyKey: bulkTransfer.idempotencyKey,
      transferCount: bulkTransfer.transferCount,
      total: moneyData(bulkTransfer.totalAmountMinor, currency),
      balanceAfter: moneyData(bulkTransfer.balanceAfterMinor, currency),
    },
  });
}

export function transferPerformed(
  transfer: Transfer,
  account: Account,
  traceparent: string | null,
): EventMessage {
  return messageOf({
    kind: 'transfer.performed',
    id: transfer.id,
    account,
    at: transfer.createdAt,
    traceparent,
    data: {
      transferId: transfer.id,
      bulkTransferId: transfer.bulkTransferId,
      sequence: transfer.sequence.toString(),
      index: transfer.index,
      money: moneyData(transfer.amountMinor, transfer.currency),
      counterpartyName: transfer.counterpartyName,
      counterpartyIban: transfer.counterpartyIban,
      counterpartyBic: transfer.counterpartyBic,
      description: transfer.description,
      endToEndId: transfer.endToEndId,
    },
  });
}

export function accountCredited(
  entry: LedgerEntry,
  account: Account,
  traceparent: string | null,
): EventMessage {
  return messageOf({
    kind: 'account.credited',
    id: entry.id,
    account,
    at: entry.createdAt,
    traceparent,
    data: {
      ledgerEntryId: entry.id,
      bulkTransferId: entry.bulkTransferId,
      sequence: entry.sequence.toString(),
      kind: entry.kind,
      money: moneyData(entry.amountMinor, entry.currency),
      balanceAfter: moneyData(entry.balanceAfterMinor, entry.currency),
      description: entry.description,
    },
  });
}

/** @param account of the payee */
export function transferReceived(
  transfer: IncomingTransfer,
  account: Account,
  traceparent: string | null,
): EventMessage {
  return messageOf({
    kind: 'transfer.received',
    id: transfer.id,
    account,
    at: transfer.createdAt,
    traceparent,
    data: {
      incomingTransferId: transfer.id,
      sequence: transfer.sequence.toString(),
      money: moneyData(transfer.amountMinor, transfer.currency),
      payerName: transfer.counterpartyName,
      payerIban: transfer.counterpartyIban,
      description: transfer.description,
      endToEndId: transfer.endToEndId,
    },
  });
}
