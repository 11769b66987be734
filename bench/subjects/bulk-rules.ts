/**
 * The rules of a bulk for the floor and the peers: the checks that a common service makes, and the values of
 * columns that the recount of the ledger expects.
 */
import { createHash } from 'node:crypto';
import { isValidIBAN } from 'ibantools';

export interface TransferInput {
  readonly amount: string;
  readonly counterpartyName: string;
  readonly counterpartyIban: string;
  readonly description: string;
}

export interface BulkTransferInput {
  readonly organizationIban: string;
  readonly idempotencyKey?: string | null;
  readonly creditTransfers: readonly TransferInput[];
}

export interface CheckedTransfer extends TransferInput {
  readonly amountMinor: bigint;
}

export interface CheckedBulk {
  readonly transfers: readonly CheckedTransfer[];
  readonly totalMinor: bigint;
  /** Hash of the content that the idempotency key stands for. Null without a key. */
  readonly fingerprint: string | null;
}

/** The rejection of a bulk, with a message to its sender. */
export class BulkRejectedError extends Error {
  override readonly name = 'BulkRejectedError';
}

/** A bulk has at most 2^20 transfers: see the positions in src/domain/postings.ts. */
const INDEX_BITS = 20n;

const AMOUNT = /^[0-9]{1,9}(\.[0-9]{1,2})?$/;

/** @throws BulkRejectedError for the first wrong row */
export function checkBulk(input: BulkTransferInput): CheckedBulk {
  const transfers = input.creditTransfers.map((row, index) => {
    const amountMinor = minorUnitsOf(row.amount);
    if (amountMinor === undefined) throw new BulkRejectedError(`Row ${index}: amount`);
    if (!isValidIBAN(row.counterpartyIban)) throw new BulkRejectedError(`Row ${index}: IBAN`);
    return { ...row, amountMinor };
  });
  const totalMinor = transfers.reduce((sum, { amountMinor }) => sum + amountMinor, 0n);
  return { transfers, totalMinor, fingerprint: input.idempotencyKey ? fingerprintOf(input) : null };
}

function minorUnitsOf(amount: string): bigint | undefined {
  if (!AMOUNT.test(amount)) return undefined;
  const [integer = '', fraction = ''] = amount.split('.');
  const minorUnits = BigInt(integer + fraction.padEnd(2, '0'));
  return minorUnits > 0n ? minorUnits : undefined;
}

function fingerprintOf({ organizationIban, creditTransfers }: BulkTransferInput): string {
  const content = JSON.stringify([organizationIban, creditTransfers]);
  return createHash('sha256').update(content).digest('hex');
}

/** Formats minor units as major units: 1450n is "14.50". */
export function formatEuro(minorUnits: bigint): string {
  const digits = minorUnits.toString().padStart(3, '0');
  return `${digits.slice(0, -2)}.${digits.slice(-2)}`;
}

export function positionOf(sequence: bigint, index: number): bigint {
  return (sequence << INDEX_BITS) | BigInt(index);
}

/** Returns the name in the form of the column counterparty_name_folded on PostgreSQL. */
export function foldedName(name: string): string {
  return name.toLowerCase().normalize('NFC');
}

/** Returns the name in the form of the column counterparty_name_folded on MariaDB. */
export function foldedNameBytes(name: string): Buffer<ArrayBuffer> {
  return Buffer.from(foldedName(name));
}

/** Returns the description of a bulk's ledger entry. */
export function bulkDescription(transferCount: number): string {
  return `Bulk of ${transferCount} ${transferCount === 1 ? 'transfer' : 'transfers'}`;
}
