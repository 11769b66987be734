/**
 * Estimates the cost of an operation and the length of its answer, from its document and variables before it runs;
 * docs/limits.md has the same tables. A unit of cost is about one row read.
 *
 * Both estimates are upper bounds. Selections that a variable skips count, and repeated selections count repeatedly.
 * The most expensive member of a union counts, because a result is one of them. Each selection set is estimated once
 * for each type and cached, so that nested fragments take linear time.
 */

import {
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLCompositeType,
  type GraphQLField,
  type GraphQLNamedType,
  GraphQLObjectType,
  type GraphQLSchema,
  getNamedType,
  isAbstractType,
  isCompositeType,
  isEnumType,
  Kind,
  type OperationDefinitionNode,
  SchemaMetaFieldDef,
  type SelectionNode,
  type SelectionSetNode,
  TypeMetaFieldDef,
  type ValueNode,
} from 'graphql';
import { ORGANIZATIONS_LISTED_MAX } from '../../domain/caller.js';
import type { MutationName } from '../../domain/kinds.js';
import { ORDER_FILE_ORDERS_MAX } from '../../domain/order-file.js';
import { PROBLEMS_LISTED_MAX } from '../../domain/problem.js';
import { WARNINGS_LISTED_MAX } from '../../domain/transfer-warnings.js';
import { ATTEMPTS_LISTED_MAX } from '../../domain/webhook.js';
import type { ResolvedOperation } from '../../resolvers/idempotency-key.js';
import { PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX } from '../../resolvers/read-page-range.js';

/** The cost of a field whose value is an object. */
const OBJECT_COST = 1;

/**
 * The cost of each root field, and of other fields whose cost differs from an object's, without the cost of their
 * arguments. A mutation without an entry does not compile; a test names any other root field without an entry.
 */
export const FIELD_COSTS: Readonly<
  Record<string, number> & Record<`Mutation.${MutationName}`, number>
> = {
  'Query.account': OBJECT_COST,
  // The list itself. Each of its nodes costs more.
  'Query.accounts': OBJECT_COST,
  'Query.apiKeys': OBJECT_COST,
  'Query.auditLog': OBJECT_COST,
  'Query.deadLetters': OBJECT_COST,
  'Query.bulkTransfer': OBJECT_COST,
  'Query.me': OBJECT_COST,
  'Query.transfer': OBJECT_COST,
  'Query.webhooks': OBJECT_COST,
  'Query.webhook': OBJECT_COST,
  'Query.order': OBJECT_COST,
  'Query.orders': OBJECT_COST,
  // The field looks an id up in ten tables.
  'Query.node': 10,
  // The field finds the account, then the bulk.
  'Query.bulkTransferByIdempotencyKey': 2,
  // The field counts the due and the parked messages.
  'Query.outbox': 10,
  'Mutation.performBulkTransfer': 10,
  'Mutation.openAccount': 10,
  'Mutation.creditAccount': 10,
  'Mutation.createApiKey': 10,
  'Mutation.revokeApiKey': 10,
  'Mutation.retryOutboxMessage': 10,
  // A call has up to 100 dead letters, each with a commit or a statement of its own.
  'Mutation.replayDeadLetters': 100,
  'Mutation.discardDeadLetters': 100,
  'Query.validateBulkTransfer': 10,
  'Mutation.registerWebhook': 20,
  'Mutation.updateWebhook': 20,
  'Mutation.rotateWebhookSecret': 10,
  'Mutation.enableWebhook': 10,
  'Mutation.disableWebhook': 10,
  'Mutation.deleteWebhook': 10,
  // A call of a receiver takes a connection, two commits and a signature.
  'Mutation.sendTestEvent': 50,
  'Mutation.redeliver': 50,
  // A call may make 100,000 deliveries due again.
  'Mutation.redeliverSince': 2_000,
  'Mutation.createOrder': 10,
  'Mutation.addOrderRows': 50,
  'Mutation.replaceOrderRow': 50,
  'Mutation.removeOrderRows': 50,
  // The order is performed later: 100,000 rows at most in one bulk.
  'Mutation.submitOrder': 100,
  'Mutation.cancelOrder': 10,
  'Mutation.duplicateOrder': 50,
  'Mutation.importOrder': 50,
  // The file is charged when it is downloaded.
  'Mutation.createExport': 10,
  'Account.statement': 10,
  'Subscription.transferPerformed': 10,
  'Subscription.bulkTransferPerformed': 10,
  'Subscription.transferReceived': 10,
  'Subscription.balanceUpdated': 10,
  'Subscription.orderProgress': 10,
  // Warnings are found among the account's last bulks: 1 for each bulk of the list.
  'BulkTransferPerformed.warnings': 1,
  'BulkTransferValidation.warnings': 1,
  // The rows are charged when they are read.
  'BulkTransferOrder.warnings': 100,
  'Query.__schema': 50,
  'Query.__type': 10,
};

/** Root fields that check the rows of a bulk, and the number of rows that cost a unit. */
const BULK_FIELDS: readonly string[] = [
  'performBulkTransfer',
  'validateBulkTransfer',
  'addOrderRows',
];
const ROWS_PER_UNIT = 20;

/**
 * Fields that check the rows of a bulk again, against rows of the account's history, and the number of rows that cost a
 * unit.
 */
const WARNING_LISTS: readonly string[] = [
  'BulkTransferPerformed.warnings',
  'BulkTransferValidation.warnings',
];
const WARNED_ROWS_PER_UNIT = 10;

/** Types that are read together with their parent object, and cost nothing by themselves. */
export const FREE_TYPES: ReadonlySet<string> = new Set([
  'Money',
  'PageInfo',
  'OrderProblem',
  'TransferProblem',
  'TransferWarning',
]);

/** The number of nodes of a list that is not a connection. Problems are read with their subject, and cost nothing. */
export const LIST_SIZES: Readonly<Record<string, number>> = {
  'Outbox.parkedMessages': 100,
  'Me.organizations': ORGANIZATIONS_LISTED_MAX,
  'InvalidBulkTransfer.problems': PROBLEMS_LISTED_MAX,
  'InvalidInput.problems': PROBLEMS_LISTED_MAX,
  'BulkTransferValidation.problems': PROBLEMS_LISTED_MAX,
  'BulkTransferPerformed.warnings': WARNINGS_LISTED_MAX,
  'BulkTransferValidation.warnings': WARNINGS_LISTED_MAX,
  'WebhookDelivery.attempts': ATTEMPTS_LISTED_MAX,
  // A field has two problems at most, and a row seven fields.
  'OrderRow.problems': 14,
  'OrdersImported.orders': ORDER_FILE_ORDERS_MAX,
  'BulkTransferOrder.bulkTransfers': 100,
};

/**
 * The extra cost of a filter that no index serves in the order of the list. Transfers are examined one by one until the
 * page is full, 10,000 at most.
 */
const RANGE_FILTER_COST = 100;

/** The cost of a list's totalCount. The count reads 10,000 rows of an index at most. */
const COUNT_COST = 20;

/** Fields of a filter that an index serves in the order of the list, one of them at a time. */
const EQUALITY_FILTERS: readonly string[] = ['counterpartyIban', 'endToEndId'];

/** Fields of a filter that are ranges of the list's own key. */
const TIME_FILTERS: readonly string[] = ['from', 'to'];

/** The largest number of bytes of a scalar's JSON, by type. */
const SCALAR_BYTES: Readonly<Record<string, number>> = {
  Boolean: 5,
  Int: 11,
  ID: 38,
  Int64: 22,
  Decimal: 24,
  IBAN: 36,
  BIC: 13,
  Currency: 5,
  Cursor: 160,
  DateTime: 26,
  Date: 12,
  // 140 characters of four bytes each, or escaped.
  String: 562,
};

/** The length of the longest enum value's name, quoted. */
const ENUM_BYTES = 42;

/** Fields whose JSON may be longer than that of their type. */
export const FIELD_BYTES: Readonly<Record<string, number>> = {
  'ApiKey.organizationIds': 4_000,
  'OutboxMessage.lastError': 3_002,
  // 2,000 characters, each of one byte or escaped.
  'Webhook.url': 12_002,
  'Webhook.events': 150,
  // 100 IBANs, each quoted.
  'Webhook.accountIbans': 3_800,
  'Webhook.disabledReason': 1_802,
  'WebhookAttempt.error': 1_202,
  // 1,024 characters, each escaped or of four bytes.
  'WebhookAttempt.responseBody': 6_146,
  // 255 bytes, each escaped.
  'DeadLetter.consumer': 1_532,
  'DeadLetter.messageId': 1_532,
  'DeadLetter.type': 1_532,
  // 1,000 characters, each escaped or of four bytes.
  'DeadLetter.lastError': 6_002,
  // 256 KiB, of which each byte may be shown as a character of three: see presentDeadLetter.
  'DeadLetter.payload': 786_434,
};

/** Bytes of a field beside its name and value: quotes, a colon, a comma. */
const FIELD_OVERHEAD_BYTES = 4;

/** Bytes of an object beside its fields: braces, a comma. */
const OBJECT_OVERHEAD_BYTES = 3;

export interface Estimate {
  /** Units, a whole number of at least 1. */
  readonly cost: number;
  /** Bytes of `data` in the answer. */
  readonly answerBytes: number;
}

/** The estimate of a selection, without the rows of bulks. */
interface Part extends Estimate {
  /** The number of lists of warnings. Each of them checks all rows of its bulk. */
  readonly warningLists: number;
  /** Units for the list itself, which do not depend on the size of a page. */
  readonly listCost: number;
}

const NOTHING: Part = { cost: 0, answerBytes: 0, warningLists: 0, listCost: 0 };

/** Estimates of operations without the rows of their bulks, cached if no variable changes them. */
const known = new WeakMap<OperationDefinitionNode, Part>();

export function estimateOf(schema: GraphQLSchema, resolved: ResolvedOperation): Estimate {
  const { operation } = resolved;
  const root = schema.getRootType(operation.operation);
  if (!root) return { ...NOTHING, cost: OBJECT_COST };
  const { cost, answerBytes, warningLists } =
    known.get(operation) ?? estimateSet(schema, resolved, root);
  // A list of warnings counts for every bulk of the operation. Operations with several bulks are rare.
  const rows = bulkSizesOf(resolved).reduce(
    (units, size) =>
      units +
      Math.floor(size / ROWS_PER_UNIT) +
      warningLists * Math.ceil(size / WARNED_ROWS_PER_UNIT),
    0,
  );
  return { cost: Math.max(OBJECT_COST, cost + rows), answerBytes };
}

function estimateSet(
  schema: GraphQLSchema,
  resolved: ResolvedOperation,
  root: GraphQLObjectType,
): Part {
  const { operation } = resolved;
  const estimator = new Estimator(schema, resolved);
  const estimate = estimator.ofSet(operation.selectionSet, root);
  if (!estimator.dependsOnVariables) known.set(operation, estimate);
  return estimate;
}

/** Returns the number of rows of each bulk at the root, fragments included. */
function bulkSizesOf(resolved: ResolvedOperation): number[] {
  const sizes: number[] = [];
  const sets = [resolved.operation.selectionSet];
  const spread = new Set<string>();
  for (const { selections } of sets) {
    for (const selection of selections) {
      if (selection.kind === Kind.FIELD) {
        if (BULK_FIELDS.includes(selection.name.value)) {
          sizes.push(rowCountOf(selection, resolved));
        }
      } else if (selection.kind === Kind.INLINE_FRAGMENT) sets.push(selection.selectionSet);
      else if (!spread.has(selection.name.value)) {
        spread.add(selection.name.value);
        const fragment = resolved.fragments.get(selection.name.value);
        if (fragment) sets.push(fragment.selectionSet);
      }
    }
  }
  return sizes;
}

/** Returns the number of rows of `input.creditTransfers` or of `rows`, whether literal or in a variable. */
function rowCountOf(
  { arguments: given = [] }: FieldNode,
  { variables }: ResolvedOperation,
): number {
  const rowsOfOrder = given.find(({ name }) => name.value === 'rows')?.value;
  if (rowsOfOrder) return listLengthOf(rowsOfOrder, variables);
  const input = given.find(({ name }) => name.value === 'input')?.value;
  if (input?.kind === Kind.VARIABLE) {
    const value = variables[input.name.value];
    return isObject(value) ? lengthOf(value.creditTransfers) : 0;
  }
  if (input?.kind !== Kind.OBJECT) return 0;
  const rows = input.fields.find(({ name }) => name.value === 'creditTransfers')?.value;
  return listLengthOf(rows, variables);
}

function listLengthOf(
  rows: ValueNode | undefined,
  variables: ResolvedOperation['variables'],
): number {
  if (rows?.kind === Kind.VARIABLE) return lengthOf(variables[rows.name.value]);
  return rows?.kind === Kind.LIST ? rows.values.length : 1;
}

class Estimator {
  /** Tells whether a variable decides the size of a page or the fields of a filter. */
  dependsOnVariables = false;
  readonly #known = new Map<SelectionSetNode, Map<GraphQLObjectType, Part>>();
  readonly #defaults: ReadonlyMap<string, ValueNode | undefined>;

  constructor(
    readonly schema: GraphQLSchema,
    readonly operation: ResolvedOperation,
  ) {
    this.#defaults = new Map(
      operation.operation.variableDefinitions?.map(({ variable, defaultValue }) => [
        variable.name.value,
        defaultValue,
      ]),
    );
  }

  /** Returns the highest cost and the greatest length among the types that the set's object may have. */
  ofSet(set: SelectionSetNode, type: GraphQLCompositeType): Part {
    const types = isAbstractType(type) ? this.schema.getPossibleTypes(type) : [type];
    return types.map((possible) => this.#ofSetOn(set, possible)).reduce(larger, NOTHING);
  }

  #ofSetOn(set: SelectionSetNode, type: GraphQLObjectType): Part {
    const known = this.#known.get(set) ?? new Map<GraphQLObjectType, Part>();
    this.#known.set(set, known);
    const before = known.get(type);
    if (before !== undefined) return before;
    // A fragment that contains itself ends here; validation has refused it.
    known.set(type, NOTHING);
    let estimate = NOTHING;
    for (const selection of set.selections) {
      estimate = sum(estimate, this.#ofSelection(selection, type));
    }
    known.set(type, estimate);
    return estimate;
  }

  #ofSelection(selection: SelectionNode, type: GraphQLObjectType): Part {
    if (selection.kind === Kind.FIELD) return this.#ofField(selection, type);
    const fragment =
      selection.kind === Kind.INLINE_FRAGMENT
        ? selection
        : this.operation.fragments.get(selection.name.value);
    return fragment && this.#applies(fragment.typeCondition, type)
      ? this.#ofSetOn(fragment.selectionSet, type)
      : NOTHING;
  }

  #applies(
    condition: FragmentDefinitionNode['typeCondition'] | undefined,
    type: GraphQLObjectType,
  ): boolean {
    if (!condition || condition.name.value === type.name) return true;
    const conditionType = this.schema.getType(condition.name.value);
    return isAbstractType(conditionType) && this.schema.isSubType(conditionType, type);
  }

  #ofField(field: FieldNode, parent: GraphQLObjectType): Part {
    const name = field.name.value;
    const type = getNamedType(fieldOf(parent, name)?.type);
    const place = `${parent.name}.${name}`;
    const keyBytes = (field.alias ?? field.name).value.length + FIELD_OVERHEAD_BYTES;
    if (!isCompositeType(type) || !field.selectionSet) {
      const answerBytes = keyBytes + leafBytesOf(place, type);
      const listCost = isConnection(parent) && name === 'totalCount' ? COUNT_COST : 0;
      return { ...NOTHING, cost: FIELD_COSTS[place] ?? 0, answerBytes, listCost };
    }
    const inner = this.ofSet(field.selectionSet, type);
    const objectBytes = inner.answerBytes + OBJECT_OVERHEAD_BYTES;
    if (isConnection(type)) {
      const size = this.#pageSize(field);
      // The rows of a page are read whatever fields are selected.
      const rowCost = Math.max(OBJECT_COST, inner.cost);
      return {
        ...NOTHING,
        cost: ownCost(place, type) + this.#filterCost(field) + inner.listCost + size * rowCost,
        answerBytes: keyBytes + size * objectBytes,
      };
    }
    const size = LIST_SIZES[place] ?? 1;
    return {
      ...NOTHING,
      cost: size * (ownCost(place, type) + inner.cost),
      answerBytes: keyBytes + size * objectBytes,
      warningLists: inner.warningLists + (WARNING_LISTS.includes(place) ? 1 : 0),
    };
  }

  #filterCost({ arguments: given = [] }: FieldNode): number {
    const filter = given.find(({ name }) => name.value === 'filter')?.value;
    return filter && isExamined(this.#fieldsOfInput(filter)) ? RANGE_FILTER_COST : 0;
  }

  /** Returns the fields of an input object. A null value counts as absent. */
  #fieldsOfInput(input: ValueNode): readonly string[] {
    if (input.kind === Kind.OBJECT) {
      return input.fields
        .filter(({ value }) => value.kind !== Kind.NULL)
        .map(({ name }) => name.value);
    }
    if (input.kind !== Kind.VARIABLE) return [];
    this.dependsOnVariables = true;
    const name = input.name.value;
    const value = this.operation.variables[name];
    if (value === undefined) {
      const fallback = this.#defaults.get(name);
      return fallback === undefined ? [] : this.#fieldsOfInput(fallback);
    }
    return isObject(value) ? Object.keys(value).filter((key) => value[key] !== null) : [];
  }

  /** Returns the size of a page. A size that is refused later counts at most as the largest page. */
  #pageSize({ arguments: given = [] }: FieldNode): number {
    const sizes = given
      .filter(({ name }) => name.value === 'first' || name.value === 'last')
      .map(({ value }) => this.#numberOf(value))
      .filter((size) => size !== undefined);
    if (sizes.length === 0) return PAGE_SIZE_DEFAULT;
    return Math.min(Math.max(1, ...sizes), PAGE_SIZE_MAX);
  }

  /** Returns the number of a page size; undefined for null and for an absent value. */
  #numberOf(value: ValueNode | undefined): number | undefined {
    if (value === undefined || value.kind === Kind.NULL) return undefined;
    if (value.kind === Kind.INT) return Number(value.value);
    // A value that is not a number is refused when its type is checked.
    if (value.kind !== Kind.VARIABLE) return PAGE_SIZE_MAX;
    this.dependsOnVariables = true;
    const name = value.name.value;
    const given = this.operation.variables[name];
    if (given === undefined) return this.#numberOf(this.#defaults.get(name));
    if (given === null) return undefined;
    return typeof given === 'number' ? given : PAGE_SIZE_MAX;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function larger(one: Part, other: Part): Part {
  return {
    cost: Math.max(one.cost, other.cost),
    answerBytes: Math.max(one.answerBytes, other.answerBytes),
    warningLists: Math.max(one.warningLists, other.warningLists),
    listCost: Math.max(one.listCost, other.listCost),
  };
}

function sum(one: Part, other: Part): Part {
  return {
    cost: one.cost + other.cost,
    answerBytes: one.answerBytes + other.answerBytes,
    warningLists: one.warningLists + other.warningLists,
    listCost: Math.max(one.listCost, other.listCost),
  };
}

/** Tells whether no index serves the whole filter in the order of the list, because of a range or two equalities. */
function isExamined(fields: readonly string[]): boolean {
  const equalities = fields.filter((field) => EQUALITY_FILTERS.includes(field));
  const others = fields.filter((field) => !EQUALITY_FILTERS.includes(field));
  return equalities.length > 1 || others.some((field) => !TIME_FILTERS.includes(field));
}

function leafBytesOf(place: string, type: GraphQLNamedType | undefined): number {
  const ofType = type && isEnumType(type) ? ENUM_BYTES : SCALAR_BYTES[type?.name ?? ''];
  return FIELD_BYTES[place] ?? ofType ?? SCALAR_BYTES.String ?? 0;
}

function lengthOf(value: unknown): number {
  return Array.isArray(value) ? value.length : 1;
}

function ownCost(place: string, type: GraphQLCompositeType): number {
  const isFree = FREE_TYPES.has(type.name) || type.name.endsWith('Edge');
  return FIELD_COSTS[place] ?? (isFree ? 0 : OBJECT_COST);
}

function isConnection(type: GraphQLCompositeType): boolean {
  return type instanceof GraphQLObjectType && type.name.endsWith('Connection');
}

function fieldOf(
  parent: GraphQLObjectType,
  name: string,
): GraphQLField<unknown, unknown> | undefined {
  if (name === SchemaMetaFieldDef.name) return SchemaMetaFieldDef;
  if (name === TypeMetaFieldDef.name) return TypeMetaFieldDef;
  return parent.getFields()[name];
}
