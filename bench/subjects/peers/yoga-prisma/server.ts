/**
 * GraphQL Yoga and Prisma, according to their documentation: an interactive transaction, SELECT … FOR
 * UPDATE by $queryRaw because Prisma has no lock of its own, and createMany for the rows.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PrismaMariaDb } from '@prisma/adapter-mariadb';
import { createSchema, createYoga } from 'graphql-yoga';
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
import { answerOf, TYPE_DEFS } from '../graphql-contract.ts';
import { type BulkTransfer, type Prisma, PrismaClient, type Transfer } from './generated/client.ts';

/** A request waits for a connection without a practical limit, because the wait is measured. */
const TRANSACTION_MAX_MS = 120_000;
const CONNECTIONS = 10;
const PAGE_MAX = 100;

type LockedAccount = { id: Uint8Array<ArrayBuffer>; balance_minor: bigint; sequence: bigint };

const { hostname, port, username, password, pathname } = new URL(process.env.DATABASE_URL ?? '');
const prisma = new PrismaClient({
  adapter: new PrismaMariaDb({
    host: hostname,
    port: Number(port || 3306),
    user: decodeURIComponent(username),
    password: decodeURIComponent(password),
    database: pathname.slice(1),
    connectionLimit: CONNECTIONS,
    acquireTimeout: TRANSACTION_MAX_MS,
    timezone: 'Z',
  }),
  transactionOptions: {
    isolationLevel: 'ReadCommitted',
    maxWait: TRANSACTION_MAX_MS,
    timeout: TRANSACTION_MAX_MS,
  },
});

const newId = () => v7(undefined, Buffer.alloc(16));

async function performBulkTransfer(input: BulkTransferInput): Promise<BulkTransfer> {
  const checked = checkBulk(input);
  return prisma.$transaction(async (transaction) => {
    const [account] = await transaction.$queryRaw<LockedAccount[]>`
      select id, balance_minor, sequence from account where iban = ${input.organizationIban} for update`;
    if (!account) throw new BulkRejectedError('Unknown account');
    const { idempotencyKey } = input;
    if (idempotencyKey) {
      const earlier = await transaction.bulkTransfer.findUnique({
        where: {
          accountId_idempotencyKey: {
            accountId: account.id,
            idempotencyKey: Buffer.from(idempotencyKey),
          },
        },
      });
      if (earlier && earlier.fingerprint !== checked.fingerprint)
        throw new BulkRejectedError('The key belongs to another bulk');
      if (earlier) return earlier;
    }
    if (account.balance_minor < checked.totalMinor)
      throw new BulkRejectedError('Insufficient funds');
    return record(transaction, account, checked, idempotencyKey);
  });
}

async function record(
  transaction: Prisma.TransactionClient,
  account: LockedAccount,
  { transfers, totalMinor, fingerprint }: CheckedBulk,
  idempotencyKey: string | null | undefined,
): Promise<BulkTransfer> {
  const createdAt = new Date();
  const accountId = account.id;
  const sequence = account.sequence + 1n;
  const balanceAfterMinor = account.balance_minor - totalMinor;
  const bulkTransfer = await transaction.bulkTransfer.create({
    data: {
      id: newId(),
      accountId,
      sequence,
      idempotencyKey: idempotencyKey ? Buffer.from(idempotencyKey) : null,
      fingerprint,
      transferCount: transfers.length,
      currency: 'EUR',
      totalAmountMinor: totalMinor,
      balanceAfterMinor,
      createdAt,
    },
  });
  const bulkTransferId = bulkTransfer.id;
  await transaction.transfer.createMany({
    data: transfers.map((transfer, index) => ({
      id: newId(),
      bulkTransferId,
      accountId,
      position: positionOf(sequence, index),
      currency: 'EUR',
      amountMinor: transfer.amountMinor,
      counterpartyName: transfer.counterpartyName,
      counterpartyNameFolded: foldedNameBytes(transfer.counterpartyName),
      counterpartyIban: transfer.counterpartyIban,
      description: transfer.description,
      createdAt,
    })),
  });
  await transaction.ledgerEntry.create({
    data: {
      id: newId(),
      accountId,
      sequence,
      kind: 'BULK_TRANSFER',
      currency: 'EUR',
      amountMinor: -totalMinor,
      balanceAfterMinor,
      bulkTransferId,
      description: bulkDescription(transfers.length),
      createdAt,
    },
  });
  await transaction.outboxMessage.create({
    data: {
      id: newId(),
      type: 'bulk-transfer.performed',
      accountId,
      sequence,
      createdAt,
      dueAt: createdAt,
    },
  });
  await transaction.account.update({
    where: { id: accountId },
    data: { balanceMinor: balanceAfterMinor, sequence, updatedAt: createdAt },
  });
  return bulkTransfer;
}

const idOf = ({ id }: { readonly id: Uint8Array }) => Buffer.from(id).toString('hex');

const resolvers = {
  Query: {
    account: (_: unknown, where: { readonly iban: string }) =>
      prisma.account.findUnique({ where, select: { iban: true } }),
  },
  Mutation: {
    performBulkTransfer: (_: unknown, { input }: { readonly input: BulkTransferInput }) =>
      answerOf(performBulkTransfer(input)),
  },
  BulkTransfer: {
    id: idOf,
    totalAmount: (bulk: BulkTransfer) => ({ amount: formatEuro(bulk.totalAmountMinor) }),
    balanceAfter: (bulk: BulkTransfer) => ({ amount: formatEuro(bulk.balanceAfterMinor) }),
    transfers: async ({ id }: BulkTransfer, { first }: { readonly first: number }) => ({
      nodes: await prisma.transfer.findMany({
        where: { bulkTransferId: id },
        orderBy: { position: 'asc' },
        take: Math.min(first, PAGE_MAX),
      }),
    }),
  },
  Transfer: {
    id: idOf,
    index: ({ position }: Transfer) => Number(BigInt.asUintN(20, position)),
    amount: ({ amountMinor }: Transfer) => ({ amount: formatEuro(amountMinor) }),
  },
};

const yoga = createYoga({
  schema: createSchema({ typeDefs: TYPE_DEFS, resolvers }),
  logging: false,
});
const server = createServer(yoga);
server.listen(0, '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
process.once('SIGTERM', () => {
  server.closeAllConnections();
  server.close(() => void prisma.$disconnect());
});
