import { Ctx, FieldResolver, Resolver, Root } from 'type-graphql';
import type { FindTransferWarnings } from '../application/find-transfer-warnings.js';
import { UnavailableError } from '../domain/errors.js';
import type { TransferWarning } from '../domain/transfer-warnings.js';
import { BulkTransferType } from '../schema/bulk-transfer.js';
import {
  BulkTransferPerformedType,
  BulkTransferValidationType,
} from '../schema/perform-bulk-transfer.js';
import { TransferWarningType } from '../schema/transfer-warning.js';
import type { RequestContext } from './context.js';
import { make, presentBulkTransfer } from './present.js';

const DESCRIPTION =
  'Possible mistakes, the first 100. A warning never causes a refusal. The server searches for warnings only if this field is selected.';

/** Finds warnings only when a document selects them, so performing a bulk does not pay for them. */
@Resolver(() => BulkTransferPerformedType)
export class PerformedWarningsResolver {
  constructor(private readonly findTransferWarnings: FindTransferWarnings) {}

  @FieldResolver(() => [TransferWarningType], {
    description: `${DESCRIPTION} The list is empty if the database became unavailable after the bulk was performed.`,
  })
  async warnings(
    @Root() { request, bulkTransfer }: BulkTransferPerformedType,
    @Ctx() { reader, source }: RequestContext,
  ): Promise<TransferWarningType[]> {
    const caller = { reader, isAbandoned: source.isAbandoned };
    const found = await this.findTransferWarnings(request, caller, bulkTransfer).catch(
      whereUnavailable,
    );
    return found.map(presentWarning);
  }
}

@Resolver(() => BulkTransferValidationType)
export class ValidationWarningsResolver {
  constructor(private readonly findTransferWarnings: FindTransferWarnings) {}

  @FieldResolver(() => [TransferWarningType], { description: DESCRIPTION })
  async warnings(
    @Root() { request }: BulkTransferValidationType,
    @Ctx() { reader, source }: RequestContext,
  ): Promise<TransferWarningType[]> {
    const caller = { reader, isAbandoned: source.isAbandoned };
    return (await this.findTransferWarnings(request, caller)).map(presentWarning);
  }
}

@Resolver(() => TransferWarningType)
export class TransferWarningResolver {
  @FieldResolver(() => BulkTransferType, {
    nullable: true,
    description: 'The earlier bulk that this bulk resembles.',
  })
  async bulkTransfer(
    @Root() { bulkTransferId }: TransferWarningType,
    @Ctx() { loaders }: RequestContext,
  ): Promise<BulkTransferType | null> {
    if (bulkTransferId === null) return null;
    const bulkTransfer = await loaders.bulkTransfer.load(bulkTransferId);
    return bulkTransfer && presentBulkTransfer(bulkTransfer);
  }
}

/**
 * Returns no warnings for an error that says that the database is unavailable. The performed bulk is answered even
 * then.
 */
function whereUnavailable(error: unknown): readonly TransferWarning[] {
  if (error instanceof UnavailableError) return [];
  throw error;
}

function presentWarning({ index, field, code, message, bulkTransferId }: TransferWarning) {
  return make(TransferWarningType, {
    index: index ?? null,
    field,
    code,
    message,
    bulkTransferId: bulkTransferId ?? null,
  });
}
