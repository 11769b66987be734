import { GraphQLError } from 'graphql';
import { Arg, Ctx, Resolver, Root, Subscription } from 'type-graphql';
import { followBalance, followList } from '../application/follow-account.js';
import { FOLLOWED_ACCOUNTS_MAX, followBalances } from '../application/follow-balances.js';
import type {
  EntryKey,
  FollowedBulkTransfer,
  FollowedIncomingTransfer,
  FollowedTransfer,
} from '../application/ports/account-feeds.js';
import { normaliseIban } from '../domain/iban.js';
import { sequenceOf } from '../domain/postings.js';
import type { Account } from '../entities/account.entity.js';
import { TransferReceivedType } from '../schema/incoming-transfer.js';
import { Cursor } from '../schema/scalars.js';
import {
  BalanceUpdatedType,
  BulkTransferPerformedEventType,
  TransferPerformedType,
} from '../schema/subscriptions.js';
import type { RequestContext } from './context.js';
import { type CursorScope, decodeCursor, encodeCursor } from './cursor.js';
import {
  bulkTransfersOf,
  incomingTransfersOf,
  type ListScope,
  transfersOf,
} from './cursor-scopes.js';
import {
  make,
  presentAccount,
  presentBulkTransfer,
  presentIncomingTransfer,
  presentTransfer,
} from './present.js';
import { requirePlace } from './read-page-range.js';

/** The arguments and the context of a subscription. type-graphql does not know this type. */
interface Request {
  readonly args: { readonly accountIban?: string | null; readonly after?: string | null };
  readonly context: RequestContext;
}

const ACCOUNT_IBAN = 'IBAN of the account to follow, in any case, with or without spaces.';

const AFTER =
  'The cursor of the last event that was seen, or another cursor of the same list of the account. BAD_USER_INPUT if the cursor is of another list.';

@Resolver()
export class SubscriptionResolver {
  @Subscription(() => TransferPerformedType, {
    description:
      'The transfers of an account, one event for each, in the order of commit, then of the bulk. Without after, the stream begins now. With after, it begins with everything since that cursor, then continues live, without a gap or a repetition. VIEWER and INITIATOR follow the accounts of their organizations, OPERATOR all; any other account is ACCOUNT_NOT_FOUND.',
    subscribe: async (request: Request) => {
      const { account, after } = await readRequest(request, transfersOf);
      return followList(request.context.feeds, account, 'transfers', after);
    },
  })
  transferPerformed(
    @Root() { transfer, bulkTransfer, account }: FollowedTransfer,
    @Arg('accountIban', () => String, { description: ACCOUNT_IBAN }) _accountIban: string,
    @Arg('after', () => Cursor, { nullable: true, description: AFTER }) _after: string | null,
    @Ctx() context: RequestContext,
  ): TransferPerformedType {
    context.beginEvent();
    context.loaders.bulkTransfer.prime(bulkTransfer.id, bulkTransfer);
    context.loaders.account.prime(account.id, account);
    const cursor = cursorOf(transfersOf(transfer.accountId), transfer);
    noteOrigin({ iban: account.iban, sequence: bulkTransfer.sequence, cursor }, context);
    return make(TransferPerformedType, {
      cursor,
      transfer: presentTransfer(transfer),
    });
  }

  @Subscription(() => BulkTransferPerformedEventType, {
    description:
      'The bulks of an account, one event for each, for clients that page through the transfers themselves. It resumes like transferPerformed, and requires the same roles: VIEWER, INITIATOR or OPERATOR.',
    subscribe: async (request: Request) => {
      const { account, after } = await readRequest(request, bulkTransfersOf);
      return followList(request.context.feeds, account, 'bulkTransfers', after);
    },
  })
  bulkTransferPerformed(
    @Root() { bulkTransfer, account }: FollowedBulkTransfer,
    @Arg('accountIban', () => String, { description: ACCOUNT_IBAN }) _accountIban: string,
    @Arg('after', () => Cursor, { nullable: true, description: AFTER }) _after: string | null,
    @Ctx() context: RequestContext,
  ): BulkTransferPerformedEventType {
    context.beginEvent();
    context.loaders.account.prime(account.id, account);
    const cursor = cursorOf(bulkTransfersOf(bulkTransfer.accountId), bulkTransfer);
    noteOrigin({ iban: account.iban, sequence: bulkTransfer.sequence, cursor }, context);
    return make(BulkTransferPerformedEventType, {
      cursor,
      bulkTransfer: presentBulkTransfer(bulkTransfer),
    });
  }

  @Subscription(() => TransferReceivedType, {
    description:
      'Transfers from other accounts of this server, one event for each, in the order of commit. It resumes after a cursor of its own or of incomingTransfers, and requires the same roles as transferPerformed: VIEWER, INITIATOR or OPERATOR.',
    subscribe: async (request: Request) => {
      const { account, after } = await readRequest(request, incomingTransfersOf);
      return followList(request.context.feeds, account, 'incomingTransfers', after);
    },
  })
  transferReceived(
    @Root() { transfer, account }: FollowedIncomingTransfer,
    @Arg('accountIban', () => String, { description: ACCOUNT_IBAN }) _accountIban: string,
    @Arg('after', () => Cursor, { nullable: true, description: AFTER }) _after: string | null,
    @Ctx() context: RequestContext,
  ): TransferReceivedType {
    context.beginEvent();
    context.loaders.account.prime(account.id, account);
    const cursor = cursorOf(incomingTransfersOf(transfer.accountId), transfer);
    const sequence = sequenceOf(transfer.position);
    noteOrigin({ iban: account.iban, sequence, cursor }, context);
    return make(TransferReceivedType, {
      cursor,
      transfer: presentIncomingTransfer(transfer),
    });
  }

  @Subscription(() => BalanceUpdatedType, {
    description:
      'The balance of an account at once, then after each change. Changes are merged for a slow reader. Without accountIban, the stream has all accounts that the caller sees, at most 1,000, else TOO_MANY_ACCOUNTS. An account that is opened later joins within 15 seconds. This subscription requires the same roles as transferPerformed: VIEWER, INITIATOR or OPERATOR.',
    subscribe: async (request: Request) => {
      const { args, context } = request;
      if (args.accountIban == null) return followVisibleBalances(context);
      return followBalance(context.feeds, await readAccount(request));
    },
  })
  balanceUpdated(
    @Root() account: Account,
    @Arg('accountIban', () => String, {
      nullable: true,
      description:
        'IBAN of the account to follow, in any case, with or without spaces; all accounts that the caller sees if absent.',
    })
    _accountIban: string | null,
    @Ctx() context: RequestContext,
  ): BalanceUpdatedType {
    context.beginEvent();
    noteOrigin(account, context);
    const presented = presentAccount(account);
    return make(BalanceUpdatedType, {
      account: presented,
      balance: presented.balance,
      sequence: account.sequence,
      at: account.updatedAt,
    });
  }
}

/**
 * Follows the balances of all accounts that the caller sees.
 * @throws GraphQLError TOO_MANY_ACCOUNTS, or what followAccounts throws
 */
async function followVisibleBalances(
  context: RequestContext,
): Promise<AsyncIterableIterator<Account>> {
  const ids = await context.reader.accountIds(FOLLOWED_ACCOUNTS_MAX + 1);
  if (ids.length > FOLLOWED_ACCOUNTS_MAX) {
    const message = `The caller sees more than ${FOLLOWED_ACCOUNTS_MAX} accounts: name one of them as accountIban.`;
    const extensions = { code: 'TOO_MANY_ACCOUNTS', limit: FOLLOWED_ACCOUNTS_MAX };
    throw new GraphQLError(message, { extensions });
  }
  context.followAccounts(ids.length);
  const accounts = (await context.reader.accountsById(ids)).filter((account) => account !== null);
  return followBalances(context.feeds, accounts, context.reader);
}

function cursorOf<Row>(scope: ListScope<Row, bigint>, row: Row): string {
  return encodeCursor(scope, scope.placeOf(row));
}

/**
 * Stores the origin of an event in the context. The cursor is also the event id on transports with event ids.
 * @param entry the ledger entry of the event, and the cursor of the event if its list has cursors
 */
function noteOrigin(
  { iban, sequence, cursor }: EntryKey & { readonly cursor?: string },
  context: RequestContext,
): void {
  const traceparent = context.feeds.traceparentOf({ iban, sequence });
  context.eventOrigin = { ...(cursor !== undefined && { cursor }), traceparent };
}

/** @throws GraphQLError ACCOUNT_NOT_FOUND */
async function readAccount({ args, context }: Request): Promise<Account> {
  const account = await context.reader.accountByIban(normaliseIban(args.accountIban ?? ''));
  if (!account) {
    const extensions = { code: 'ACCOUNT_NOT_FOUND' };
    throw new GraphQLError('No account of this server has this IBAN.', { extensions });
  }
  return account;
}

/**
 * Reads the account to follow and the place to start from. The start is the newer one of the argument and the last
 * event that the client has seen.
 * @throws GraphQLError ACCOUNT_NOT_FOUND; BadUserInputError for a foreign cursor; UnknownCursorError for a cursor of
 *   a place that the ledger does not have
 */
async function readRequest(
  request: Request,
  scopeOf: (accountId: string) => CursorScope<bigint>,
): Promise<{ readonly account: Account; readonly after: bigint | undefined }> {
  const { args, context } = request;
  const account = await readAccount(request);
  const scope = scopeOf(account.id);
  let after: bigint | undefined;
  for (const cursor of [args.after, context.lastEventId]) {
    if (cursor == null) continue;
    const place = decodeCursor(scope, cursor);
    await requirePlace(scope, place, context.reader);
    if (after === undefined || place.position > after) after = place.position;
  }
  return { account, after };
}
