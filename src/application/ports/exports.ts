/** Files that clients export: their contents, the writers of their formats, and links to them. */
import type { OrganizationScope } from '../../domain/caller.js';
import type { ExportRequest, StatementDays } from '../../domain/export.js';
import type { OrderStatus } from '../../domain/kinds.js';
import type { OrderFailure } from '../../domain/order.js';
import type { Account } from '../../entities/account.entity.js';
import type { IncomingTransfer } from '../../entities/incoming-transfer.entity.js';
import type { LedgerEntry } from '../../entities/ledger-entry.entity.js';
import type { OrderRowValues, RowProblem } from '../../entities/order-row.entity.js';
import type { ScopedLedgerReader } from './scoped-ledger-reader.js';

/** The facts that every file has. */
interface FileFacts {
  /** The id of the file: 32 characters, because ISO 20022 allows 35. */
  readonly id: string;
  readonly createdAt: Date;
  readonly account: Account;
}

/** An entry of a statement. */
export interface StatementEntry {
  readonly entry: LedgerEntry;
  /** The day of the entry in the time zone of the statement, as YYYY-MM-DD. */
  readonly day: string;
  /** The number of transfers of the entry; undefined for money from outside, or if the file does not show it. */
  readonly transferCount: number | undefined;
  /** The transfers that the entry credited; none if they are too many or not shown. */
  readonly incomingTransfers: readonly IncomingTransfer[];
}

/** A statement: opening balance + entries = closing balance. Money is in minor units. */
export interface StatementContent extends FileFacts {
  readonly days: StatementDays;
  readonly startsAt: Date;
  /** The end, exclusive. */
  readonly endsAt: Date;
  readonly openingBalanceMinor: bigint;
  readonly closingBalanceMinor: bigint;
  readonly entryCount: number;
  readonly pages: AsyncIterable<readonly StatementEntry[]>;
}

/** A transfer of a bulk, or a row of an order as it was sent. */
export interface ExportedTransfer extends OrderRowValues {
  readonly amountMinor: bigint | null;
  /** The line of the file, from 1; null if there is none. */
  readonly line: number | null;
  readonly problems: readonly RowProblem[];
}

/** The transfers of a bulk or of an order. */
export interface TransfersContent extends FileFacts {
  readonly type: 'bulk-transfer' | 'order';
  /** The id of the bulk or the order. */
  readonly subjectId: string;
  readonly name: string | null;
  readonly fileName: string | null;
  /** The state of the order; a bulk is performed. */
  readonly status: OrderStatus;
  readonly failure: OrderFailure | undefined;
  readonly transferCount: number;
  /** The number of transfers that are performed, which are the first ones. */
  readonly performedCount: number;
  /** The sum in minor units; null if an amount cannot be read. */
  readonly totalAmountMinor: bigint | null;
  readonly performedAt: Date | null;
  readonly pages: AsyncIterable<readonly ExportedTransfer[]>;
}

/** Writes the text of a file part by part. */
export type Writer<Content> = (content: Content) => AsyncGenerator<string>;

/** The writers of all formats. */
export interface FileWriters {
  readonly statements: Readonly<
    Record<'STATEMENT_CAMT_053' | 'STATEMENT_CSV', Writer<StatementContent>>
  >;
  readonly transfers: Readonly<
    Record<'STATUS_PAIN_002' | 'TRANSFERS_CSV' | 'RECEIPT_HTML', Writer<TransfersContent>>
  >;
}

/** What the caller of an export sees, and what it pays. */
export interface ExportScope {
  readonly reader: ScopedLedgerReader;
  readonly organizations: OrganizationScope;
  /** Waits until the caller has paid for rows. @throws AbandonedError if the client has disconnected */
  readonly payForRows: (rows: number) => Promise<void>;
}

/**
 * Opens a file. Its text is read and written while the client takes it.
 * @returns null if the caller sees no such subject
 * @throws RowsDeletedError if the rows of an order were deleted
 */
export type OpenExport = (
  request: ExportRequest,
  scope: ExportScope,
) => Promise<AsyncGenerator<string> | null>;

/** What a link allows: to read one file within one organization, until a moment. */
export interface ExportGrant {
  readonly request: ExportRequest;
  readonly organizationId: string;
}

/** A link, as its client gets it. */
export interface ExportLink {
  /** The address, from the root of the server. */
  readonly url: string;
  readonly expiresAt: Date;
}

/** The state of a link that a client sent. */
export type LinkCheck =
  | { readonly state: 'valid'; readonly organizationId: string }
  | { readonly state: 'expired' }
  | { readonly state: 'invalid' };

/** Signs links to files, and checks them. */
export interface ExportLinks {
  sign(grant: ExportGrant): ExportLink;
  /** @param url the path and the query of a request, as they arrived */
  check(url: string): LinkCheck;
}
