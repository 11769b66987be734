import { createHash } from 'node:crypto';
import { Arg, Ctx, Mutation, Resolver } from 'type-graphql';
import type { ImportOrders } from '../application/ports/import-orders.js';
import type { FileBytes } from '../application/ports/order-file.js';
import { ImportOrderInput, ImportOrderResult, OrdersImportedType } from '../schema/import.js';
import { audited } from './audited.js';
import type { RequestContext } from './context.js';
import { make } from './present.js';
import { presentOrder } from './present-order.js';

/** The bytes of a file that cost as much as a row that is summed. */
const BYTES_PER_ROW = 10;

/** The bytes that are read at once. */
const PART_BYTES = 65_536;

@Resolver()
export class ImportResolver {
  constructor(private readonly importOrders: ImportOrders) {}

  @Mutation(() => ImportOrderResult, {
    description:
      'Makes drafts of a small file of transfers. Rows with problems are kept, with their problems. POST /imports takes larger files. Requires the role INITIATOR, else FORBIDDEN.',
  })
  importOrder(
    @Arg('input', () => ImportOrderInput, { description: 'The file.' })
    { format, content, organizationIban, fileName }: ImportOrderInput,
    @Ctx() context: RequestContext,
  ): Promise<typeof ImportOrderResult> {
    return audited(context, 'importOrder', async () => {
      const bytes = Buffer.from(content);
      context.chargeForRows(bytes.length / BYTES_PER_ROW);
      const request = {
        format,
        file: fileOf(bytes),
        fileHash: createHash('sha256').update(bytes).digest('hex'),
        fileName: fileName ?? undefined,
        organizationIban: organizationIban ?? undefined,
        idempotencyKey: undefined,
      };
      const { orders } = await this.importOrders(request, context.source);
      return { answer: make(OrdersImportedType, { orders: orders.map(presentOrder) }) };
    });
  }
}

function fileOf(bytes: Buffer): FileBytes {
  return {
    size: bytes.length,
    async *read() {
      for (let position = 0; position < bytes.length; position += PART_BYTES) {
        yield bytes.subarray(position, position + PART_BYTES);
      }
    },
  };
}
