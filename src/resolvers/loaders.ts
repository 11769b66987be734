import DataLoader from 'dataloader';
import type { ScopedLedgerReader } from '../application/ports/scoped-ledger-reader.js';
import type { Account } from '../entities/account.entity.js';
import type { BulkTransfer } from '../entities/bulk-transfer.entity.js';
import type { IncomingTransfer } from '../entities/incoming-transfer.entity.js';
import type { LedgerEntry } from '../entities/ledger-entry.entity.js';
import type { Organization } from '../entities/organization.entity.js';
import type { Transfer } from '../entities/transfer.entity.js';

/** Look-ups by id of one operation: those of one moment go out as one statement. */
export interface Loaders {
  readonly account: DataLoader<string, Account | null>;
  readonly organization: DataLoader<string, Organization | null>;
  readonly bulkTransfer: DataLoader<string, BulkTransfer | null>;
  readonly transfer: DataLoader<string, Transfer | null>;
  readonly ledgerEntry: DataLoader<string, LedgerEntry | null>;
  readonly incomingTransfer: DataLoader<string, IncomingTransfer | null>;
}

/** Ids in one statement; pages have 100 nodes at most. */
const BATCH_MAX = 500;

export function makeLoaders(reader: ScopedLedgerReader): Loaders {
  const options = { maxBatchSize: BATCH_MAX };
  return {
    account: new DataLoader((ids) => reader.accountsById(ids), options),
    organization: new DataLoader((ids) => reader.organizationsById(ids), options),
    bulkTransfer: new DataLoader((ids) => reader.bulkTransfersById(ids), options),
    transfer: new DataLoader((ids) => reader.transfersById(ids), options),
    ledgerEntry: new DataLoader((ids) => reader.entriesById(ids), options),
    incomingTransfer: new DataLoader((ids) => reader.incomingTransfersById(ids), options),
  };
}

/**
 * Loads what a row of ours refers to.
 * @throws Error where it is not there: foreign keys see to it that it is
 */
export async function loadReferenced<Entity>(
  loader: DataLoader<string, Entity | null>,
  id: string,
): Promise<Entity> {
  const entity = await loader.load(id);
  if (entity === null) throw new Error(`Row ${id} is referred to and does not exist`);
  return entity;
}
