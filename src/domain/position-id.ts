/**
 * The ids of rows that have a position in the history of an account: bulks, transfers and incoming transfers. An id is
 * made from the row's own columns, so no index is needed to find the row, and no column to store the id.
 *
 * An id is a UUIDv8 (RFC 9562, section 5.8). It has, from the highest bit to the lowest:
 *
 *   32 bits   the short id of the account
 *   53 bits   the position
 *    2 bits   the kind of the row
 *   35 bits   the time of the row in milliseconds, modulo 398 days
 *
 * The ids of an account's rows therefore sort in the order of its history. The time tells rows apart that have the
 * same position in two histories, because a database was restored from a backup.
 */
import { shortIdOf } from './id.js';
import { firstPositionOf } from './postings.js';

const KINDS = ['bulk-transfer', 'transfer', 'incoming-transfer'] as const;

export type PositionedKind = (typeof KINDS)[number];

/** The columns from which an id is made. */
export interface PositionedRow {
  readonly accountId: string;
  /** See transferPosition. */
  readonly position: bigint;
  readonly createdAt: Date;
}

/** The row to which an id refers. The row exists only if its own id is the same. */
export interface PositionReference {
  readonly kind: PositionedKind;
  readonly accountShortId: number;
  readonly position: bigint;
}

/** The bits of a position in the last two groups of the text. The other 28 bits precede them. */
const LOW_BITS = 25;
/** The bits of a position in the last group of the text. */
const LAST_BITS = 11;
const KIND_BITS = 2;
const TIME_BITS = 35;

const ID =
  /^(?<account>[0-9a-f]{8})-(?<high>[0-9a-f]{4})-8(?<middle>[0-9a-f]{3})-(?<low>[89ab][0-9a-f]{3})-(?<last>[0-9a-f]{12})$/;

export function positionId(
  kind: PositionedKind,
  { accountId, position, createdAt }: PositionedRow,
): string {
  const high = hex(Number(position >> BigInt(LOW_BITS)), 7);
  const low = Number(position) % 2 ** LOW_BITS;
  const variantAndLow = hex(0x8000 + Math.floor(low / 2 ** LAST_BITS), 4);
  const placed = (low % 2 ** LAST_BITS) * 2 ** KIND_BITS + KINDS.indexOf(kind);
  const last = hex(placed * 2 ** TIME_BITS + (createdAt.getTime() % 2 ** TIME_BITS), 12);
  const account = hex(shortIdOf(accountId), 8);
  return `${account}-${high.slice(0, 4)}-8${high.slice(4)}-${variantAndLow}-${last}`;
}

/** A bulk, or the part of a transfer that its bulk has too. */
export interface BulkPlace {
  readonly accountId: string;
  readonly sequence: bigint;
  readonly createdAt: Date;
}

/** Returns the id of a bulk. It has the first position of its transfers. */
export function bulkTransferIdOf({ accountId, sequence, createdAt }: BulkPlace): string {
  return positionId('bulk-transfer', { accountId, position: firstPositionOf(sequence), createdAt });
}

/** @returns undefined for every other id */
export function parsePositionId(id: string): PositionReference | undefined {
  const { account = '', high = '', middle = '', low = '', last = '' } = ID.exec(id)?.groups ?? {};
  const placed = Math.floor(Number.parseInt(last, 16) / 2 ** TIME_BITS);
  const kind = KINDS[placed % 2 ** KIND_BITS];
  if (kind === undefined) return undefined;
  const position =
    Number.parseInt(high + middle, 16) * 2 ** LOW_BITS +
    (Number.parseInt(low, 16) % 2 ** (LOW_BITS - LAST_BITS)) * 2 ** LAST_BITS +
    Math.floor(placed / 2 ** KIND_BITS);
  return { kind, accountShortId: Number.parseInt(account, 16), position: BigInt(position) };
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}
