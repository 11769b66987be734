import { Arg, Args, Ctx, FieldResolver, Mutation, Query, Resolver, Root } from 'type-graphql';
import type { CreditAccount } from '../application/credit-account.js';
import type { OpenAccount } from '../application/open-account.js';
import type { EntryTotals } from '../application/ports/scoped-ledger-reader.js';
import { readStatement, sumEntries } from '../application/read-statement.js';
import { normaliseIban } from '../domain/iban.js';
import { AccountConnection, AccountType } from '../schema/account.js';
import { BulkTransferConnection, type BulkTransferType } from '../schema/bulk-transfer.js';
import {
  AccountCreditedType,
  CreditAccountInput,
  CreditAccountResult,
} from '../schema/credit-account.js';
import {
  IncomingTransferConnection,
  type IncomingTransferType,
} from '../schema/incoming-transfer.js';
import { LedgerEntryConnection, type LedgerEntryType } from '../schema/ledger-entry.js';
import { MoneyType } from '../schema/money.js';
import { AccountOpenedType, OpenAccountInput, OpenAccountResult } from '../schema/open-account.js';
import { type Connection, ForwardPageArgs, PageArgs } from '../schema/page.js';
import { CalendarDate } from '../schema/scalars.js';
import { StatementType } from '../schema/statement.js';
import { TransferConnection, TransferFilterInput, type TransferType } from '../schema/transfer.js';
import { AccountExistsType } from '../schema/user-errors.js';
import { audited } from './audited.js';
import type { RequestContext } from './context.js';
import {
  ACCOUNTS,
  bulkTransfersOf,
  incomingTransfersOf,
  ledgerEntriesOf,
  transfersOf,
} from './cursor-scopes.js';
import { idempotencyKeyOf } from './idempotency-key.js';
import { loadReferenced } from './loaders.js';
import {
  make,
  presentAccount,
  presentBulkTransfer,
  presentIncomingTransfer,
  presentLedgerEntry,
  presentMoney,
  presentPage,
  presentStatement,
  presentTransfer,
} from './present.js';
import { readPageRange } from './read-page-range.js';
import { readTransferFilter } from './transfer-filter.js';

@Resolver(() => AccountType)
export class AccountResolver {
  constructor(
    private readonly openAccountUseCase: OpenAccount,
    private readonly creditAccountUseCase: CreditAccount,
  ) {}

  @Query(() => AccountType, {
    nullable: true,
    description:
      'The account with an IBAN; null if there is none, or if the caller does not see it. VIEWER and INITIATOR see the accounts of their organizations, OPERATOR sees all.',
  })
  async account(
    @Arg('iban', () => String, {
      description: 'IBAN of the account, in any case, with or without spaces.',
    })
    iban: string,
    @Ctx() { reader }: RequestContext,
  ): Promise<AccountType | null> {
    const account = await reader.accountByIban(normaliseIban(iban));
    return account && presentAccount(account);
  }

  @Query(() => AccountConnection, {
    description:
      'The accounts that the caller sees, oldest first. VIEWER and INITIATOR see the accounts of their organizations, OPERATOR sees all.',
  })
  async accounts(
    @Args(() => PageArgs) page: PageArgs,
    @Ctx() { reader }: RequestContext,
  ): Promise<Connection<AccountType>> {
    const accounts = await reader.accounts(await readPageRange(page, ACCOUNTS, reader));
    return presentPage(accounts, ACCOUNTS, presentAccount);
  }

  @Mutation(() => OpenAccountResult, {
    description:
      'Opens an account for an organization, with an opening balance if one is given. Requires the role OPERATOR, else FORBIDDEN. The request is refused with all problems of the input, with AccountExists if the IBAN has an account, or with AccountBusy. A refusal changes nothing.',
  })
  openAccount(
    @Arg('input', () => OpenAccountInput, { description: 'The account to open.' })
    input: OpenAccountInput,
    @Ctx() context: RequestContext,
  ): Promise<typeof OpenAccountResult> {
    return audited(context, 'openAccount', async () => {
      const account = await this.openAccountUseCase(input, context.source);
      return { answer: make(AccountOpenedType, { account: presentAccount(account) }) };
    });
  }

  @Mutation(() => CreditAccountResult, {
    description:
      'Adds money from outside to an account, as one ledger entry. Requires the role OPERATOR, else FORBIDDEN. With an idempotency key the same request may be sent again, and is performed once. A refusal changes nothing.',
  })
  creditAccount(
    @Arg('input', () => CreditAccountInput, { description: 'The account, and the money to add.' })
    input: CreditAccountInput,
    @Ctx() context: RequestContext,
  ): Promise<typeof CreditAccountResult> {
    return audited(context, 'creditAccount', async () => {
      const idempotencyKey = idempotencyKeyOf(input, context);
      const { account, entry, replayed } = await this.creditAccountUseCase(
        { ...input, idempotencyKey },
        context.source,
      );
      context.loaders.account.clearAll();
      const answer = make(AccountCreditedType, {
        account: presentAccount(account),
        entry: presentLedgerEntry(entry),
        replayed,
      });
      return { answer, replayed, accountId: account.id, subjectId: entry.id };
    });
  }

  @FieldResolver(() => BulkTransferConnection, {
    description: 'The bulks that debited the account, newest first.',
  })
  async bulkTransfers(
    @Root() { id }: AccountType,
    @Args(() => PageArgs) page: PageArgs,
    @Ctx() { reader }: RequestContext,
  ): Promise<Connection<BulkTransferType>> {
    const scope = bulkTransfersOf(id);
    const bulkTransfers = await reader.bulkTransfers(id, await readPageRange(page, scope, reader));
    return presentPage(bulkTransfers, scope, presentBulkTransfer);
  }

  @FieldResolver(() => TransferConnection, {
    description:
      "The transfers of the account's bulks, newest first. With a filter, a page may have fewer nodes than requested, because at most 10,000 transfers are examined for it. Continue with endCursor.",
  })
  async transfers(
    @Root() { id, currency }: AccountType,
    @Args(() => PageArgs) page: PageArgs,
    @Arg('filter', () => TransferFilterInput, {
      nullable: true,
      description: 'A filter; all transfers if absent.',
    })
    filter: TransferFilterInput | null,
    @Ctx() { reader }: RequestContext,
  ): Promise<Connection<TransferType>> {
    const scope = transfersOf(id);
    const bounds = readTransferFilter(filter ?? {}, currency);
    const transfers = await reader.transfers(id, bounds, await readPageRange(page, scope, reader));
    return presentPage(transfers, scope, presentTransfer);
  }

  @FieldResolver(() => IncomingTransferConnection, {
    description:
      'Transfers from other accounts of this server, one by one, as their payers wrote them. Newest first.',
  })
  async incomingTransfers(
    @Root() { id, currency }: AccountType,
    @Args(() => PageArgs) page: PageArgs,
    @Arg('filter', () => TransferFilterInput, {
      nullable: true,
      description: 'A filter, with the payer as counterparty; all transfers if absent.',
    })
    filter: TransferFilterInput | null,
    @Ctx() { reader }: RequestContext,
  ): Promise<Connection<IncomingTransferType>> {
    const scope = incomingTransfersOf(id);
    const bounds = readTransferFilter(filter ?? {}, currency);
    const transfers = await reader.incomingTransfers(
      id,
      bounds,
      await readPageRange(page, scope, reader),
    );
    return presentPage(transfers, scope, presentIncomingTransfer);
  }

  @FieldResolver(() => LedgerEntryConnection, {
    description: 'Every change of the balance, newest first.',
  })
  async entries(
    @Root() { id }: AccountType,
    @Args(() => PageArgs) page: PageArgs,
    @Ctx() { reader }: RequestContext,
  ): Promise<Connection<LedgerEntryType>> {
    const scope = ledgerEntriesOf(id);
    const entries = await reader.entries(
      id,
      {},
      'newest-first',
      await readPageRange(page, scope, reader),
    );
    return presentPage(entries, scope, presentLedgerEntry);
  }

  @FieldResolver(() => StatementType, {
    description: 'Balances, totals and entries of the account for a range of days in UTC.',
  })
  async statement(
    @Root() { id }: AccountType,
    @Arg('from', () => CalendarDate, { description: 'The first day, YYYY-MM-DD in UTC.' })
    from: string,
    @Arg('to', () => CalendarDate, { description: 'The last day, included, YYYY-MM-DD in UTC.' })
    to: string,
    @Ctx() { loaders, reader }: RequestContext,
  ): Promise<StatementType> {
    const account = await loadReferenced(loaders.account, id);
    return presentStatement(await readStatement(account, { from, to, timeZone: 'UTC' }, reader));
  }
}

@Resolver(() => StatementType)
export class StatementResolver {
  @FieldResolver(() => LedgerEntryConnection, {
    description: 'The entries of these days, oldest first.',
  })
  async entries(
    @Root() { account, within }: StatementType,
    @Args(() => ForwardPageArgs) page: ForwardPageArgs,
    @Ctx() { reader }: RequestContext,
  ): Promise<Connection<LedgerEntryType>> {
    const scope = ledgerEntriesOf(account.id);
    const range = await readPageRange(page, scope, reader);
    const entries = await reader.entries(account.id, within, 'oldest-first', range);
    return presentPage(entries, scope, presentLedgerEntry);
  }

  @FieldResolver(() => MoneyType, {
    description: 'The sum of all debits, not negative. Costs 1 unit for each 200 entries.',
  })
  async totalDebits(
    @Root() statement: StatementType,
    @Ctx() context: RequestContext,
  ): Promise<MoneyType> {
    const { debitsMinor } = await totalsOf(statement, context);
    return presentMoney(debitsMinor, statement.account.currency);
  }

  @FieldResolver(() => MoneyType, {
    description: 'The sum of all credits. Costs 1 unit for each 200 entries.',
  })
  async totalCredits(
    @Root() statement: StatementType,
    @Ctx() context: RequestContext,
  ): Promise<MoneyType> {
    const { creditsMinor } = await totalsOf(statement, context);
    return presentMoney(creditsMinor, statement.account.currency);
  }
}

/** Sums a statement's entries once for all of its fields. */
function totalsOf(statement: StatementType, context: RequestContext): Promise<EntryTotals> {
  const { account, within, entryCount } = statement;
  statement.totals ??= (async () => {
    context.chargeForRows(entryCount);
    return sumEntries(account.id, within, () => context.reader);
  })();
  return statement.totals;
}

@Resolver(() => AccountExistsType)
export class AccountExistsResolver {
  @FieldResolver(() => AccountType, { description: 'The account that has the IBAN.' })
  async account(
    @Root() { accountId }: AccountExistsType,
    @Ctx() { loaders }: RequestContext,
  ): Promise<AccountType> {
    return presentAccount(await loadReferenced(loaders.account, accountId));
  }
}
