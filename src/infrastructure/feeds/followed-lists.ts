/**
 * The lists of an account that subscribers follow. A new list is one entry in LISTS, one in FollowedItems of the port,
 * and one in FollowedAccount. Every list grows at its end only, by entries that raise the sequence of the account.
 */
import type { FollowedItems, FollowedListName } from '../../application/ports/account-feeds.js';
import type { LedgerReader } from '../../application/ports/ledger-reader.js';
import { firstPositionOf } from '../../domain/postings.js';
import type { Account } from '../../entities/account.entity.js';

/** Limits the items of one read. */
export const READ_MAX = 100;

/** The source of the items of one account. */
export interface ListSource {
  readonly reader: LedgerReader;
  readonly accountId: string;
  /** Reads the account as it is now. */
  readonly account: () => Promise<Account>;
}

/** The order of a list, and the read of its items. */
export interface FollowedList<Item> {
  /** Returns the last place of the list when the account has reached a sequence. */
  readonly endAt: (sequence: bigint) => bigint;
  readonly placeOf: (item: Item) => bigint;
  /** Reads the next items after a place, READ_MAX at most; fewer if there are no more. */
  readonly read: (source: ListSource, after: bigint) => Promise<readonly Item[]>;
}

export const LISTS: { readonly [Name in FollowedListName]: FollowedList<FollowedItems[Name]> } = {
  transfers: {
    endAt: lastPositionOf,
    placeOf: ({ transfer }) => transfer.position,
    read: async ({ reader, accountId, account: readAccount }, after) => {
      const page = await reader.transfers(accountId, rangeAfter(after));
      const transfers = page.nodes.toReversed();
      const bulkIds = [...new Set(transfers.map(({ bulkTransferId }) => bulkTransferId))];
      const [account, bulks] = await Promise.all([
        readAccount(),
        reader.bulkTransfersById(bulkIds),
      ]);
      const byId = new Map(bulks.map((bulk) => [bulk?.id, bulk]));
      return transfers.map((transfer) => {
        const bulkTransfer = byId.get(transfer.bulkTransferId);
        if (!bulkTransfer) throw new Error('The bulk of a transfer does not exist');
        return { transfer, bulkTransfer, account };
      });
    },
  },
  bulkTransfers: {
    endAt: (sequence) => sequence,
    placeOf: ({ bulkTransfer }) => bulkTransfer.sequence,
    read: async ({ reader, accountId, account: readAccount }, after) => {
      const page = await reader.bulkTransfers(accountId, rangeAfter(after));
      const account = await readAccount();
      return page.nodes.toReversed().map((bulkTransfer) => ({ bulkTransfer, account }));
    },
  },
  incomingTransfers: {
    endAt: lastPositionOf,
    placeOf: ({ transfer }) => transfer.position,
    read: async ({ reader, accountId, account: readAccount }, after) => {
      const page = await reader.incomingTransfers(accountId, rangeAfter(after));
      const account = await readAccount();
      return page.nodes.toReversed().map((transfer) => ({ transfer, account }));
    },
  },
};

function lastPositionOf(sequence: bigint): bigint {
  return firstPositionOf(sequence + 1n) - 1n;
}

/** Returns the range of the oldest rows after a place, in a list that is read newest first. */
function rangeAfter(place: bigint) {
  return { size: READ_MAX, fromEnd: true, before: place };
}
