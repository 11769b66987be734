/**
 * What an operation costs, reckoned from its document and variables before it runs; docs/limits.md has
 * the same table. A unit is about one row read.
 *
 * An upper bound: what is skipped by a variable counts, what is asked for twice counts twice; of a union's
 * members the dearest counts, for a result is one of them. Each selection set is reckoned once for each
 * type and remembered, so that fragments within fragments take linear time.
 */
import {
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLCompositeType,
  type GraphQLField,
  GraphQLObjectType,
  type GraphQLSchema,
  getNamedType,
  isAbstractType,
  isCompositeType,
  Kind,
  type OperationDefinitionNode,
  SchemaMetaFieldDef,
  type SelectionNode,
  type SelectionSetNode,
  TypeMetaFieldDef,
  type ValueNode,
} from 'graphql';
import { PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX } from '../../domain/page.js';
import type { ResolvedOperation } from '../../resolvers/idempotency-key.js';

/** A field with an object for a value. */
const OBJECT_COST = 1;

/** Fields that cost something else, beside what their arguments add. */
export const FIELD_COSTS: Readonly<Record<string, number>> = {
  'Mutation.performBulkTransfer': 10,
  'Mutation.openAccount': 10,
  'Mutation.creditAccount': 10,
  'Mutation.createApiKey': 10,
  'Mutation.revokeApiKey': 10,
  'Query.validateBulkTransfer': 10,
  'Account.statement': 10,
  'Subscription.transferPerformed': 10,
  'Subscription.bulkTransferPerformed': 10,
  'Subscription.balanceUpdated': 10,
  'Query.__schema': 50,
  'Query.__type': 10,
};

/** Fields of a root that judge the rows of a bulk, and how many rows cost a unit. */
const BULK_FIELDS: readonly string[] = ['performBulkTransfer', 'validateBulkTransfer'];
const ROWS_PER_UNIT = 20;

/** Types that come with the object that has them, and cost nothing by themselves. */
export const FREE_TYPES: ReadonlySet<string> = new Set(['Money', 'PageInfo', 'TransferProblem']);

/** Nodes of a list that is no connection. */
export const LIST_SIZES: Readonly<Record<string, number>> = { 'Outbox.parkedMessages': 100 };

/** What an operation costs beside its rows, where no variable of its decides on that. */
const known = new WeakMap<OperationDefinitionNode, number>();

/** @returns units, a whole number of at least 1 */
export function costOf(schema: GraphQLSchema, resolved: ResolvedOperation): number {
  const { operation } = resolved;
  const root = schema.getRootType(operation.operation);
  if (!root) return OBJECT_COST;
  const rows = unitsOfRows(resolved);
  const before = known.get(operation);
  if (before !== undefined) return Math.max(OBJECT_COST, before + rows);
  const reckoning = new Reckoning(schema, resolved);
  const cost = reckoning.ofSet(operation.selectionSet, root);
  if (!reckoning.dependsOnVariables) known.set(operation, cost);
  return Math.max(OBJECT_COST, cost + rows);
}

/** Of all bulks at the root, fragments included. */
function unitsOfRows(resolved: ResolvedOperation): number {
  let units = 0;
  const sets = [resolved.operation.selectionSet];
  const spread = new Set<string>();
  for (const { selections } of sets) {
    for (const selection of selections) {
      if (selection.kind === Kind.FIELD) {
        if (BULK_FIELDS.includes(selection.name.value)) {
          units += Math.floor(rowCountOf(selection, resolved) / ROWS_PER_UNIT);
        }
      } else if (selection.kind === Kind.INLINE_FRAGMENT) sets.push(selection.selectionSet);
      else if (!spread.has(selection.name.value)) {
        spread.add(selection.name.value);
        const fragment = resolved.fragments.get(selection.name.value);
        if (fragment) sets.push(fragment.selectionSet);
      }
    }
  }
  return units;
}

/** Rows of `input.creditTransfers`, wherever a variable stands for some of it. */
function rowCountOf(
  { arguments: given = [] }: FieldNode,
  { variables }: ResolvedOperation,
): number {
  const input = given.find(({ name }) => name.value === 'input')?.value;
  if (input?.kind === Kind.VARIABLE) {
    const value = variables[input.name.value];
    return isObject(value) ? lengthOf(value.creditTransfers) : 0;
  }
  if (input?.kind !== Kind.OBJECT) return 0;
  const rows = input.fields.find(({ name }) => name.value === 'creditTransfers')?.value;
  if (rows?.kind === Kind.VARIABLE) return lengthOf(variables[rows.name.value]);
  return rows?.kind === Kind.LIST ? rows.values.length : 1;
}

class Reckoning {
  /** Whether a variable says how large a page is. */
  dependsOnVariables = false;
  readonly #known = new Map<SelectionSetNode, Map<GraphQLObjectType, number>>();
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

  /** The dearest of the types that the set's object may have. */
  ofSet(set: SelectionSetNode, type: GraphQLCompositeType): number {
    const types = isAbstractType(type) ? this.schema.getPossibleTypes(type) : [type];
    return Math.max(0, ...types.map((possible) => this.#ofSetOn(set, possible)));
  }

  #ofSetOn(set: SelectionSetNode, type: GraphQLObjectType): number {
    const known = this.#known.get(set) ?? new Map<GraphQLObjectType, number>();
    this.#known.set(set, known);
    const before = known.get(type);
    if (before !== undefined) return before;
    // A fragment within itself ends here; validation has refused it.
    known.set(type, 0);
    const cost = set.selections.reduce((total, each) => total + this.#ofSelection(each, type), 0);
    known.set(type, cost);
    return cost;
  }

  #ofSelection(selection: SelectionNode, type: GraphQLObjectType): number {
    if (selection.kind === Kind.FIELD) return this.#ofField(selection, type);
    const fragment =
      selection.kind === Kind.INLINE_FRAGMENT
        ? selection
        : this.operation.fragments.get(selection.name.value);
    return fragment && this.#applies(fragment.typeCondition, type)
      ? this.#ofSetOn(fragment.selectionSet, type)
      : 0;
  }

  #applies(
    condition: FragmentDefinitionNode['typeCondition'] | undefined,
    type: GraphQLObjectType,
  ): boolean {
    if (!condition || condition.name.value === type.name) return true;
    const conditionType = this.schema.getType(condition.name.value);
    return isAbstractType(conditionType) && this.schema.isSubType(conditionType, type);
  }

  #ofField(field: FieldNode, parent: GraphQLObjectType): number {
    const type = getNamedType(fieldOf(parent, field.name.value)?.type);
    if (!isCompositeType(type) || !field.selectionSet) return 0;
    const inner = this.ofSet(field.selectionSet, type);
    const place = `${parent.name}.${field.name.value}`;
    if (isConnection(type)) return OBJECT_COST + this.#pageSize(field) * inner;
    return (LIST_SIZES[place] ?? 1) * (ownCost(place, type) + inner);
  }

  /** Of a page whose size is refused later, at most that of the largest page. */
  #pageSize({ arguments: given = [] }: FieldNode): number {
    const sizes = given
      .filter(({ name }) => name.value === 'first' || name.value === 'last')
      .map(({ value }) => this.#numberOf(value))
      .filter((size) => size !== undefined);
    if (sizes.length === 0) return PAGE_SIZE_DEFAULT;
    return Math.min(Math.max(1, ...sizes), PAGE_SIZE_MAX);
  }

  /** @returns undefined for null and what is absent */
  #numberOf(value: ValueNode | undefined): number | undefined {
    if (value === undefined || value.kind === Kind.NULL) return undefined;
    if (value.kind === Kind.INT) return Number(value.value);
    // What is no number is refused when its type is looked at.
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
