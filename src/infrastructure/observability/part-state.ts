/**
 * The states of the server's parts, as anyone may see them: no names of machines, no messages of drivers.
 *
 *   ok            the part does its work
 *   degraded      bulks are taken, and something else is late or missing
 *   unavailable   bulks cannot be taken
 */

/** From the best to the worst. */
const STATUSES = ['ok', 'degraded', 'unavailable'] as const;

export type PartStatus = (typeof STATUSES)[number];

export interface PartState {
  readonly status: PartStatus;
  /** Codes, such as UNREACHABLE; absent where the status is ok. */
  readonly reasons?: readonly string[];
}

export const OK: PartState = { status: 'ok' };

/** @param statusOf the status of a part that has this fault alone */
export function partStateOf<Fault extends string>(
  faults: readonly Fault[],
  statusOf: Readonly<Record<Fault, PartStatus>>,
): PartState {
  if (faults.length === 0) return OK;
  return { status: worstOf(faults.map((fault) => statusOf[fault])), reasons: faults };
}

/** Returns the worst of some statuses; ok for none. */
export function worstOf(statuses: readonly PartStatus[]): PartStatus {
  return STATUSES.findLast((status) => statuses.includes(status)) ?? 'ok';
}
