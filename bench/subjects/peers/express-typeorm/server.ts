/** Express and TypeORM, which insert one row at a time in one transaction, as many services do. */
import type { AddressInfo } from 'node:net';
import express, { type Request, type Response } from 'express';
import { DataSource, type EntityManager, EntitySchema } from 'typeorm';
import { v7 } from 'uuid';
import {
  BulkRejectedError,
  type BulkTransferInput,
  bulkDescription,
  type CheckedBulk,
  checkBulk,
  foldedNameBytes,
  formatEuro,
  positionOf,
} from '../../bulk-rules.ts';

interface Account {
  id: Buffer;
  iban: string;
  balanceMinor: string;
  sequence: string;
  updatedAt: Date;
}

interface BulkTransfer {
  id: Buffer;
  accountId: Buffer;
  sequence: string;
  idempotencyKey: Buffer | null;
  fingerprint: string | null;
  transferCount: number;
  currency: string;
  totalAmountMinor: string;
  balanceAfterMinor: string;
  createdAt: Date;
}

interface Transfer {
  id: Buffer;
  bulkTransferId: Buffer;
  accountId: Buffer;
  position: string;
  currency: string;
  amountMinor: string;
  counterpartyName: string;
  counterpartyNameFolded: Buffer;
  counterpartyIban: string;
  description: string;
  createdAt: Date;
}

interface LedgerEntry {
  id: Buffer;
  accountId: Buffer;
  sequence: string;
  kind: string;
  currency: string;
  amountMinor: string;
  balanceAfterMinor: string;
  bulkTransferId: Buffer;
  description: string;
  createdAt: Date;
}

interface OutboxMessage {
  id: Buffer;
  type: string;
  accountId: Buffer;
  sequence: string;
  createdAt: Date;
  dueAt: Date;
}

const binaryId = (name: string) => ({ name, type: 'binary', length: 16 }) as const;
const bigint = (name: string) => ({ name, type: 'bigint' }) as const;
const text = (name: string, length: number) => ({ name, type: 'varchar', length }) as const;
const bytes = (name: string, length: number) => ({ name, type: 'varbinary', length }) as const;
const time = (name: string) => ({ name, type: 'datetime', precision: 3 }) as const;

const Accounts = new EntitySchema<Account>({
  name: 'account',
  columns: {
    id: { ...binaryId('id'), primary: true },
    iban: text('iban', 34),
    balanceMinor: bigint('balance_minor'),
    sequence: bigint('sequence'),
    updatedAt: time('updated_at'),
  },
});

const BulkTransfers = new EntitySchema<BulkTransfer>({
  name: 'bulk_transfer',
  columns: {
    id: { ...binaryId('id'), primary: true },
    accountId: binaryId('account_id'),
    sequence: bigint('sequence'),
    idempotencyKey: { ...bytes('idempotency_key', 255), nullable: true },
    fingerprint: { ...text('fingerprint', 64), nullable: true },
    transferCount: { name: 'transfer_count', type: 'int' },
    currency: text('currency', 3),
    totalAmountMinor: bigint('total_amount_minor'),
    balanceAfterMinor: bigint('balance_after_minor'),
    createdAt: time('created_at'),
  },
});

const Transfers = new EntitySchema<Transfer>({
  name: 'transfer',
  columns: {
    id: { ...binaryId('id'), primary: true },
    bulkTransferId: binaryId('bulk_transfer_id'),
    accountId: binaryId('account_id'),
    position: bigint('position'),
    currency: text('currency', 3),
    amountMinor: bigint('amount_minor'),
    counterpartyName: text('counterparty_name', 140),
    counterpartyNameFolded: bytes('counterparty_name_folded', 1680),
    counterpartyIban: text('counterparty_iban', 34),
    description: text('description', 140),
    createdAt: time('created_at'),
  },
});

const LedgerEntries = new EntitySchema<LedgerEntry>({
  name: 'ledger_entry',
  columns: {
    id: { ...binaryId('id'), primary: true },
    accountId: binaryId('account_id'),
    sequence: bigint('sequence'),
    kind: text('kind', 17),
    currency: text('currency', 3),
    amountMinor: bigint('amount_minor'),
    balanceAfterMinor: bigint('balance_after_minor'),
    bulkTransferId: binaryId('bulk_transfer_id'),
    description: text('description', 140),
    createdAt: time('created_at'),
  },
});

const OutboxMessages = new EntitySchema<OutboxMessage>({
  name: 'outbox_message',
  columns: {
    id: { ...binaryId('id'), primary: true },
    type: text('type', 40),
    accountId: binaryId('account_id'),
    sequence: bigint('sequence'),
    createdAt: time('created_at'),
    dueAt: time('due_at'),
  },
});

const BODY_LIMIT = '10mb';
const CONNECTIONS = 10;

const dataSource = new DataSource({
  type: 'mariadb',
  url: process.env.DATABASE_URL ?? '',
  entities: [Accounts, BulkTransfers, Transfers, LedgerEntries, OutboxMessages],
  poolSize: CONNECTIONS,
  timezone: 'Z',
  supportBigNumbers: true,
  bigNumberStrings: true,
});

const newId = () => v7(undefined, Buffer.alloc(16));

async function performBulkTransfer(input: BulkTransferInput): Promise<BulkTransfer> {
  const checked = checkBulk(input);
  return dataSource.transaction('READ COMMITTED', async (manager) => {
    const account = await manager.findOne(Accounts, {
      where: { iban: input.organizationIban },
      lock: { mode: 'pessimistic_write' },
    });
    if (!account) throw new BulkRejectedError('Unknown account');
    const idempotencyKey = input.idempotencyKey ? Buffer.from(input.idempotencyKey) : null;
    if (idempotencyKey) {
      const earlier = await manager.findOneBy(BulkTransfers, {
        accountId: account.id,
        idempotencyKey,
      });
      if (earlier && earlier.fingerprint !== checked.fingerprint)
        throw new BulkRejectedError('The key belongs to another bulk');
      if (earlier) return earlier;
    }
    if (BigInt(account.balanceMinor) < checked.totalMinor)
      throw new BulkRejectedError('Insufficient funds');
    return record(manager, account, checked, idempotencyKey);
  });
}

async function record(
  manager: EntityManager,
  account: Account,
  { transfers, totalMinor, fingerprint }: CheckedBulk,
  idempotencyKey: Buffer | null,
): Promise<BulkTransfer> {
  const createdAt = new Date();
  const accountId = account.id;
  const next = BigInt(account.sequence) + 1n;
  const sequence = String(next);
  const balanceAfterMinor = String(BigInt(account.balanceMinor) - totalMinor);
  const bulkTransfer: BulkTransfer = {
    id: newId(),
    accountId,
    sequence,
    idempotencyKey,
    fingerprint,
    transferCount: transfers.length,
    currency: 'EUR',
    totalAmountMinor: String(totalMinor),
    balanceAfterMinor,
    createdAt,
  };
  await manager.insert(BulkTransfers, bulkTransfer);
  const bulkTransferId = bulkTransfer.id;
  for (const [index, transfer] of transfers.entries()) {
    await manager.insert(Transfers, {
      id: newId(),
      bulkTransferId,
      accountId,
      position: String(positionOf(next, index)),
      currency: 'EUR',
      amountMinor: String(transfer.amountMinor),
      counterpartyName: transfer.counterpartyName,
      counterpartyNameFolded: foldedNameBytes(transfer.counterpartyName),
      counterpartyIban: transfer.counterpartyIban,
      description: transfer.description,
      createdAt,
    });
  }
  await manager.insert(LedgerEntries, {
    id: newId(),
    accountId,
    sequence,
    kind: 'BULK_TRANSFER',
    currency: 'EUR',
    amountMinor: String(-totalMinor),
    balanceAfterMinor,
    bulkTransferId,
    description: bulkDescription(transfers.length),
    createdAt,
  });
  await manager.insert(OutboxMessages, {
    id: newId(),
    type: 'bulk-transfer.performed',
    accountId,
    sequence,
    createdAt,
    dueAt: createdAt,
  });
  await manager.update(
    Accounts,
    { id: accountId },
    { balanceMinor: balanceAfterMinor, sequence, updatedAt: createdAt },
  );
  return bulkTransfer;
}

async function answer(request: Request, response: Response): Promise<void> {
  try {
    const bulk = await performBulkTransfer(request.body);
    response.status(201).json({
      id: bulk.id.toString('hex'),
      transferCount: bulk.transferCount,
      totalAmount: formatEuro(BigInt(bulk.totalAmountMinor)),
      balanceAfter: formatEuro(BigInt(bulk.balanceAfterMinor)),
    });
  } catch (error) {
    if (!(error instanceof BulkRejectedError)) throw error;
    response.status(422).json({ message: error.message });
  }
}

await dataSource.initialize();
const app = express();
app.use(express.json({ limit: BODY_LIMIT }));
app.post('/bulk-transfers', answer);
const server = app.listen(0, '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
process.once('SIGTERM', () => {
  server.closeAllConnections();
  server.close(() => void dataSource.destroy());
});
