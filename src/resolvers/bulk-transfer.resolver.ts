import {
  Arg,
  Args,
  Ctx,
  FieldResolver,
  ID,
  Mutation,
  Query,
  Resolver,
  Root,
  UseMiddleware,
} from 'type-graphql';
import type { PerformBulkTransfer } from '../application/perform-bulk-transfer.js';
import type { ValidateBulkTransfer } from '../application/validate-bulk-transfer.js';
import { normaliseIban } from '../domain/iban.js';
import { canonicalId } from '../domain/id.js';
import { AccountType } from '../schema/account.js';
import { BulkTransferType } from '../schema/bulk-transfer.js';
import { type Connection, PageArgs } from '../schema/page.js';
import {
  BulkTransferPerformedType,
  BulkTransferValidationType,
  type PerformBulkTransferInput,
  PerformBulkTransferResult,
} from '../schema/perform-bulk-transfer.js';
import { TransferConnection, type TransferType } from '../schema/transfer.js';
import { IdempotencyKeyReusedType } from '../schema/user-errors.js';
import { audited } from './audited.js';
import { BulkInput, hideRows } from './bulk-input.js';
import { type RequestContext, requireRole } from './context.js';
import { transfersOfBulk } from './cursor-scopes.js';
import { idempotencyKeyOf } from './idempotency-key.js';
import { loadReferenced } from './loaders.js';
import {
  make,
  presentAccount,
  presentBulkTransfer,
  presentMoney,
  presentPage,
  presentTransfer,
} from './present.js';
import { presentProblem, presentRejection } from './present-rejection.js';
import { readPageRange } from './read-page-range.js';

@Resolver(() => BulkTransferType)
export class BulkTransferResolver {
  constructor(
    private readonly performUseCase: PerformBulkTransfer,
    private readonly validateUseCase: ValidateBulkTransfer,
  ) {}

  @Mutation(() => PerformBulkTransferResult, {
    description:
      'Performs a bulk: records all of its transfers and debits the account in one commit, or does nothing. Counterparties with an account on this server are credited in the same commit. Requires the role INITIATOR, else FORBIDDEN. With an idempotency key the same request may be sent again, and is performed once.',
  })
  @UseMiddleware(hideRows)
  performBulkTransfer(
    @BulkInput('The account to debit, and the transfers.')
    input: PerformBulkTransferInput,
    @Ctx() context: RequestContext,
  ): Promise<typeof PerformBulkTransferResult> {
    return audited(context, 'performBulkTransfer', async () => {
      const request = { ...input, idempotencyKey: idempotencyKeyOf(input, context) };
      const { bulkTransfer, account, replayed } = await this.performUseCase(
        request,
        context.source,
      );
      context.loaders.account.clearAll();
      const answer = make(BulkTransferPerformedType, {
        bulkTransfer: presentBulkTransfer(bulkTransfer),
        account: presentAccount(account),
        replayed,
        request,
      });
      return { answer, replayed, accountId: account.id, subjectId: bulkTransfer.id };
    });
  }

  @Query(() => BulkTransferValidationType, {
    description:
      'A dry run of performBulkTransfer: the same checks, but nothing is stored and no money moves. Requires the role VIEWER or INITIATOR, else FORBIDDEN.',
  })
  @UseMiddleware(hideRows)
  async validateBulkTransfer(
    @BulkInput('The input of performBulkTransfer.')
    input: PerformBulkTransferInput,
    @Ctx() context: RequestContext,
  ): Promise<BulkTransferValidationType> {
    requireRole(context, 'viewer', 'initiator');
    const request = { ...input, idempotencyKey: idempotencyKeyOf(input, context) };
    const validation = await this.validateUseCase(request, context.source);
    const { totalAmountMinor, balanceAfterMinor, rejection } = validation;
    const money = (minorUnits: bigint | undefined) =>
      minorUnits === undefined || validation.currency === undefined
        ? null
        : presentMoney(minorUnits, validation.currency);
    return make(BulkTransferValidationType, {
      valid: rejection === undefined,
      transferCount: validation.transferCount,
      totalAmount: money(totalAmountMinor),
      balanceAfter: money(balanceAfterMinor),
      problems: validation.problems.map(presentProblem),
      error: rejection ? presentRejection(rejection) : null,
      request,
    });
  }

  @Query(() => BulkTransferType, {
    nullable: true,
    description:
      'The bulk with an id; null if there is none, or if the caller does not see its account.',
  })
  async bulkTransfer(
    @Arg('id', () => ID, { description: 'BulkTransfer.id, a UUID in any case.' }) text: string,
    @Ctx() { loaders }: RequestContext,
  ): Promise<BulkTransferType | null> {
    const id = canonicalId(text);
    const bulkTransfer = id === undefined ? null : await loaders.bulkTransfer.load(id);
    return bulkTransfer && presentBulkTransfer(bulkTransfer);
  }

  @Query(() => BulkTransferType, {
    nullable: true,
    description:
      'The bulk that was performed with an idempotency key. Use it to learn the outcome of a request whose answer was lost. Null if no bulk was performed with the key, or if the caller does not see the account.',
  })
  async bulkTransferByIdempotencyKey(
    @Arg('accountIban', () => String, {
      description:
        'IBAN of the account that the request named; in any case, with or without spaces.',
    })
    accountIban: string,
    @Arg('idempotencyKey', () => String, {
      description: 'The idempotency key of the request: 1 to 255 printable ASCII characters.',
    })
    idempotencyKey: string,
    @Ctx() { reader }: RequestContext,
  ): Promise<BulkTransferType | null> {
    const account = await reader.accountByIban(normaliseIban(accountIban));
    const bulkTransfer = account && (await reader.bulkTransferByKey(account.id, idempotencyKey));
    return bulkTransfer && presentBulkTransfer(bulkTransfer);
  }

  @FieldResolver(() => AccountType)
  async account(
    @Root() { accountId }: BulkTransferType,
    @Ctx() { loaders }: RequestContext,
  ): Promise<AccountType> {
    return presentAccount(await loadReferenced(loaders.account, accountId));
  }

  @FieldResolver(() => TransferConnection, {
    description: 'The transfers, in the order in which they were sent.',
  })
  async transfers(
    @Root() bulkTransfer: BulkTransferType,
    @Args(() => PageArgs) page: PageArgs,
    @Ctx() { reader }: RequestContext,
  ): Promise<Connection<TransferType>> {
    const scope = transfersOfBulk(bulkTransfer.id);
    const transfers = await reader.transfersOfBulk(
      bulkTransfer,
      await readPageRange(page, scope, reader),
    );
    return presentPage(transfers, scope, presentTransfer);
  }
}

@Resolver(() => IdempotencyKeyReusedType)
export class IdempotencyKeyReusedResolver {
  @FieldResolver(() => BulkTransferType, {
    nullable: true,
    description: 'The bulk of the idempotency key; null for the key of a credit.',
  })
  async existingBulkTransfer(
    @Root() { bulkTransferId }: IdempotencyKeyReusedType,
    @Ctx() { loaders }: RequestContext,
  ): Promise<BulkTransferType | null> {
    if (bulkTransferId === null) return null;
    const bulkTransfer = await loaders.bulkTransfer.load(bulkTransferId);
    return bulkTransfer && presentBulkTransfer(bulkTransfer);
  }

  @FieldResolver(() => BulkTransferType, {
    nullable: true,
    description: 'The same bulk as existingBulkTransfer.',
    deprecationReason:
      'Use existingBulkTransfer: a document cannot select bulkTransfer both here and in ' +
      'BulkTransferPerformed, where it is not nullable.',
  })
  bulkTransfer(
    @Root() rejection: IdempotencyKeyReusedType,
    @Ctx() context: RequestContext,
  ): Promise<BulkTransferType | null> {
    return this.existingBulkTransfer(rejection, context);
  }
}
