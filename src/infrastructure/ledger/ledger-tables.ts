import type { EntityManager } from '@mikro-orm/sql';
import type { LedgerRecords } from '../../application/ports/unit-of-work.js';
import { AuditEntry } from '../../entities/audit-entry.entity.js';
import { BulkTransfer } from '../../entities/bulk-transfer.entity.js';
import {
  IncomingTransfer,
  type IncomingTransferRecord,
} from '../../entities/incoming-transfer.entity.js';
import { LedgerEntry } from '../../entities/ledger-entry.entity.js';
import { OutboxMessage } from '../../entities/outbox-message.entity.js';
import { Transfer, type TransferRecord } from '../../entities/transfer.entity.js';
import { type AppendTable, appendTableOf } from '../database/append-rows.js';
import type { Database } from '../database/dialect.js';
import type { GroupLedger } from './group-ledger.js';

/** The tables to which every bulk and credit appends. */
export class LedgerTables {
  readonly #bulkTransfers: AppendTable<BulkTransfer>;
  readonly #entries: AppendTable<LedgerEntry>;
  readonly #messages: AppendTable<OutboxMessage>;
  readonly #audit: AppendTable<AuditEntry>;
  readonly #transfers: AppendTable<TransferRecord>;
  readonly #incomingTransfers: AppendTable<IncomingTransferRecord>;

  constructor(private readonly database: Database) {
    const { orm } = database;
    this.#bulkTransfers = appendTableOf(orm, BulkTransfer);
    this.#entries = appendTableOf(orm, LedgerEntry);
    this.#messages = appendTableOf(orm, OutboxMessage);
    this.#audit = appendTableOf(orm, AuditEntry);
    this.#transfers = appendTableOf<TransferRecord>(orm, Transfer);
    this.#incomingTransfers = appendTableOf<IncomingTransferRecord>(orm, IncomingTransfer);
  }

  /**
   * Writes the rows of a transaction, for many units of work together. Bulks are written before the rows that refer
   * to them.
   */
  append(em: EntityManager, { records, openings }: GroupLedger): Promise<void> {
    return this.database.appendRows(em, [
      this.#bulkTransfers(records.flatMap(({ bulkTransfer }) => bulkTransfer ?? [])),
      this.#entries(records.flatMap(({ entries }) => entries)),
      this.#messages(records.map(({ message }) => message)),
      this.#audit([...openings, ...records].flatMap(({ audit }) => audit ?? [])),
      this.#transfers(rowsOf(records, ({ transfers }) => transfers)),
      this.#incomingTransfers(rowsOf(records, ({ incomingTransfers }) => incomingTransfers)),
    ]);
  }
}

function* rowsOf<Row>(
  records: readonly LedgerRecords[],
  rowsOfOne: (records: LedgerRecords) => Iterable<Row> | undefined,
): Iterable<Row> {
  for (const one of records) yield* rowsOfOne(one) ?? [];
}
