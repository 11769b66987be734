/**
 * The published events, as CloudEvents 1.0 in JSON. docs/events.md has an example of each, and docs/events/ has a
 * JSON Schema of each. An event is made from rows that never change and is always the same. Its id is the id of its
 * row, so a consumer recognises a duplicate.
 */
import type { EventKind } from '../../domain/kinds.js';
import { formatAmount } from '../../domain/money.js';
import type { Account } from '../../entities/account.entity.js';
import type { BulkTransfer } from '../../entities/bulk-transfer.entity.js';
import type { IncomingTransfer } from '../../entities/incoming-transfer.entity.js';
import type { LedgerEntry } from '../../entities/ledger-entry.entity.js';
import type { OrderTransition } from '../../entities/order-transition.entity.js';
import type { OutboxMessage } from '../../entities/outbox-message.entity.js';
import type { Transfer } from '../../entities/transfer.entity.js';

/** An event in the structured mode of CloudEvents 1.0. */
export interface CloudEvent {
  readonly specversion: '1.0';
  /** The unique id of the event. It is the same each time the event is published. */
  readonly id: string;
  readonly source: string;
  readonly type: string;
  /** The IBAN of the account of the event; the id of the webhook for a test event. */
  readonly subject: string;
  readonly time: string;
  readonly datacontenttype: 'application/json';
  /** The W3C trace context of the request that caused the event. */
  readonly traceparent?: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** An event and its destination. */
export interface EventMessage {
  readonly kind: EventKind;
  readonly accountIban: string;
  readonly event: CloudEvent;
}

/** The fields of an outbox message that identify its events. */
export type MessageFacts = Pick<OutboxMessage, 'type' | 'subjectId' | 'sequence' | 'traceparent'>;

export const CLOUD_EVENTS_JSON = 'application/cloudevents+json';

const SOURCE = '/virement';

type EventData = Readonly<Record<string, unknown>>;

/** The ledger row from which each kind of event is made. */
export interface EventRows {
  'bulk-transfer.performed': BulkTransfer;
  'transfer.performed': Transfer;
  'account.credited': LedgerEntry;
  'transfer.received': IncomingTransfer;
  'order.changed': OrderTransition;
}

/**
 * Makes the data of each kind of event, without the data of the account. A kind without an entry does not compile.
 */
const DATA_OF: {
  readonly [Kind in EventKind]: (row: EventRows[Kind], account: Account) => EventData;
} = {
  'bulk-transfer.performed': (bulkTransfer) => ({
    bulkTransferId: bulkTransfer.id,
    sequence: bulkTransfer.sequence.toString(),
    idempotencyKey: bulkTransfer.idempotencyKey,
    transferCount: bulkTransfer.transferCount,
    total: moneyData(bulkTransfer.totalAmountMinor, bulkTransfer.currency),
    balanceAfter: moneyData(bulkTransfer.balanceAfterMinor, bulkTransfer.currency),
  }),
  'transfer.performed': (transfer) => ({
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
  }),
  'account.credited': (entry) => ({
    ledgerEntryId: entry.id,
    bulkTransferId: entry.bulkTransferId,
    sequence: entry.sequence.toString(),
    kind: entry.kind,
    money: moneyData(entry.amountMinor, entry.currency),
    balanceAfter: moneyData(entry.balanceAfterMinor, entry.currency),
    description: entry.description,
  }),
  'transfer.received': (transfer) => ({
    incomingTransferId: transfer.id,
    sequence: transfer.sequence.toString(),
    money: moneyData(transfer.amountMinor, transfer.currency),
    payerName: transfer.counterpartyName,
    payerIban: transfer.counterpartyIban,
    description: transfer.description,
    endToEndId: transfer.endToEndId,
  }),
  'order.changed': (transition, { currency }) => ({
    orderId: transition.orderId,
    sequence: transition.sequence.toString(),
    previousStatus: transition.previousStatus,
    status: transition.status,
    rowCount: transition.rowCount,
    total:
      transition.totalAmountMinor === null
        ? null
        : moneyData(transition.totalAmountMinor, currency),
    performedBulks: transition.performedBulks,
    failureCode: transition.failureCode,
  }),
};

/**
 * Makes the event of a row.
 * @param account the account of the event; for transfer.received, the payee's account
 */
export function eventOf<Kind extends EventKind>(
  kind: Kind,
  row: EventRows[Kind],
  account: Account,
  traceparent: string | null,
): EventMessage {
  return {
    kind,
    accountIban: account.iban,
    event: {
      specversion: '1.0',
      id: row.id,
      source: SOURCE,
      type: `virement.${kind}.v1`,
      subject: account.iban,
      time: row.createdAt.toISOString(),
      datacontenttype: 'application/json',
      ...(traceparent !== null && { traceparent }),
      data: { ...accountData(account), ...DATA_OF[kind](row, account) },
    },
  };
}

/** Makes the event by which a company tries its webhook. It is about no account. */
export function testEvent({
  eventId,
  webhookId,
  createdAt,
}: {
  readonly eventId: string;
  readonly webhookId: string;
  readonly createdAt: Date;
}): CloudEvent {
  return {
    specversion: '1.0',
    id: eventId,
    source: SOURCE,
    type: 'virement.webhook.test.v1',
    subject: webhookId,
    time: createdAt.toISOString(),
    datacontenttype: 'application/json',
    data: { webhookId },
  };
}

function accountData(account: Account): EventData {
  return {
    accountId: account.id,
    accountIban: account.iban,
    accountBic: account.bic,
    organizationId: account.organizationId,
    organizationName: account.organizationName,
  };
}

/** Returns an amount in major and in minor units, as strings, because neither fits a JSON number. */
function moneyData(minorUnits: bigint, currency: string): EventData {
  return {
    amount: formatAmount(minorUnits, currency),
    minorUnits: minorUnits.toString(),
    currency,
  };
}
