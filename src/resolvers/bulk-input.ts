/**
 * The argument `input` of a bulk, as GraphQL coerced it. type-graphql would copy each row into an instance of its class,
 * which takes 40 ms for 10,000 rows and cannot be interrupted. It converts the arguments of every parameter, so the rows
 * are hidden from it. A resolver that has the parameter `BulkInput` also uses the middleware `hideRows`.
 */
import { createParameterDecorator, type MiddlewareFn } from 'type-graphql';
import { PerformBulkTransferInput } from '../schema/perform-bulk-transfer.js';

/** The inputs by the objects without rows that type-graphql converts. */
const inputs = new WeakMap<object, PerformBulkTransferInput>();

export const hideRows: MiddlewareFn = ({ args }, next) => {
  const hidden = { ...args.input, creditTransfers: [] };
  inputs.set(hidden, args.input);
  args.input = hidden;
  return next();
};

/** Declares the argument, and passes its value to the parameter. */
export function BulkInput(description: string): ReturnType<typeof createParameterDecorator> {
  return createParameterDecorator(({ args }) => inputs.get(args.input), {
    arg: { name: 'input', typeFunc: () => PerformBulkTransferInput, options: { description } },
  });
}
