import DataLoader from 'dataloader';
import type { ScopedLedgerReader } from '../application/ports/scoped-ledger-reader.js';
import type { Account } from '../entities/account.entity.js';
import type { BulkTransfer } from '../entities/bulk-transfer.entity.js';
import type { IncomingTransfer } from '../entities/incoming-transfer.entity.js';
import type { LedgerEntry } from '../entities/ledger-entry.entity.js';
import type { Organization } from '../entities/organization.entity.js';
import type { Transfer } from '../entities/transfer.entity.js';

/** Look-ups by id for one operation. Look-ups that are made at the same time are sent as one statement. */
export interface Loaders {
  readonly account: DataLoader<string, Account | null>;
  readonly organization: DataLoader<string, Organization | null>;
  readonly bulkTransfer: DataLoader<string, BulkTransfer | null>;
  readonly transfer: DataLoader<string, Transfer | null>;
  readonly ledgerEntry: DataLoader<string, LedgerEntry | null>;
  readonly incomingTransfer: DataLoader<string, IncomingTransfer | null>;
}

/** The largest number of ids in one statement. Pages have 100 nodes at most. */
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
 * Loads the row to which another row refers.
 * @throws Error if the row does not exist, which foreign keys prevent
 */
export async function loadReferenced<Entity>(
  loader: DataLoader<string, Entity | null>,
  id: string,
): Promise<Entity> {
  const entity = await loader.load(id);
  if (entity === null) throw new Error(`Row ${id} is referenced but does not exist`);
  return entity;
}
