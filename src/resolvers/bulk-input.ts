/**
 * The rows of a bulk or of an order, as GraphQL coerces them: in the argument `input` of a bulk, and as the argument
 * `rows` of an order. type-graphql would copy each row into an instance of its class,
 * which takes 40 ms for 10,000 rows and cannot be interrupted. It converts the arguments of every parameter, so the rows
 * are hidden from it. A resolver that has the parameter `BulkInput` also uses the middleware `hideRows`, and with
 * `OrderRows` it uses `hideOrderRows`. The rows of a variable are usually in the context: see server/bulk-rows.ts.
 */
import { type GraphQLResolveInfo, Kind } from 'graphql';
import { createParameterDecorator, type MiddlewareFn } from 'type-graphql';
import { CreditTransferInput, PerformBulkTransferInput } from '../schema/perform-bulk-transfer.js';
import type { BulkRows, RequestContext } from './context.js';

/** The inputs by the objects without rows that type-graphql converts. */
const inputs = new WeakMap<object, PerformBulkTransferInput>();

export const hideRows: MiddlewareFn<RequestContext> = ({ args, info, context }, next) => {
  const { bulkRows } = context;
  const creditTransfers =
    bulkRows.get(variableOf(info, 'input')) ??
    bulkRows.get(variableWithin(info, 'input', 'creditTransfers')) ??
    args.input.creditTransfers;
  const hidden = { ...args.input, creditTransfers: [] };
  inputs.set(hidden, { ...args.input, creditTransfers });
  args.input = hidden;
  return next();
};

/** Returns the name of the variable that is an argument of a field; an empty text for a literal. */
function variableOf({ fieldNodes: [field] }: GraphQLResolveInfo, argument: string): string {
  const value = field?.arguments?.find(({ name }) => name.value === argument)?.value;
  return value?.kind === Kind.VARIABLE ? value.name.value : '';
}

/** Returns the name of the variable that is a field of a literal argument; an empty text if there is none. */
function variableWithin(
  { fieldNodes: [field] }: GraphQLResolveInfo,
  argument: string,
  fieldName: string,
): string {
  const literal = field?.arguments?.find(({ name }) => name.value === argument)?.value;
  if (literal?.kind !== Kind.OBJECT) return '';
  const value = literal.fields.find(({ name }) => name.value === fieldName)?.value;
  return value?.kind === Kind.VARIABLE ? value.name.value : '';
}

/** Declares the argument, and passes its value to the parameter. */
export function BulkInput(description: string): ReturnType<typeof createParameterDecorator> {
  return createParameterDecorator(({ args }) => inputs.get(args.input), {
    arg: { name: 'input', typeFunc: () => PerformBulkTransferInput, options: { description } },
  });
}

/** The rows by the empty lists that type-graphql converts. */
const orderRows = new WeakMap<object, BulkRows>();

export const hideOrderRows: MiddlewareFn<RequestContext> = ({ args, info, context }, next) => {
  const hidden: readonly never[] = [];
  orderRows.set(hidden, context.bulkRows.get(variableOf(info, 'rows')) ?? args.rows);
  args.rows = hidden;
  return next();
};

/** Declares the argument `rows`, and passes its value to the parameter. */
export function OrderRows(description: string): ReturnType<typeof createParameterDecorator> {
  return createParameterDecorator(({ args }) => orderRows.get(args.rows), {
    arg: { name: 'rows', typeFunc: () => [CreditTransferInput], options: { description } },
  });
}
