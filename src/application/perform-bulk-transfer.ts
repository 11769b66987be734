import {
  type AccountFacts,
  type BulkTransferRequest,
  type CreditTransfer,
  recordedBulkFingerprint,
} from '../domain/bulk-transfer.js';
import type { RequestSource } from '../domain/caller.js';
import type { NewId } from '../domain/id.js';
import type { FingerprintVersion } from '../domain/idempotency.js';
import { rejected } from '../domain/mutations.js';
import {
  assertBalanced,
  type BookCredit,
  bookCreditsOf,
  outgoingAmountOf,
  transferPosition,
} from '../domain/postings.js';
import { foldName } from '../domain/text.js';
import type { Account } from '../entities/account.entity.js';
import { AuditEntry } from '../entities/audit-entry.entity.js';
import { BulkTransfer } from '../entities/bulk-transfer.entity.js';
import type { IncomingTransferRecord } from '../entities/incoming-transfer.entity.js';
import { LedgerEntry } from '../entities/ledger-entry.entity.js';
import { OutboxMessage } from '../entities/outbox-message.entity.js';
import type { TransferRecord } from '../entities/transfer.entity.js';
import { invalidBulkTransfer, receivableProblems } from './bulk-transfer-problems.js';
import type { Clock } from './ports/clock.js';
import type { RunPhase } from './ports/phases.js';
import type {
  LedgerRecords,
  LockedLedger,
  LockRequest,
  OrderFence,
  UnitOfWork,
} from './ports/unit-of-work.js';
import {
  assertSameContent,
  type PreparationPorts,
  prepareBulkTransfer,
} from './prepare-bulk-transfer.js';

const MUTATION = 'performBulkTransfer';

/** The number of rows after which the progress of a bulk is reported. */
const PROGRESS_ROWS = 1_000;

export interface PerformedBulkTransfer {
  readonly bulkTransfer: BulkTransfer;
  readonly account: Account;
  /** Tells whether an earlier request with the same key performed the bulk. */
  readonly replayed: boolean;
}

/**
 * Records all transfers of a bulk and debits the account in one commit, or does nothing.
 * @throws DomainError with a code of MUTATIONS.performBulkTransfer
 */
export type PerformBulkTransfer = (
  request: BulkTransferRequest,
  source: RequestSource,
  order?: OrderWork,
) => Promise<PerformedBulkTransfer>;

/** The work on an order that a bulk is part of. It hears how far the bulk is. */
export interface OrderWork {
  /** The lease that the server must still have when the bulk is recorded. */
  readonly lease: OrderFence;
  /** The rows were checked, and the bulk stands in line. */
  onWaiting(): void;
  /** A number of rows was sent to the database. The whole bulk may be written again after a contention. */
  onWritten(rowCount: number): void;
}

export interface BulkTransferPorts extends PreparationPorts {
  readonly unitOfWork: UnitOfWork;
  readonly clock: Clock;
  readonly newId: NewId;
  readonly runPhase: RunPhase;
}

/** The unit of work in which a bulk is recorded. */
interface PostingScope {
  readonly ledger: LockedLedger;
  readonly newId: NewId;
  readonly at: Date;
}

/** A bulk without any fault that can be found outside its account's lock. */
interface JudgedBulkTransfer {
  readonly source: RequestSource;
  readonly debtor: AccountFacts;
  readonly idempotencyKey: string | undefined;
  readonly fingerprint: string | undefined;
  readonly transfers: readonly CreditTransfer[];
  readonly totalAmountMinor: bigint;
  readonly bookCredits: readonly BookCredit[];
  /** The sum of the transfers to other banks, in minor units. */
  readonly outgoingAmountMinor: bigint;
  readonly order: OrderWork | undefined;
}

export function makePerformBulkTransfer(ports: BulkTransferPorts): PerformBulkTransfer {
  const { reader, unitOfWork, clock, newId, runPhase } = ports;
  return async (requested, source, order) => {
    const prepared = await runPhase('validate', () =>
      prepareBulkTransfer(requested, source, ports),
    );
    if (prepared.performed) {
      const [account] = await reader.accountsById([prepared.performed.accountId]);
      if (!account) throw new Error('The account of a bulk transfer does not exist');
      return { bulkTransfer: prepared.performed, account, replayed: true };
    }
    const { reading, fingerprint } = prepared;
    if (reading.rejection) throw rejected(MUTATION, reading.rejection);
    const { debtor, transfers, totalAmountMinor } = reading;
    const bulk: JudgedBulkTransfer = {
      source,
      debtor,
      idempotencyKey: requested.idempotencyKey,
      fingerprint,
      transfers,
      totalAmountMinor,
      bookCredits: bookCreditsOf(transfers, debtor.organizationName),
      outgoingAmountMinor: outgoingAmountOf(transfers),
      order,
    };
    order?.onWaiting();
    return unitOfWork.run(lockRequestOf(bulk), (ledger) =>
      performUnderLock(bulk, { ledger, newId, at: clock() }),
    );
  };
}

function lockRequestOf({ debtor, bookCredits, ...bulk }: JudgedBulkTransfer): LockRequest {
  return {
    organizationId: debtor.organizationId,
    accountIds: [debtor.id, ...bookCredits.map((credit) => credit.accountId)],
    bulkTransferKey: bulk.idempotencyKey,
    rowCount: bookCredits.reduce(
      (count, { bookTransfers }) => count + bookTransfers.length,
      bulk.transfers.length,
    ),
    isAbandoned: bulk.source.isAbandoned,
    orderLease: bulk.order?.lease,
  };
}

/** Decides everything that depends on a balance or on the order of requests. */
function performUnderLock(bulk: JudgedBulkTransfer, scope: PostingScope): PerformedBulkTransfer {
  const { ledger } = scope;
  const account = ledger.account(bulk.debtor.id);
  if (bulk.idempotencyKey !== undefined) {
    const earlier = ledger.bulkTransferByKey(account.id, bulk.idempotencyKey);
    if (earlier) {
      assertSameContent(earlier, bulk.fingerprint, (version) => fingerprintAs(bulk, version));
      return { bulkTransfer: earlier, account, replayed: true };
    }
  }
  if (!account.covers(bulk.totalAmountMinor)) {
    throw rejected(MUTATION, {
      code: 'INSUFFICIENT_FUNDS',
      balanceMinor: account.balanceMinor,
      totalAmountMinor: bulk.totalAmountMinor,
      currency: account.currency,
    });
  }
  const receivers = bulk.bookCredits.map(({ accountId }) => ledger.account(accountId));
  const problems = receivableProblems(bulk.transfers, bulk.bookCredits, receivers);
  if (problems.length > 0) throw rejected(MUTATION, invalidBulkTransfer(problems));
  const { bulkTransfer, ...records } = postBulkTransfer(bulk, scope);
  ledger.record({ bulkTransfer, ...records });
  return { bulkTransfer, account, replayed: false };
}

/** Returns the fingerprint of a bulk. The request itself is not kept while the bulk waits for the lock. */
function fingerprintAs(
  { debtor, transfers }: JudgedBulkTransfer,
  version: FingerprintVersion,
): string {
  const { iban, currency } = debtor;
  const recorded = transfers.map((transfer) => ({ ...transfer, currency }));
  return recordedBulkFingerprint(iban, recorded, version);
}

/** Changes the balances and makes the rows that record the bulk. */
function postBulkTransfer(
  bulk: JudgedBulkTransfer,
  { ledger, newId, at }: PostingScope,
): LedgerRecords & { readonly bulkTransfer: BulkTransfer } {
  const account = ledger.account(bulk.debtor.id);
  const debit = account.post(-bulk.totalAmountMinor, at);
  const bulkTransfer = BulkTransfer.of({
    accountId: account.id,
    sequence: debit.sequence,
    idempotencyKey: bulk.idempotencyKey ?? null,
    fingerprint: bulk.fingerprint ?? null,
    transferCount: bulk.transfers.length,
    currency: account.currency,
    totalAmountMinor: bulk.totalAmountMinor,
    balanceAfterMinor: debit.balanceAfterMinor,
    createdAt: debit.at,
  });
  const count = bulk.transfers.length;
  const debitEntry = LedgerEntry.of(account, debit, {
    id: newId(),
    kind: 'BULK_TRANSFER',
    bulkTransferId: bulkTransfer.id,
    description: `Bulk of ${count} ${count === 1 ? 'transfer' : 'transfers'}`,
  });
  const creditEntries = bulk.bookCredits.map((credit) => {
    const receiver = ledger.account(credit.accountId);
    return LedgerEntry.of(receiver, receiver.post(credit.amountMinor, at), {
      id: newId(),
      kind: 'BOOK_TRANSFER',
      bulkTransferId: bulkTransfer.id,
      description: credit.description,
    });
  });
  const creditsMinor = creditEntries.map(({ amountMinor }) => amountMinor);
  assertBalanced(debitEntry.amountMinor, creditsMinor, bulk.outgoingAmountMinor);
  return {
    bulkTransfer,
    transfers: transferRecords(bulkTransfer, bulk),
    incomingTransfers: incomingTransferRecords(bulkTransfer, bulk, creditEntries),
    entries: [debitEntry, ...creditEntries],
    message: OutboxMessage.of({
      id: newId(),
      type: 'bulk-transfer.performed',
      subjectId: account.id,
      sequence: debit.sequence,
      createdAt: debit.at,
    }),
    audit: AuditEntry.of({
      id: newId(),
      at,
      source: bulk.source,
      action: MUTATION,
      outcome: 'DONE',
      accountId: account.id,
      subjectId: bulkTransfer.id,
    }),
  };
}

/** Generates the rows of a bulk's transfers, while earlier rows are on their way to the database. */
function* transferRecords(
  bulkTransfer: BulkTransfer,
  { transfers, order }: JudgedBulkTransfer,
): Iterable<TransferRecord> {
  for (const [index, transfer] of transfers.entries()) {
    if (index % PROGRESS_ROWS === 0) order?.onWritten(index);
    yield {
      accountId: bulkTransfer.accountId,
      position: transferPosition(bulkTransfer.sequence, index),
      counterpartyNameFolded: foldName(transfer.counterpartyName),
      ...transfer,
    };
  }
}

/**
 * Generates the rows with which payees of this server see their transfers. They are generated like the transfer rows.
 */
function* incomingTransferRecords(
  bulkTransfer: BulkTransfer,
  { debtor, bookCredits }: JudgedBulkTransfer,
  creditEntries: readonly LedgerEntry[],
): Iterable<IncomingTransferRecord> {
  const payer = {
    payerAccountId: debtor.id,
    counterpartyName: debtor.organizationName,
    counterpartyNameFolded: foldName(debtor.organizationName),
    counterpartyIban: debtor.iban,
  };
  for (const [number, { bookTransfers }] of bookCredits.entries()) {
    const entry = creditEntries[number];
    if (!entry) throw new Error('The credit of a book transfer has no ledger entry');
    for (const [place, { transfer, index }] of bookTransfers.entries()) {
      yield {
        accountId: entry.accountId,
        position: transferPosition(entry.sequence, place),
        payerPosition: transferPosition(bulkTransfer.sequence, index),
        currency: bulkTransfer.currency,
        amountMinor: transfer.amountMinor,
        description: transfer.description,
        endToEndId: transfer.endToEndId,
        createdAt: entry.createdAt,
        ...payer,
      };
    }
  }
}
