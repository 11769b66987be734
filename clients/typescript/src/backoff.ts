/** Delay before the first retry; it doubles with each further one. */
const FIRST_MS = 250;

/** Longest delay, unless the server asks for a longer one. */
const MAX_MS = 30_000;

/**
 * Delay before the next attempt. A random half is left out, so that clients that failed together do not
 * come back together.
 * @param failures 1 after the first failure
 * @param random in [0, 1)
 * @returns milliseconds
 */
export function backoffMs(failures: number, random = Math.random()): number {
  const full = Math.min(FIRST_MS * 2 ** (failures - 1), MAX_MS);
  return full * (0.5 + random / 2);
}

/** Waits; ends early, without an error, when the signal is aborted. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener('abort', end, { once: true });
  });
}
