import { type ClientOptions, type Connection, connectionOf } from './connection.js';
import { type FollowOptions, follow } from './follow.js';
import type { PerformBulkTransferInput } from './generated/graphql.js';
import { type FilteredWalkOptions, listsOf, type WalkOptions, walk } from './pages.js';
import { type PerformOptions, type PerformResult, perform } from './perform.js';
import { balanceOf, bulkTransfersOf, receivedTransfersOf, transfersOf } from './subscriptions.js';
import type { Transport } from './transport.js';
import { serverSentEventsTransport } from './transport-sse.js';
import { webSocketTransport } from './transport-websocket.js';

export type VirementClient = ReturnType<typeof createVirementClient>;

/** Makes a client of one server, for one caller. It holds nothing open by itself. */
export function createVirementClient(options: ClientOptions) {
  const connection = connectionOf(options);
  const transport = transportOf(connection, options);
  const lists = listsOf(connection);
  return {
    /** Performs a bulk once, however often it has to be sent. */
    perform: (input: PerformBulkTransferInput, how?: PerformOptions): Promise<PerformResult> =>
      perform(connection, input, how),

    /** Each transfer that an account makes, in the order of commit, then of the bulk. */
    followTransfers: (iban: string, from?: FollowOptions) =>
      follow(connection, transport, transfersOf(connection, iban), from),
    /** Each transfer that an account gets from another account of this server. */
    followReceivedTransfers: (iban: string, from?: FollowOptions) =>
      follow(connection, transport, receivedTransfersOf(connection, iban), from),
    /** Each bulk that an account performs. */
    followBulkTransfers: (iban: string, from?: FollowOptions) =>
      follow(connection, transport, bulkTransfersOf(connection, iban), from),
    /** An account's balance at once, then whenever it is another. */
    followBalance: (iban: string, { signal }: Pick<FollowOptions, 'signal'> = {}) =>
      follow(connection, transport, balanceOf(connection, iban), signal ? { signal } : {}),

    /** The caller's accounts, oldest first. */
    accounts: (how?: WalkOptions) => walk(lists.accounts, how),
    /** Transfers that an account made, newest first. */
    transfers: (iban: string, { filter, ...how }: FilteredWalkOptions = {}) =>
      walk(lists.transfers(iban, filter), how),
    /** Transfers that an account got from accounts of this server, newest first. */
    incomingTransfers: (iban: string, { filter, ...how }: FilteredWalkOptions = {}) =>
      walk(lists.incomingTransfers(iban, filter), how),
    /** Bulks of an account, newest first. */
    bulkTransfers: (iban: string, how?: WalkOptions) => walk(lists.bulkTransfers(iban), how),
    /** Ledger entries of an account, newest first. */
    entries: (iban: string, how?: WalkOptions) => walk(lists.entries(iban), how),
    /** Transfers of one bulk, in the order given. */
    transfersOfBulk: (id: string, how?: WalkOptions) => walk(lists.transfersOfBulk(id), how),
  };
}

function transportOf(connection: Connection, options: ClientOptions): Transport {
  const { webSocket = globalThis.WebSocket, transport = webSocket ? 'websocket' : 'sse' } = options;
  if (transport === 'sse') return serverSentEventsTransport(connection);
  if (webSocket) return webSocketTransport(connection, webSocket);
  throw new Error("There is no WebSocket here: give one as `webSocket`, or `transport: 'sse'`.");
}
