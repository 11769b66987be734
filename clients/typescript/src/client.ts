import { type ClientOptions, type Connection, connectionOf } from './connection.js';
import { type FollowOptions, follow } from './follow.js';
import type { PerformBulkTransferInput } from './generated/graphql.js';
import {
  type ImportableFile,
  type ImportOptions,
  type ImportResult,
  importFile,
} from './import-file.js';
import { type FilteredWalkOptions, listsOf, type WalkOptions, walk } from './pages.js';
import { type PerformOptions, type PerformResult, perform } from './perform.js';
import { balanceOf, bulkTransfersOf, receivedTransfersOf, transfersOf } from './subscriptions.js';
import type { Transport } from './transport.js';
import { serverSentEventsTransport } from './transport-sse.js';
import { webSocketTransport } from './transport-websocket.js';

export type VirementClient = ReturnType<typeof createVirementClient>;

/** Makes a client of one server, for one caller. The client itself keeps no connection open. */
export function createVirementClient(options: ClientOptions) {
  const connection = connectionOf(options);
  const transport = transportOf(connection, options);
  const lists = listsOf(connection);
  return {
    /** Performs a bulk once, for any number of attempts. */
    perform: (input: PerformBulkTransferInput, how?: PerformOptions): Promise<PerformResult> =>
      perform(connection, input, how),

    /** Imports a file of transfers as draft orders, once, for any number of attempts. */
    importFile: (file: ImportableFile, how?: ImportOptions): Promise<ImportResult> =>
      importFile(connection, file, how),

    /**
     * Yields each transfer that an account makes, in the order of commit. The transfers of a bulk keep their order.
     */
    followTransfers: (iban: string, from?: FollowOptions) =>
      follow(connection, transport, transfersOf(connection, iban), from),
    /** Yields each transfer that an account receives from another account of this server. */
    followReceivedTransfers: (iban: string, from?: FollowOptions) =>
      follow(connection, transport, receivedTransfersOf(connection, iban), from),
    /** Yields each bulk that an account performs. */
    followBulkTransfers: (iban: string, from?: FollowOptions) =>
      follow(connection, transport, bulkTransfersOf(connection, iban), from),
    /** Yields an account's balance at once, and then after each change. */
    followBalance: (iban: string, { signal }: Pick<FollowOptions, 'signal'> = {}) =>
      follow(connection, transport, balanceOf(connection, iban), signal ? { signal } : {}),

    /** Yields the caller's accounts, oldest first. */
    accounts: (how?: WalkOptions) => walk(lists.accounts, how),
    /** Yields the transfers that an account made, newest first. */
    transfers: (iban: string, { filter, ...how }: FilteredWalkOptions = {}) =>
      walk(lists.transfers(iban, filter), how),
    /** Yields the transfers that an account received from accounts of this server, newest first. */
    incomingTransfers: (iban: string, { filter, ...how }: FilteredWalkOptions = {}) =>
      walk(lists.incomingTransfers(iban, filter), how),
    /** Yields the bulks of an account, newest first. */
    bulkTransfers: (iban: string, how?: WalkOptions) => walk(lists.bulkTransfers(iban), how),
    /** Yields the ledger entries of an account, newest first. */
    entries: (iban: string, how?: WalkOptions) => walk(lists.entries(iban), how),
    /** Yields the transfers of one bulk, in their order in the bulk. */
    transfersOfBulk: (id: string, how?: WalkOptions) => walk(lists.transfersOfBulk(id), how),
  };
}

function transportOf(connection: Connection, options: ClientOptions): Transport {
  const { webSocket = globalThis.WebSocket, transport = webSocket ? 'websocket' : 'sse' } = options;
  if (transport === 'sse') return serverSentEventsTransport(connection);
  if (webSocket) return webSocketTransport(connection, webSocket);
  throw new Error(
    "This platform has no WebSocket: pass one as `webSocket`, or set `transport: 'sse'`.",
  );
}
