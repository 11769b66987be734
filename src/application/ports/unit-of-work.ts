import type { Account } from '../../entities/account.entity.js';
import type { AuditEntry } from '../../entities/audit-entry.entity.js';
import type { BulkTransfer } from '../../entities/bulk-transfer.entity.js';
import type { IncomingTransferRecord } from '../../entities/incoming-transfer.entity.js';
import type { LedgerEntry } from '../../entities/ledger-entry.entity.js';
import type { Organization } from '../../entities/organization.entity.js';
import type { OutboxMessage } from '../../entities/outbox-message.entity.js';
import type { TransferRecord } from '../../entities/transfer.entity.js';

/** Runs work on locked accounts in a transaction. */
export interface UnitOfWork {
  /**
   * Runs work in one transaction, which several waiting units of work may share. Either all changes of the work are
   * committed, or none if the work throws. The first statement locks the accounts in ascending order of id and reads
   * them again. The work is synchronous, because it only reads the ledger and decides. The work may run several times
   * from the start, if the database rolls the transaction back in favour of another transaction.
   * @throws DomainError ACCOUNT_BUSY if the locks were not acquired in time, or if too much work waits;
   *   AbandonedError if the client had disconnected before the work began, or if the lease of its order is lost
   */
  run<Result>(request: LockRequest, work: (ledger: LockedLedger) => Result): Promise<Result>;
}

/** The locks and keys that a unit of work needs. */
export interface LockRequest {
  /** The organization of the first account. Organizations take turns in the queue. */
  readonly organizationId: string;
  /** The accounts that the work reads or changes, the debtor first. */
  readonly accountIds: readonly string[];
  /** The idempotency keys of the first account that the work looks up. */
  readonly bulkTransferKey?: string | undefined;
  readonly creditKey?: string | undefined;
  /** The approximate number of rows that the work appends. */
  readonly rowCount: number;
  /** The lease of the order that the work performs. Work without the lease is not done. */
  readonly orderLease?: OrderFence | undefined;
  /** Tells whether the client has disconnected or its request has timed out. Work that has not begun is dropped. */
  readonly isAbandoned?: (() => boolean) | undefined;
}

/** A submitted order and the server that must have its lease. The order stays locked until the commit. */
export interface OrderFence {
  readonly orderId: string;
  readonly holder: string;
}

/** The ledger inside a unit of work: the locked accounts and the requested keys. */
export interface LockedLedger {
  /**
   * Returns a locked account.
   * @throws Error for an account that this unit of work did not lock
   */
  account(id: string): Account;
  bulkTransferByKey(accountId: string, idempotencyKey: string): BulkTransfer | null;
  creditByKey(accountId: string, idempotencyKey: string): LedgerEntry | null;
  /** Adds a new account, and its organization if the organization is new too. */
  open(account: Account, audit: AuditEntry, organization?: Organization): void;
  /** Appends rows, and writes the accounts with new postings. */
  record(records: LedgerRecords): void;
}

/** Rows that one unit of work appends. */
export interface LedgerRecords {
  readonly bulkTransfer?: BulkTransfer;
  /** The rows of transfers. They are iterated while they are written; a retry iterates them again. */
  readonly transfers?: Iterable<TransferRecord>;
  /** The rows for payees with an account on this server. They are iterated like the transfers. */
  readonly incomingTransfers?: Iterable<IncomingTransferRecord>;
  readonly entries: readonly LedgerEntry[];
  readonly message: OutboxMessage;
  /** The audit entry; absent if another audit entry of the same unit of work covers these rows. */
  readonly audit?: AuditEntry;
}
