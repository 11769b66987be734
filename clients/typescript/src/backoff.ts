/** The delay before the first retry. The delay doubles with each further retry. */
const FIRST_MS = 250;

/** The longest delay, unless the server asks for a longer one. */
const MAX_MS = 30_000;

/**
 * Returns the delay before the next attempt. The delay is shortened by a random part of up to one half, so clients
 * that failed together do not retry together.
 * @param failures 1 after the first failure
 * @param random in [0, 1)
 * @returns milliseconds
 */
export function backoffMs(failures: number, random = Math.random()): number {
  const full = Math.min(FIRST_MS * 2 ** (failures - 1), MAX_MS);
  return full * (0.5 + random / 2);
}

/** Waits for a time. The wait ends early, without an error, when the signal is aborted. */
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
