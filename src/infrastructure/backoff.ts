/** How long to wait before trying again what failed. */
export interface Backoff {
  /** Before the first retry; doubled for each further one. */
  readonly firstMs: number;
  readonly maxMs: number;
}

/**
 * @param attempt how often it was tried: 1 before the first retry
 * @returns milliseconds, of which a random half is left out, so that those who failed together do not
 *   try again together
 */
export function backoffMs(attempt: number, { firstMs, maxMs }: Backoff): number {
  const full = Math.min(firstMs * 2 ** (attempt - 1), maxMs);
  return full * (0.5 + Math.random() / 2);
}
