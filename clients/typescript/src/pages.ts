/**
 * Lists that are read page by page. A page may be short or empty although there are more nodes. Its cursor continues
 * the list.
 */
import type { Connection } from './connection.js';
import { VirementError } from './errors.js';
import {
  AccountsDocument,
  BulkTransfersDocument,
  EntriesDocument,
  IncomingTransfersDocument,
  type TransferFilter,
  TransfersDocument,
  TransfersOfBulkDocument,
} from './generated/graphql.js';
import { query } from './request.js';

/** The largest page that the server allows. It needs the fewest requests for a whole list. */
const PAGE_SIZE = 100;

/** A node of a list, and its cursor: the `after` of a later call, or of a subscription to the same list. */
export interface Item<Node> {
  readonly cursor: string;
  readonly node: Node;
}

export interface Page<Node> {
  readonly edges: readonly Item<Node>[];
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor?: string | null };
}

/** The requested part of a list: its first nodes, after a cursor or from the start, or its last nodes. */
export interface Range {
  readonly first?: number;
  readonly after?: string | null;
  readonly last?: number;
}

/** Reads one page of a list. */
export type ReadPage<Node> = (range: Range, signal?: AbortSignal) => Promise<Page<Node>>;

export interface WalkOptions {
  /** The number of nodes per page, 1 to 100; 100 by default. */
  readonly pageSize?: number;
  /** The cursor after which the list continues. */
  readonly after?: string;
  readonly signal?: AbortSignal;
}

export interface FilteredWalkOptions extends WalkOptions {
  readonly filter?: TransferFilter;
}

/**
 * Yields every node of a list, in the order of the list. Each page is read after the previous page has been taken.
 */
export async function* walk<Node>(
  readPage: ReadPage<Node>,
  { pageSize = PAGE_SIZE, after, signal }: WalkOptions = {},
): AsyncGenerator<Item<Node>, void, undefined> {
  for (let place = after; ; ) {
    const { edges, pageInfo } = await readPage({ first: pageSize, after: place ?? null }, signal);
    yield* edges;
    if (!pageInfo.hasNextPage) return;
    const next = pageInfo.endCursor ?? undefined;
    if (next === undefined || next === place) {
      throw new VirementError('PROTOCOL_ERROR', 'A page has hasNextPage, but no new endCursor.');
    }
    place = next;
  }
}

/** Returns a page reader for every list of a server. */
export function listsOf(connection: Connection) {
  return {
    accounts: async (range: Range, signal?: AbortSignal) =>
      (await query(connection, AccountsDocument, range, signal)).accounts,

    transfers:
      (iban: string, filter?: TransferFilter) => async (range: Range, signal?: AbortSignal) => {
        const variables = { iban, filter: filter ?? null, ...range };
        const { account } = await query(connection, TransfersDocument, variables, signal);
        return found(account, iban).transfers;
      },

    incomingTransfers:
      (iban: string, filter?: TransferFilter) => async (range: Range, signal?: AbortSignal) => {
        const variables = { iban, filter: filter ?? null, ...range };
        const { account } = await query(connection, IncomingTransfersDocument, variables, signal);
        return found(account, iban).incomingTransfers;
      },

    bulkTransfers: (iban: string) => async (range: Range, signal?: AbortSignal) => {
      const variables = { iban, ...range };
      const { account } = await query(connection, BulkTransfersDocument, variables, signal);
      return found(account, iban).bulkTransfers;
    },

    entries: (iban: string) => async (range: Range, signal?: AbortSignal) => {
      const { account } = await query(connection, EntriesDocument, { iban, ...range }, signal);
      return found(account, iban).entries;
    },

    transfersOfBulk: (id: string) => async (range: Range, signal?: AbortSignal) => {
      const variables = { id, ...range };
      const { bulkTransfer } = await query(connection, TransfersOfBulkDocument, variables, signal);
      if (bulkTransfer) return bulkTransfer.transfers;
      throw new VirementError(
        'BULK_TRANSFER_NOT_FOUND',
        `No bulk transfer of this server has the id ${id}.`,
      );
    },
  };
}

function found<Account>(account: Account | null | undefined, iban: string): Account {
  if (account) return account;
  throw new VirementError('ACCOUNT_NOT_FOUND', `No account of this server has the IBAN ${iban}.`);
}
