/**
 * The ledger inside a group of units of work. Each unit is judged in its turn, in memory, on the balances after the
 * units before it. A refused unit of work leaves no trace, because it works on copies.
 */
import type {
  LedgerRecords,
  LockedLedger,
  LockRequest,
} from '../../application/ports/unit-of-work.js';
import type { Account } from '../../entities/account.entity.js';
import type { AuditEntry } from '../../entities/audit-entry.entity.js';
import type { BulkTransfer } from '../../entities/bulk-transfer.entity.js';
import type { LedgerEntry } from '../../entities/ledger-entry.entity.js';
import type { Organization } from '../../entities/organization.entity.js';
import type { CommittedMessage } from '../outbox/outbox.js';

/** The outcome of a unit of work: its result, or the error that it threw. */
export type Outcome =
  | { readonly result: unknown; readonly error?: undefined }
  | { readonly error: unknown; readonly result?: undefined };

/** The rows that used the keys of the group before the group, for the account that is locked first. */
export interface EarlierRows {
  readonly bulkTransfers: readonly BulkTransfer[];
  readonly credits: readonly LedgerEntry[];
}

/** An account that did not exist, and its audit entry. */
export interface Opening {
  readonly account: Account;
  readonly audit: AuditEntry;
  /** The account's organization, if the organization did not exist either. */
  readonly organization?: Organization | undefined;
}

/** A unit of work of a group. */
export interface GroupMember {
  readonly request: LockRequest;
  readonly work: (ledger: LockedLedger) => unknown;
  /** The trace context of the request that the unit of work serves. */
  readonly traceparent: string | null;
}

export class GroupLedger {
  /** The rows of all members so far, in the order of the members. */
  readonly records: LedgerRecords[] = [];
  readonly openings: Opening[] = [];
  readonly #bulkTransfersByKey = new Map<string, BulkTransfer>();
  readonly #creditsByKey = new Map<string, LedgerEntry>();

  /** @param accounts the accounts as read under their locks; they change as members post to them */
  constructor(
    private readonly accounts: ReadonlyMap<string, Account>,
    earlier: EarlierRows,
  ) {
    for (const bulkTransfer of earlier.bulkTransfers) this.#rememberBulk(bulkTransfer);
    for (const credit of earlier.credits) this.#rememberCredit(credit);
  }

  /** Runs a member's work. Later members see the rows that the work records. Work that throws changes nothing. */
  judge({ work, traceparent }: GroupMember): Outcome {
    const ledger = new MemberLedger(this, traceparent);
    try {
      const result = work(ledger);
      this.#take(ledger);
      return { result };
    } catch (error) {
      return { error };
    }
  }

  /** Tells whether the members have nothing to write. */
  get isEmpty(): boolean {
    return this.records.length === 0 && this.openings.length === 0;
  }

  /** The outbox messages of the members, in the order of the members. */
  get messages(): CommittedMessage[] {
    const opened = new Map(this.openings.map(({ account }) => [account.id, account]));
    const ibanOf = (id: string) => (opened.get(id) ?? this.account(id)).iban;
    return this.records.map(({ message, entries }) => ({
      message,
      heads: entries.map(({ accountId, sequence }) => ({ iban: ibanOf(accountId), sequence })),
    }));
  }

  /** The accounts that have new ledger entries. */
  get changedAccountIds(): string[] {
    const entries = this.records.flatMap((one) => one.entries);
    return [...new Set(entries.map(({ accountId }) => accountId))];
  }

  account(id: string): Account {
    const account = this.accounts.get(id);
    if (!account) throw new Error(`Account ${id} is not locked by this unit of work`);
    return account;
  }

  bulkTransferByKey(accountId: string, idempotencyKey: string): BulkTransfer | null {
    return this.#bulkTransfersByKey.get(keyOf(accountId, idempotencyKey)) ?? null;
  }

  creditByKey(accountId: string, idempotencyKey: string): LedgerEntry | null {
    return this.#creditsByKey.get(keyOf(accountId, idempotencyKey)) ?? null;
  }

  #take({ records, openings, copies }: MemberLedger): void {
    for (const copy of copies.values()) this.account(copy.id).takeOver(copy);
    this.openings.push(...openings);
    this.records.push(...records);
    for (const { bulkTransfer, entries } of records) {
      if (bulkTransfer) this.#rememberBulk(bulkTransfer);
      for (const entry of entries) this.#rememberCredit(entry);
    }
  }

  #rememberBulk(bulkTransfer: BulkTransfer): void {
    const { accountId, idempotencyKey } = bulkTransfer;
    if (idempotencyKey === null) return;
    this.#bulkTransfersByKey.set(keyOf(accountId, idempotencyKey), bulkTransfer);
  }

  #rememberCredit(entry: LedgerEntry): void {
    const { accountId, idempotencyKey } = entry;
    if (idempotencyKey !== null) this.#creditsByKey.set(keyOf(accountId, idempotencyKey), entry);
  }
}

function keyOf(accountId: string, idempotencyKey: string): string {
  return `${accountId} ${idempotencyKey}`;
}

/** One member's view of the group's ledger. */
class MemberLedger implements LockedLedger {
  readonly records: LedgerRecords[] = [];
  readonly openings: Opening[] = [];
  /** The accounts that the member has read, by id. Its postings stay in these copies until its work is done. */
  readonly copies = new Map<string, Account>();

  constructor(
    private readonly group: GroupLedger,
    private readonly traceparent: string | null,
  ) {}

  account(id: string): Account {
    const known = this.copies.get(id);
    if (known) return known;
    const copy = this.group.account(id).copy();
    this.copies.set(id, copy);
    return copy;
  }

  bulkTransferByKey(accountId: string, idempotencyKey: string): BulkTransfer | null {
    return this.group.bulkTransferByKey(accountId, idempotencyKey);
  }

  creditByKey(accountId: string, idempotencyKey: string): LedgerEntry | null {
    return this.group.creditByKey(accountId, idempotencyKey);
  }

  open(account: Account, audit: AuditEntry, organization?: Organization): void {
    this.openings.push({ account, audit, organization });
  }

  record(records: LedgerRecords): void {
    records.message.trace(this.traceparent);
    this.records.push(records);
  }
}
