/** Presents the ledger's entities as types of the API. Each type has one function, and each row is made once. */
import type { ClassType } from 'type-graphql';
import type { ListPage, Place, Position } from '../application/ports/page.js';
import type { AccountStatement } from '../application/read-statement.js';
import { formatAmount } from '../domain/money.js';
import type { Account } from '../entities/account.entity.js';
import type { BulkTransfer } from '../entities/bulk-transfer.entity.js';
import type { DeadLetter } from '../entities/dead-letter.entity.js';
import type { IncomingTransfer } from '../entities/incoming-transfer.entity.js';
import type { LedgerEntry } from '../entities/ledger-entry.entity.js';
import type { Organization } from '../entities/organization.entity.js';
import type { Transfer } from '../entities/transfer.entity.js';
import type { Webhook } from '../entities/webhook.entity.js';
import type { WebhookAttempt } from '../entities/webhook-attempt.entity.js';
import type { WebhookDelivery } from '../entities/webhook-delivery.entity.js';
import { AccountType } from '../schema/account.js';
import { BulkTransferType } from '../schema/bulk-transfer.js';
import { DeadLetterType } from '../schema/dead-letter.js';
import { IncomingTransferType } from '../schema/incoming-transfer.js';
import { LedgerEntryType } from '../schema/ledger-entry.js';
import { MoneyType } from '../schema/money.js';
import { OrganizationType } from '../schema/organization.js';
import type { Connection } from '../schema/page.js';
import { StatementType } from '../schema/statement.js';
import { TransferType } from '../schema/transfer.js';
import { WebhookAttemptType, WebhookDeliveryType, WebhookType } from '../schema/webhook.js';
import { encodeCursor } from './cursor.js';
import type { ListScope } from './cursor-scopes.js';

/** Makes an object of a schema class. The class tells GraphQL the type of the object. */
export function make<T extends object>(type: ClassType<T>, fields: T): T {
  return Object.assign(new type(), fields);
}

export function presentMoney(minorUnits: bigint, currency: string): MoneyType {
  return make(MoneyType, { amount: formatAmount(minorUnits, currency), minorUnits, currency });
}

export function presentAccount(account: Account): AccountType {
  return make(AccountType, {
    id: account.id,
    organizationId: account.organizationId,
    organizationName: account.organizationName,
    iban: account.iban,
    bic: account.bic,
    currency: account.currency,
    balance: presentMoney(account.balanceMinor, account.currency),
    sequence: account.sequence,
    createdAt: account.createdAt,
  });
}

export function presentOrganization({ id, name }: Organization): OrganizationType {
  return make(OrganizationType, { id, name });
}

export function presentBulkTransfer(bulkTransfer: BulkTransfer): BulkTransferType {
  const { currency } = bulkTransfer;
  return make(BulkTransferType, {
    id: bulkTransfer.id,
    accountId: bulkTransfer.accountId,
    sequence: bulkTransfer.sequence,
    idempotencyKey: bulkTransfer.idempotencyKey,
    transferCount: bulkTransfer.transferCount,
    totalAmount: presentMoney(bulkTransfer.totalAmountMinor, currency),
    balanceAfter: presentMoney(bulkTransfer.balanceAfterMinor, currency),
    status: 'PERFORMED',
    createdAt: bulkTransfer.createdAt,
  });
}

export function presentTransfer(transfer: Transfer): TransferType {
  return make(TransferType, {
    id: transfer.id,
    accountId: transfer.accountId,
    bulkTransferId: transfer.bulkTransferId,
    index: transfer.index,
    amount: presentMoney(transfer.amountMinor, transfer.currency),
    counterpartyName: transfer.counterpartyName,
    counterpartyIban: transfer.counterpartyIban,
    counterpartyBic: transfer.counterpartyBic,
    description: transfer.description,
    endToEndId: transfer.endToEndId,
    createdAt: transfer.createdAt,
  });
}

export function presentIncomingTransfer(transfer: IncomingTransfer): IncomingTransferType {
  return make(IncomingTransferType, {
    id: transfer.id,
    accountId: transfer.accountId,
    amount: presentMoney(transfer.amountMinor, transfer.currency),
    payerName: transfer.counterpartyName,
    payerIban: transfer.counterpartyIban,
    description: transfer.description,
    endToEndId: transfer.endToEndId,
    sequence: transfer.sequence,
    createdAt: transfer.createdAt,
  });
}

export function presentLedgerEntry(entry: LedgerEntry): LedgerEntryType {
  return make(LedgerEntryType, {
    id: entry.id,
    accountId: entry.accountId,
    bulkTransferId: entry.bulkTransferId,
    sequence: entry.sequence,
    kind: entry.kind,
    amount: presentMoney(entry.amountMinor, entry.currency),
    balanceAfter: presentMoney(entry.balanceAfterMinor, entry.currency),
    description: entry.description,
    createdAt: entry.createdAt,
  });
}

/**
 * Returns the characters of a payload that JSON writes as six bytes each: control characters without a short form. They
 * are shown like bytes that are no UTF-8, so the length of an answer has a bound of three bytes for each byte.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: the payload may contain any character
const LONG_IN_JSON = /[\0-\x08\x0b\x0c\x0e-\x1f]/g;

export function presentDeadLetter(letter: DeadLetter): DeadLetterType {
  return make(DeadLetterType, {
    id: letter.id,
    consumer: letter.consumer,
    messageId: letter.messageId,
    type: letter.type,
    reason: letter.reason,
    attempts: letter.attempts,
    lastError: letter.lastError,
    firstFailedAt: letter.firstFailedAt,
    lastFailedAt: letter.lastFailedAt,
    receivedAt: letter.receivedAt,
    payload: Buffer.from(letter.payload).toString().replace(LONG_IN_JSON, '\ufffd'),
  });
}

export function presentWebhook(webhook: Webhook): WebhookType {
  return make(WebhookType, {
    id: webhook.id,
    url: webhook.url,
    events: webhook.events,
    accountIbans: webhook.accountIbans,
    description: webhook.description,
    ordered: webhook.ordered,
    status: webhook.status,
    disabledReason: webhook.disabledReason,
    createdAt: webhook.createdAt,
    lastDeliveredAt: webhook.lastDeliveredAt,
  });
}

export function presentDelivery(delivery: WebhookDelivery): WebhookDeliveryType {
  const { dueAt, leasedBy, createdAt } = delivery;
  const isDueAtOnce = dueAt !== null && dueAt < createdAt;
  return make(WebhookDeliveryType, {
    id: delivery.id,
    eventId: delivery.eventId,
    event: delivery.kind,
    status: delivery.status,
    nextAttemptAt: leasedBy === null ? (isDueAtOnce ? createdAt : dueAt) : null,
    createdAt,
    attemptCount: delivery.attempts,
  });
}

export function presentAttempt(attempt: WebhookAttempt): WebhookAttemptType {
  const { at, durationMs, httpStatus, error, responseBody } = attempt;
  return make(WebhookAttemptType, { at, durationMs, httpStatus, error, responseBody });
}

export function presentStatement(statement: AccountStatement): StatementType {
  const { account, from, to, within, entryCount } = statement;
  const money = (minorUnits: bigint) => presentMoney(minorUnits, account.currency);
  return make(StatementType, {
    account: presentAccount(account),
    from,
    to,
    within,
    entryCount,
    openingBalance: money(statement.openingBalanceMinor),
    closingBalance: money(statement.closingBalanceMinor),
  });
}

/** Presents a page as a connection. */
export function presentPage<Row, Node, P extends Position>(
  page: ListPage<Row>,
  scope: ListScope<Row, P>,
  present: (row: Row) => Node,
): Connection<Node> {
  const cursorOf = (place: Place<Position> | undefined) => place && encodeCursor(scope, place);
  const edges = page.nodes.map((row) => ({
    cursor: encodeCursor(scope, scope.placeOf(row)),
    node: present(row),
  }));
  return {
    edges,
    nodes: edges.map((edge) => edge.node),
    pageInfo: {
      hasNextPage: page.hasNextPage,
      hasPreviousPage: page.hasPreviousPage,
      startCursor: cursorOf(page.startPlace) ?? edges[0]?.cursor ?? null,
      endCursor: cursorOf(page.endPlace) ?? edges.at(-1)?.cursor ?? null,
    },
    totalCount: once(page.count),
  };
}

/**
 * Calls a function at the first call, and returns its result at each later call. A document may select a field under
 * many aliases.
 */
function once<Result>(call: () => Result): () => Result {
  let called: { readonly result: Result } | undefined;
  return () => {
    called ??= { result: call() };
    return called.result;
  };
}
