/** The delays between retries. */
export interface Backoff {
  /** The delay before the first retry. Each further retry doubles it. */
  readonly firstMs: number;
  readonly maxMs: number;
}

/**
 * @param attempt number of attempts so far: 1 before the first retry
 * @returns milliseconds, minus a random part of up to a half, so that clients that failed together do not retry
 *   together
 */
export function backoffMs(attempt: number, { firstMs, maxMs }: Backoff): number {
  const full = Math.min(firstMs * 2 ** (attempt - 1), maxMs);
  return full * (0.5 + Math.random() / 2);
}
