import { createParameterDecorator } from 'type-graphql';
import { PerformBulkTransferInput } from '../schema/perform-bulk-transfer.js';

/**
 * Declares the argument `input` of a bulk. Its value is what GraphQL coerced. With `Arg`, type-graphql would copy each
 * row into an instance of its class, which takes 40 ms for 10,000 rows and cannot be interrupted.
 */
export function BulkInput(description: string): ReturnType<typeof createParameterDecorator> {
  return createParameterDecorator(({ args }) => args.input, {
    arg: { name: 'input', typeFunc: () => PerformBulkTransferInput, options: { description } },
  });
}
