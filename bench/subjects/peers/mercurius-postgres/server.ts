/**
 * Fastify, mercurius with its JIT compiler, and node-postgres. A function of the database performs a bulk of one
 * transfer in one round trip. A longer bulk is one transaction: a function records the bulk, and COPY streams its rows.
 */
import { randomBytes } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import Fastify from 'fastify';
import mercurius from 'mercurius';
import { DatabaseError, Pool, type PoolClient, types } from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { v7 } from 'uuid';
import {
  BulkRejectedError,
  type BulkTransferInput,
  type CheckedBulk,
  type CheckedTransfer,
  checkBulk,
  foldedName,
  formatEuro,
  positionOf,
} from '../../bulk-rules.ts';
import { answerOf, TYPE_DEFS } from '../graphql-contract.ts';

interface BulkTransfer {
  readonly id: string;
  readonly account_id: string;
  readonly sequence: bigint;
  readonly transfer_count: number;
  readonly total_amount_minor: bigint;
  readonly balance_after_minor: bigint;
  readonly created_at: Date;
}

interface Transfer {
  readonly id: string;
  readonly position: bigint;
  readonly amount_minor: bigint;
  readonly counterparty_name: string;
  readonly counterparty_iban: string;
  readonly description: string;
}

const BODY_LIMIT_BYTES = 10 * 1_024 * 1_024;
const CONNECTIONS = 10;
const PAGE_MAX = 100;
const UUID_BYTES = 16;

/** Rows of one chunk. PostgreSQL inserts a chunk while the server writes the next one. */
const CHUNK_ROWS = 250;

/** The code of an exception that a function raises. Its message is for the sender of the bulk. */
const RAISED_EXCEPTION = 'P0001';

types.setTypeParser(types.builtins.INT8, BigInt);
const pool = new Pool({ connectionString: process.env.DATABASE_URL ?? '', max: CONNECTIONS });

async function performBulkTransfer(input: BulkTransferInput): Promise<BulkTransfer> {
  const checked = checkBulk(input);
  const [first, second] = checked.transfers;
  try {
    return first && !second
      ? await performSingle(input, checked, first)
      : await performByCopy(input, checked);
  } catch (error) {
    const isRejection = error instanceof DatabaseError && error.code === RAISED_EXCEPTION;
    throw isRejection ? new BulkRejectedError(error.message) : error;
  }
}

/** Calls the function outside a transaction block: the statement is a transaction of its own. */
async function performSingle(
  { organizationIban, idempotencyKey }: BulkTransferInput,
  { fingerprint }: CheckedBulk,
  transfer: CheckedTransfer,
): Promise<BulkTransfer> {
  const { rows } = await pool.query<BulkTransfer>({
    name: 'single',
    text: 'select * from perform_single_transfer($1, $2, $3, $4, $5, $6, $7, $8, $9)',
    values: [
      v7(),
      organizationIban,
      idempotencyKey || null,
      fingerprint,
      transfer.amountMinor,
      transfer.counterpartyName,
      foldedName(transfer.counterpartyName),
      transfer.counterpartyIban,
      transfer.description,
    ],
  });
  return onlyRow(rows);
}

async function performByCopy(
  input: BulkTransferInput,
  checked: CheckedBulk,
): Promise<BulkTransfer> {
  const connection = await pool.connect();
  try {
    await connection.query('begin');
    const bulk = await record(connection, input, checked);
    await connection.query('commit');
    return bulk;
  } catch (error) {
    await connection.query('rollback');
    throw error;
  } finally {
    connection.release();
  }
}

async function record(
  connection: PoolClient,
  { organizationIban, idempotencyKey }: BulkTransferInput,
  { transfers, totalMinor, fingerprint }: CheckedBulk,
): Promise<BulkTransfer> {
  const id = v7();
  const { rows } = await connection.query<BulkTransfer>({
    name: 'bulk',
    text: 'select * from record_bulk_transfer($1, $2, $3, $4, $5, $6)',
    values: [
      id,
      organizationIban,
      idempotencyKey || null,
      fingerprint,
      transfers.length,
      totalMinor,
    ],
  });
  const bulk = onlyRow(rows);
  if (bulk.id !== id) return bulk;
  const copy = copyFrom(
    `copy transfer (id, bulk_transfer_id, account_id, position, currency, amount_minor,
      counterparty_name, counterparty_name_folded, counterparty_iban, description, created_at) from stdin`,
  );
  await pipeline(chunksOf(bulk, transfers), connection.query(copy));
  return bulk;
}

function onlyRow<Row>([row]: readonly Row[]): Row {
  if (row === undefined) throw new Error('The function returned no row');
  return row;
}

/**
 * Writes the transfers in the text format of COPY: a line for each row, with tabs between the columns.
 * The ids grow with the rows. One call makes the random bytes of all, because a call for each costs more than the row.
 */
function* chunksOf(
  bulk: BulkTransfer,
  transfers: readonly CheckedTransfer[],
): Generator<string, void> {
  const msecs = bulk.created_at.getTime();
  const createdAt = bulk.created_at.toISOString();
  const random = randomBytes(transfers.length * UUID_BYTES);
  let chunk = '';
  for (const [index, transfer] of transfers.entries()) {
    const id = v7({ msecs, seq: index, random: random.subarray(index * UUID_BYTES) });
    const columns = [
      id,
      bulk.id,
      bulk.account_id,
      positionOf(bulk.sequence, index),
      'EUR',
      transfer.amountMinor,
      copyText(transfer.counterpartyName),
      copyText(foldedName(transfer.counterpartyName)),
      transfer.counterpartyIban,
      copyText(transfer.description),
      createdAt,
    ];
    chunk += `${columns.join('\t')}\n`;
    if ((index + 1) % CHUNK_ROWS === 0) {
      yield chunk;
      chunk = '';
    }
  }
  if (chunk !== '') yield chunk;
}

const COPY_ESCAPES: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '\t': '\\t',
  '\n': '\\n',
  '\r': '\\r',
};

function copyText(text: string): string {
  return text.replace(/[\\\t\n\r]/g, (character) => COPY_ESCAPES[character] ?? character);
}

async function transfersOf(bulkId: string, first: number): Promise<Transfer[]> {
  const { rows } = await pool.query<Transfer>({
    name: 'transfers',
    text: `select id, position, amount_minor, counterparty_name, counterparty_iban, description
      from transfer where bulk_transfer_id = $1 order by position limit $2`,
    values: [bulkId, Math.min(first, PAGE_MAX)],
  });
  return rows;
}

const resolvers = {
  Query: {
    account: async (_: unknown, { iban }: { readonly iban: string }) => {
      const { rows } = await pool.query('select iban from account where iban = $1', [iban]);
      return rows[0] ?? null;
    },
  },
  Mutation: {
    performBulkTransfer: (_: unknown, { input }: { readonly input: BulkTransferInput }) =>
      answerOf(performBulkTransfer(input)),
  },
  BulkTransfer: {
    transferCount: (bulk: BulkTransfer) => bulk.transfer_count,
    totalAmount: (bulk: BulkTransfer) => ({ amount: formatEuro(bulk.total_amount_minor) }),
    balanceAfter: (bulk: BulkTransfer) => ({ amount: formatEuro(bulk.balance_after_minor) }),
    transfers: async ({ id }: BulkTransfer, { first }: { readonly first: number }) => ({
      nodes: await transfersOf(id, first),
    }),
  },
  Transfer: {
    index: ({ position }: Transfer) => Number(BigInt.asUintN(20, position)),
    amount: ({ amount_minor }: Transfer) => ({ amount: formatEuro(amount_minor) }),
    counterpartyName: (transfer: Transfer) => transfer.counterparty_name,
    counterpartyIban: (transfer: Transfer) => transfer.counterparty_iban,
  },
};

const server = Fastify({ bodyLimit: BODY_LIMIT_BYTES, forceCloseConnections: true });
await server.register(mercurius, { schema: TYPE_DEFS, resolvers, jit: 1 });
server.addHook('onClose', () => pool.end());
await server.listen({ host: '127.0.0.1', port: 0 });
console.log(`http://127.0.0.1:${(server.server.address() as AddressInfo).port}`);
process.once('SIGTERM', () => void server.close());
