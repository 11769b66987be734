import { GraphQLError } from 'graphql';
import {
  Arg,
  Args,
  Ctx,
  FieldResolver,
  ID,
  Int,
  Mutation,
  Query,
  Resolver,
  Root,
  Subscription,
  UseMiddleware,
} from 'type-graphql';
import { type FindOrderWarnings, WARNED_ROWS_MAX } from '../application/find-order-warnings.js';
import { followOrder } from '../application/follow-order.js';
import type { ManageOrders } from '../application/manage-orders.js';
import type { OrderState } from '../application/ports/order-feeds.js';
import type { OrderStore } from '../application/ports/order-store.js';
import type { ListPage, PageRange } from '../application/ports/page.js';
import { visibleOrganizations } from '../domain/caller.js';
import { normaliseIban } from '../domain/iban.js';
import { canonicalId } from '../domain/id.js';
import type { MutationName } from '../domain/kinds.js';
import { isFinal } from '../domain/order.js';
import type { BulkTransferOrder } from '../entities/bulk-transfer-order.entity.js';
import { AccountType } from '../schema/account.js';
import { BulkTransferType } from '../schema/bulk-transfer.js';
import { MoneyType } from '../schema/money.js';
import {
  BulkTransferOrderConnection,
  BulkTransferOrderType,
  CreateOrderInput,
  ORDER_ID,
  OrderFilter,
  OrderProblemConnection,
  type OrderProblemType,
  OrderProgressType,
  OrderResult,
  OrderRowConnection,
  type OrderRowType,
  OrderWarningConnection,
  OrderWarningType,
} from '../schema/order.js';
import { type Connection, PageArgs } from '../schema/page.js';
import { CreditTransferInput } from '../schema/perform-bulk-transfer.js';
import { OrderStateConflictType, UserErrorType } from '../schema/user-errors.js';
import { audited } from './audited.js';
import { hideOrderRows, OrderRows } from './bulk-input.js';
import { type BulkRows, type RequestContext, requireRole } from './context.js';
import { ORDERS, problemsOf, rowsOf, warningsOf } from './cursor-scopes.js';
import { loadReferenced } from './loaders.js';
import { make, presentAccount, presentBulkTransfer, presentMoney, presentPage } from './present.js';
import {
  presentOrder,
  presentOrderProblem,
  presentOrderRow,
  presentOrderWarning,
} from './present-order.js';
import { presentRejection } from './present-rejection.js';
import { readPageRange } from './read-page-range.js';

/** The roles that read orders. */
export const ORDER_READERS = ['viewer', 'initiator', 'operator'] as const;

const NOT_FOUND_ELSE =
  "OrderNotFound if the caller's organizations have no such order. Requires the role INITIATOR, else FORBIDDEN.";

/** A row of a search for warnings costs as much as so many rows that are only summed. */
const WARNED_ROWS_COST = 20;

/** A row that is copied costs as much as so many rows that are only summed. */
const COPIED_ROW_COST = 5;

/** The mutations that answer an order. */
type OrderMutation = Extract<
  MutationName,
  | 'createOrder'
  | 'addOrderRows'
  | 'replaceOrderRow'
  | 'removeOrderRows'
  | 'submitOrder'
  | 'cancelOrder'
  | 'duplicateOrder'
>;

@Resolver(() => BulkTransferOrderType)
export class OrderResolver {
  constructor(
    private readonly useCases: ManageOrders,
    private readonly store: OrderStore,
    private readonly findOrderWarnings: FindOrderWarnings,
  ) {}

  @Query(() => BulkTransferOrderType, {
    nullable: true,
    description: 'The order with an id; null if there is none, or if the caller does not see it.',
  })
  async order(
    @Arg('id', () => ID, { description: ORDER_ID }) text: string,
    @Ctx() context: RequestContext,
  ): Promise<BulkTransferOrderType | null> {
    requireRole(context, ...ORDER_READERS);
    const order = await this.#find(text, context);
    return order && presentOrder(order);
  }

  @Query(() => BulkTransferOrderConnection, {
    description:
      "The orders of the caller's organizations, newest first; all for an operator. Requires the role VIEWER, INITIATOR or OPERATOR, else FORBIDDEN.",
  })
  async orders(
    @Arg('filter', () => OrderFilter, {
      nullable: true,
      description: 'Which orders. All if absent.',
    })
    filter: OrderFilter | null,
    @Args(() => PageArgs) page: PageArgs,
    @Ctx() context: RequestContext,
  ): Promise<Connection<BulkTransferOrderType>> {
    requireRole(context, ...ORDER_READERS);
    const range = await readPageRange(page, ORDERS, context.reader);
    const { accountIban, statuses } = filter ?? {};
    const account =
      accountIban == null
        ? undefined
        : await context.reader.accountByIban(normaliseIban(accountIban));
    const isOfNone = account === null || statuses?.length === 0;
    const organizations = isOfNone ? [] : visibleOrganizations(context.source.caller);
    const found = { accountId: account?.id, statuses: statuses ?? undefined };
    const orders = await this.store.list(organizations, found, range);
    return presentPage(orders, ORDERS, presentOrder);
  }

  @FieldResolver(() => AccountType)
  async account(
    @Root() { accountId }: BulkTransferOrderType,
    @Ctx() { loaders }: RequestContext,
  ): Promise<AccountType> {
    return presentAccount(await loadReferenced(loaders.account, accountId));
  }

  @FieldResolver(() => MoneyType, {
    nullable: true,
    description:
      'The balance of the account if the order were performed now, negative if funds are short; null if the total is not known, if the order has ended, or if any bulk of it was performed.',
  })
  async balanceAfter(
    @Root() { accountId, totalMinor, status, bulkKeys, currency }: BulkTransferOrderType,
    @Ctx() { loaders }: RequestContext,
  ): Promise<MoneyType | null> {
    if (totalMinor === null || bulkKeys.length > 0 || isFinal(status)) return null;
    const { balanceMinor } = await loadReferenced(loaders.account, accountId);
    return presentMoney(balanceMinor - totalMinor, currency);
  }

  @FieldResolver(() => OrderRowConnection, {
    description: 'The rows, in the order of their numbers.',
  })
  async rows(
    @Root() { id }: BulkTransferOrderType,
    @Arg('onlyProblems', () => Boolean, {
      defaultValue: false,
      description: 'Whether only rows with problems are listed.',
    })
    onlyProblems: boolean,
    @Args(() => PageArgs) page: PageArgs,
    @Ctx() { reader }: RequestContext,
  ): Promise<Connection<OrderRowType>> {
    const scope = rowsOf(id);
    const range = await readPageRange(page, scope, reader);
    return presentPage(await this.store.rows(id, onlyProblems, range), scope, presentOrderRow);
  }

  @FieldResolver(() => OrderProblemConnection, {
    description: 'The problems, in the order of the rows.',
  })
  async problems(
    @Root() order: BulkTransferOrderType,
    @Args(() => PageArgs) page: PageArgs,
    @Ctx() { reader }: RequestContext,
  ): Promise<Connection<OrderProblemType>> {
    const scope = problemsOf(order.id);
    const range = await readPageRange(page, scope, reader);
    const problems = await this.store.problems(order, range);
    return presentPage(problems, scope, presentOrderProblem);
  }

  @FieldResolver(() => OrderWarningConnection, {
    description:
      'Possible mistakes in the first 20,000 rows, the first 100. A warning never causes a refusal. The server searches for warnings only if this field is selected.',
  })
  async warnings(
    @Root() order: BulkTransferOrderType,
    @Args(() => PageArgs) page: PageArgs,
    @Ctx() context: RequestContext,
  ): Promise<Connection<OrderWarningType>> {
    const { reader, loaders, source } = context;
    const scope = warningsOf(order.id);
    const range = await readPageRange(page, scope, reader);
    context.chargeForRows(WARNED_ROWS_COST * Math.min(order.rowCount, WARNED_ROWS_MAX));
    const { iban } = await loadReferenced(loaders.account, order.accountId);
    const warned = { ...order, organizationIban: iban, performedKey: order.bulkKeys[0] };
    const caller = { reader, isAbandoned: source.isAbandoned };
    const found = await this.findOrderWarnings(warned, caller);
    const warnings = found.map((warning, number) => ({ place: BigInt(number), warning }));
    return presentPage(pageOf(warnings, range), scope, ({ warning }) =>
      presentOrderWarning(warning),
    );
  }

  @FieldResolver(() => [BulkTransferType], {
    description: 'The bulks as which the order was performed, in their order; none before.',
  })
  async bulkTransfers(
    @Root() { accountId, bulkKeys }: BulkTransferOrderType,
    @Ctx() { reader }: RequestContext,
  ): Promise<BulkTransferType[]> {
    const bulks = await Promise.all(
      bulkKeys.map((key) => reader.bulkTransferByKey(accountId, key)),
    );
    return bulks.filter((bulk) => bulk !== null).map(presentBulkTransfer);
  }

  @FieldResolver(() => UserErrorType, {
    nullable: true,
    description:
      'Why the order failed: what performBulkTransfer would have answered. Null otherwise.',
  })
  failure(@Root() { rejection }: BulkTransferOrderType): UserErrorType | null {
    return rejection ? presentRejection(rejection) : null;
  }

  @Mutation(() => OrderResult, {
    description:
      'Creates an order without rows. It moves no money before submitOrder. Requires the role INITIATOR, else FORBIDDEN.',
  })
  createOrder(
    @Arg('input', () => CreateOrderInput, { description: 'The order to create.' })
    { organizationIban, name }: CreateOrderInput,
    @Ctx() context: RequestContext,
  ): Promise<typeof OrderResult> {
    const request = { organizationIban, name: name ?? undefined };
    return this.#change(context, 'createOrder', () =>
      this.useCases.create(request, context.source),
    );
  }

  @Mutation(() => OrderResult, {
    description: `Adds a chunk of rows to a draft or a failed order. The same chunk again replaces its rows, so a request may be repeated. Rows with problems are kept, with their problems. ${NOT_FOUND_ELSE}`,
  })
  @UseMiddleware(hideOrderRows)
  addOrderRows(
    @Arg('orderId', () => ID, { description: ORDER_ID }) id: string,
    @Arg('chunk', () => Int, { description: 'The number of the chunk: 0 to 99.' }) chunk: number,
    @OrderRows('The rows: at most 10,000.') rows: BulkRows,
    @Ctx() context: RequestContext,
  ): Promise<typeof OrderResult> {
    return this.#change(context, 'addOrderRows', () =>
      this.useCases.addRows(id, chunk, rows, context.source),
    );
  }

  @Mutation(() => OrderResult, {
    description: `Replaces one row of a draft or a failed order. ${NOT_FOUND_ELSE}`,
  })
  replaceOrderRow(
    @Arg('orderId', () => ID, { description: ORDER_ID }) id: string,
    @Arg('row', () => Int, { description: 'The value of OrderRow.row.' }) row: number,
    @Arg('with', () => CreditTransferInput, { description: 'The row in its place.' })
    replacement: CreditTransferInput,
    @Ctx() context: RequestContext,
  ): Promise<typeof OrderResult> {
    return this.#change(context, 'replaceOrderRow', () =>
      this.useCases.replaceRow(id, row, replacement, context.source),
    );
  }

  @Mutation(() => OrderResult, {
    description: `Removes rows of a draft or a failed order. The other rows keep their numbers. ${NOT_FOUND_ELSE}`,
  })
  removeOrderRows(
    @Arg('orderId', () => ID, { description: ORDER_ID }) id: string,
    @Arg('rows', () => [Int], {
      description: 'Values of OrderRow.row: at most 10,000. A row that does not exist is ignored.',
    })
    rows: number[],
    @Ctx() context: RequestContext,
  ): Promise<typeof OrderResult> {
    return this.#change(context, 'removeOrderRows', () =>
      this.useCases.removeRows(id, rows, context.source),
    );
  }

  @Mutation(() => OrderResult, {
    description: `Submits a draft or a failed order. A server performs it soon: follow orderProgress. An order that has no rows or has problems is OrderStateConflict. ${NOT_FOUND_ELSE}`,
  })
  submitOrder(
    @Arg('id', () => ID, { description: ORDER_ID }) id: string,
    @Arg('idempotencyKey', () => String, {
      nullable: true,
      description:
        'The idempotency key of the bulk, as performBulkTransfer takes it: at most 240 characters; the id of the order if absent. With several bulks, /1, /2 … follow it. A later submission keeps the key.',
    })
    idempotencyKey: string | null,
    @Ctx() context: RequestContext,
  ): Promise<typeof OrderResult> {
    return this.#change(context, 'submitOrder', () =>
      this.useCases.submit(id, idempotencyKey ?? undefined, context.source),
    );
  }

  @Mutation(() => OrderResult, {
    description: `Cancels a draft or a failed order. Bulks that were performed stay. ${NOT_FOUND_ELSE}`,
  })
  cancelOrder(
    @Arg('id', () => ID, { description: ORDER_ID }) id: string,
    @Ctx() context: RequestContext,
  ): Promise<typeof OrderResult> {
    return this.#change(context, 'cancelOrder', () => this.useCases.cancel(id, context.source));
  }

  @Mutation(() => OrderResult, {
    description: `Makes a draft with the rows of an order in any state. ${NOT_FOUND_ELSE}`,
  })
  async duplicateOrder(
    @Arg('id', () => ID, { description: ORDER_ID }) id: string,
    @Ctx() context: RequestContext,
  ): Promise<typeof OrderResult> {
    const order = await this.#find(id, context);
    if (order) context.chargeForRows(COPIED_ROW_COST * order.rowCount);
    return this.#change(context, 'duplicateOrder', () =>
      this.useCases.duplicate(id, context.source),
    );
  }

  @Subscription(() => OrderProgressType, {
    description:
      'The state of an order at once, then after each change. Changes are merged for a slow reader. The stream ends when the order has ended. Requires the role VIEWER, INITIATOR or OPERATOR, else FORBIDDEN; an order that the caller does not see is ORDER_NOT_FOUND.',
    subscribe: orderStates,
  })
  orderProgress(
    @Root() { order, progress }: OrderState,
    @Arg('id', () => ID, { description: ORDER_ID }) _id: string,
    @Ctx() context: RequestContext,
  ): OrderProgressType {
    context.beginEvent();
    return make(OrderProgressType, {
      order: presentOrder(order),
      phase: progress.phase,
      rowsDone: progress.rowsDone,
      rowsTotal: progress.phase === 'READING' ? null : order.rowCount,
    });
  }

  async #find(text: string, { source }: RequestContext): Promise<BulkTransferOrder | null> {
    const id = canonicalId(text);
    return id === undefined ? null : this.store.byId(id, visibleOrganizations(source.caller));
  }

  #change(
    context: RequestContext,
    action: OrderMutation,
    change: () => Promise<BulkTransferOrder>,
  ) {
    return audited(context, action, async () => ({ answer: presentOrder(await change()) }));
  }
}

/** Returns a page of a list that is in memory. */
function pageOf<Item extends { readonly place: bigint }>(
  items: readonly Item[],
  { after, before, size, fromEnd }: PageRange<bigint>,
): ListPage<Item> {
  const within = items.filter(
    ({ place }) =>
      (after === undefined || place > after) && (before === undefined || place < before),
  );
  const nodes = fromEnd ? within.slice(-size) : within.slice(0, size);
  return {
    nodes,
    hasPreviousPage: nodes[0] !== undefined && nodes[0] !== items[0],
    hasNextPage: nodes.length > 0 && nodes.at(-1) !== items.at(-1),
    count: async () => items.length,
  };
}

@Resolver(() => OrderWarningType)
export class OrderWarningResolver {
  constructor(private readonly store: OrderStore) {}

  @FieldResolver(() => BulkTransferType, {
    nullable: true,
    description: 'The earlier bulk that the order, or its row, resembles.',
  })
  async bulkTransfer(
    @Root() { bulkTransferId }: OrderWarningType,
    @Ctx() { loaders }: RequestContext,
  ): Promise<BulkTransferType | null> {
    if (bulkTransferId === null) return null;
    const bulkTransfer = await loaders.bulkTransfer.load(bulkTransferId);
    return bulkTransfer && presentBulkTransfer(bulkTransfer);
  }

  @FieldResolver(() => BulkTransferOrderType, {
    nullable: true,
    description: 'The earlier order that the order resembles.',
  })
  async order(
    @Root() { orderId }: OrderWarningType,
    @Ctx() { source }: RequestContext,
  ): Promise<BulkTransferOrderType | null> {
    if (orderId === null) return null;
    const order = await this.store.byId(orderId, visibleOrganizations(source.caller));
    return order && presentOrder(order);
  }
}

@Resolver(() => OrderStateConflictType)
export class OrderStateConflictResolver {
  constructor(private readonly store: OrderStore) {}

  @FieldResolver(() => BulkTransferOrderType, { description: 'The order as it is now.' })
  async order(@Root() { orderId }: OrderStateConflictType): Promise<BulkTransferOrderType> {
    const order = await this.store.byId(orderId, 'all');
    if (!order) throw new Error('The order of a conflict does not exist');
    return presentOrder(order);
  }
}

/** The arguments and the context of a subscription. type-graphql does not know this type. */
interface Request {
  readonly args: { readonly id: string };
  readonly context: RequestContext;
}

/** @throws GraphQLError ORDER_NOT_FOUND */
async function orderStates({ args, context }: Request): Promise<AsyncIterableIterator<OrderState>> {
  requireRole(context, ...ORDER_READERS);
  const id = canonicalId(args.id);
  const organizations = visibleOrganizations(context.source.caller);
  const feed = id === undefined ? null : await context.orderFeeds.openOrder(id, organizations);
  if (!feed) {
    const extensions = { code: 'ORDER_NOT_FOUND' };
    throw new GraphQLError('The organizations of the caller have no such order.', { extensions });
  }
  return followOrder(feed);
}
