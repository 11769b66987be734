/**
 * Bulk transfer orders: rows that are kept and corrected until they are performed together.
 *
 * DRAFT ──submit──▶ SUBMITTED ──perform──▶ PERFORMED
 *   ▲  │                │  │
 *   │  │ cancel         │  └──fail──▶ FAILED ──submit──▶ SUBMITTED
 *   │  └──▶ CANCELLED ◀─┴──cancel──────┤
 *   └────────────edit──────────────────┘
 *
 * A submitted order is cancelled only while no server performs it. A draft or a failed order that nobody changes expires.
 */
import type { Rejection } from './errors.js';
import { ORDER_STATUSES, type OrderStatus } from './kinds.js';

/** The actions on an order, each of which may change its state. */
export const ORDER_ACTIONS = ['edit', 'submit', 'perform', 'fail', 'cancel', 'expire'] as const;

export type OrderAction = (typeof ORDER_ACTIONS)[number];

/** The state after each action. An action without an entry is refused in that state. */
export const ORDER_TRANSITIONS: Readonly<
  Record<OrderStatus, Readonly<Partial<Record<OrderAction, OrderStatus>>>>
> = {
  DRAFT: { edit: 'DRAFT', submit: 'SUBMITTED', cancel: 'CANCELLED', expire: 'EXPIRED' },
  SUBMITTED: { perform: 'PERFORMED', fail: 'FAILED', cancel: 'CANCELLED' },
  FAILED: { edit: 'DRAFT', submit: 'SUBMITTED', cancel: 'CANCELLED', expire: 'EXPIRED' },
  PERFORMED: {},
  CANCELLED: {},
  EXPIRED: {},
};

/** Tells whether an order in a state will never change again. */
export function isFinal(status: OrderStatus): boolean {
  return Object.keys(ORDER_TRANSITIONS[status]).length === 0;
}

/** The states of orders that may still change. */
export const OPEN_STATUSES: readonly OrderStatus[] = ORDER_STATUSES.filter(
  (status) => !isFinal(status),
);

/** The largest number of rows of a chunk, which are added by one request. */
export const CHUNK_ROWS_MAX = 10_000;

/** The largest number of rows of an order. */
export const ORDER_ROWS_MAX = 1_000_000;

/** The largest number of chunks. Chunks are numbered from 0. */
export const CHUNKS_MAX = ORDER_ROWS_MAX / CHUNK_ROWS_MAX;

/** The largest number of bulks as which one order is performed. */
export const ORDER_BULKS_MAX = 1_000;

/** The largest number of orders of an organization that may still change. */
export const OPEN_ORDERS_MAX = 1_000;

/** The largest number of rows in the orders of an organization, but for those that were performed. */
export const KEPT_ROWS_MAX = 3_000_000;

/** The largest number of problems of its file that an order keeps. */
export const FILE_PROBLEMS_MAX = 31;

/** The longest name of a file, in characters. */
export const FILE_NAME_CHARACTERS_MAX = 255;

/** The longest value of a row that is kept, in characters. A longer value is cut, which is a problem of its row. */
export const VALUE_CHARACTERS_MAX = 500;

/** Returns the number of the first row of a chunk. Rows keep their numbers when others are removed. */
export function firstRowOf(chunk: number): number {
  return chunk * CHUNK_ROWS_MAX;
}

/** Returns the number of bulks as which an order is performed. */
export function bulkCountOf(rowCount: number, bulkRowsMax: number): number {
  return Math.ceil(rowCount / bulkRowsMax);
}

/**
 * Returns the idempotency key of a bulk of an order. It makes sure that the bulk is performed once, whatever dies.
 * @param part the number of the bulk in its order, from 0
 */
export function bulkKeyOf(key: string, part: number, bulkCount: number): string {
  return bulkCount === 1 ? key : `${key}/${part + 1}`;
}

/** The longest idempotency key of an order. The key of a bulk is longer by the number of the bulk. */
export const ORDER_KEY_CHARACTERS_MAX = 240;

/** Why an order failed. */
export type OrderFailure = Rejection<
  'INVALID_BULK_TRANSFER' | 'INSUFFICIENT_FUNDS' | 'ACCOUNT_NOT_FOUND' | 'IDEMPOTENCY_KEY_REUSED'
>;

/** Returns a failure as JSON. Amounts are texts, because JSON has no large integers. */
export function failureToJson(failure: OrderFailure): string {
  return JSON.stringify(failure, (_, value: unknown) =>
    typeof value === 'bigint' ? value.toString() : value,
  );
}

/** Reads what failureToJson wrote. */
export function failureFromJson(json: string): OrderFailure {
  return JSON.parse(json, (name, value: unknown) =>
    name.endsWith('Minor') && typeof value === 'string' ? BigInt(value) : value,
  );
}
