/** What the peers written in JavaScript check and compute: as much as any such service would, and no more. */
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
  /** Of the content; what a key stands for. Null where there is no key. */
  readonly fingerprint: string | null;
}

/** A request that is refused, as its sender is told. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
}

/** 2^20 transfers in a bulk at most: see the positions of src/domain/postings.ts. */
const INDEX_BITS = 20n;

const AMOUNT = /^[0-9]{1,9}(\.[0-9]{1,2})?$/;

/** @throws Refusal for the first row that is wrong */
export function checkBulk(input: BulkTransferInput): CheckedBulk {
  const transfers = input.creditTransfers.map((row, index) => {
    const amountMinor = minorUnitsOf(row.amount);
    if (amountMinor === undefined) throw new Refusal(`Row ${index}: amount`);
    if (!isValidIBAN(row.counterpartyIban)) throw new Refusal(`Row ${index}: IBAN`);
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

/** Minor units in major ones: 1450n is "14.50". */
export function formatEuro(minorUnits: bigint): string {
  const digits = minorUnits.toString().padStart(3, '0');
  return `${digits.slice(0, -2)}.${digits.slice(-2)}`;
}

export function positionOf(sequence: bigint, index: number): bigint {
  return (sequence << INDEX_BITS) | BigInt(index);
}

/** As our tables have it, beside the name. */
export function foldedName(name: string): Buffer<ArrayBuffer> {
  return Buffer.from(name.toLowerCase().normalize('NFC'));
}
