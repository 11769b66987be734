/** The subscriptions, with their beginning and their events. */
import type { Connection } from './connection.js';
import { type OperationPayload, payloadOf } from './document.js';
import { beginWith, type Resumable, type Start } from './follow.js';
import {
  BalanceUpdatedDocument,
  type BalanceUpdatedSubscription,
  BulkTransferPerformedDocument,
  type BulkTransferPerformedSubscription,
  TransferPerformedDocument,
  type TransferPerformedSubscription,
  TransferReceivedDocument,
  type TransferReceivedSubscription,
  type TypedDocumentString,
} from './generated/graphql.js';
import { listsOf } from './pages.js';

export type TransferEvent = TransferPerformedSubscription['transferPerformed'];
export type IncomingTransferEvent = TransferReceivedSubscription['transferReceived'];
export type BulkTransferEvent = BulkTransferPerformedSubscription['bulkTransferPerformed'];
export type BalanceEvent = BalanceUpdatedSubscription['balanceUpdated'];

export function transfersOf(connection: Connection, iban: string): Resumable<TransferEvent> {
  const readPage = listsOf(connection).transfers(iban);
  return {
    ...resumable(connection, iban, TransferPerformedDocument),
    eventOf: (data) => (data as TransferPerformedSubscription).transferPerformed,
    begin: async (signal) =>
      startOf(await beginWith(readPage, signal), ({ cursor, node }) => ({
        __typename: 'TransferPerformed',
        cursor,
        transfer: node,
      })),
  };
}

export function receivedTransfersOf(
  connection: Connection,
  iban: string,
): Resumable<IncomingTransferEvent> {
  const readPage = listsOf(connection).incomingTransfers(iban);
  return {
    ...resumable(connection, iban, TransferReceivedDocument),
    eventOf: (data) => (data as TransferReceivedSubscription).transferReceived,
    begin: async (signal) =>
      startOf(await beginWith(readPage, signal), ({ cursor, node }) => ({
        __typename: 'TransferReceived',
        cursor,
        transfer: node,
      })),
  };
}

export function bulkTransfersOf(
  connection: Connection,
  iban: string,
): Resumable<BulkTransferEvent> {
  const readPage = listsOf(connection).bulkTransfers(iban);
  return {
    ...resumable(connection, iban, BulkTransferPerformedDocument),
    eventOf: (data) => (data as BulkTransferPerformedSubscription).bulkTransferPerformed,
    begin: async (signal) =>
      startOf(await beginWith(readPage, signal), ({ cursor, node }) => ({
        __typename: 'BulkTransferPerformedEvent',
        cursor,
        bulkTransfer: node,
      })),
  };
}

/**
 * Follows the current balance at once, then each change. There is nothing to resume, because a later balance replaces
 * the earlier balances.
 */
export function balanceOf(connection: Connection, iban: string): Resumable<BalanceEvent> {
  return {
    payloadAfter: () => payloadOf(BalanceUpdatedDocument, { iban }, connection.trustedDocuments),
    eventOf: (data) => (data as BalanceUpdatedSubscription).balanceUpdated,
    placeOf: ({ sequence }) => sequence,
    isRepeated: ({ sequence }, place) => place !== undefined && BigInt(sequence) <= BigInt(place),
  };
}

/** Returns the parts that all subscriptions with a cursor share. */
function resumable<Data>(
  connection: Connection,
  iban: string,
  document: TypedDocumentString<Data, { readonly iban: string; readonly after?: string | null }>,
): {
  readonly payloadAfter: (place: string | undefined) => OperationPayload;
  readonly placeOf: (event: { readonly cursor: string }) => string;
} {
  return {
    payloadAfter: (place) =>
      payloadOf(document, { iban, after: place ?? null }, connection.trustedDocuments),
    placeOf: ({ cursor }) => cursor,
  };
}

function startOf<Item, Event>(
  { place, event }: Start<Item>,
  eventOf: (item: Item) => Event,
): Start<Event> {
  return { place, ...(event !== undefined && { event: eventOf(event) }) };
}
