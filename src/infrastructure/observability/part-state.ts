/**
 * The states of the server's parts. Anyone may see them, so they contain no host names and no driver messages.
 *
 *   ok            the part works
 *   degraded      bulks are accepted, but something else is late or missing
 *   unavailable   bulks cannot be accepted
 */

/** Statuses from the best to the worst. */
const STATUSES = ['ok', 'degraded', 'unavailable'] as const;

export type PartStatus = (typeof STATUSES)[number];

export interface PartState {
  readonly status: PartStatus;
  /** Codes, such as UNREACHABLE; absent if the status is ok. */
  readonly reasons?: readonly string[];
}

export const OK: PartState = { status: 'ok' };

/** @param statusOf the status of a part that has only this fault */
export function partStateOf<Fault extends string>(
  faults: readonly Fault[],
  statusOf: Readonly<Record<Fault, PartStatus>>,
): PartState {
  if (faults.length === 0) return OK;
  return { status: worstOf(faults.map((fault) => statusOf[fault])), reasons: faults };
}

/** Returns the worst status; ok for an empty list. */
export function worstOf(statuses: readonly PartStatus[]): PartStatus {
  return STATUSES.findLast((status) => statuses.includes(status)) ?? 'ok';
}
