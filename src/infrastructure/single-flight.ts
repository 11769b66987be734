/**
 * Makes a function that runs one call at a time. A caller that comes during a call shares its result.
 * @param ageMaxMs age at which a running call counts as hung, so that the next caller starts another call
 */
export function singleFlight<Result>(
  run: () => Promise<Result>,
  ageMaxMs: number,
): () => Promise<Result> {
  let running: { readonly result: Promise<Result>; readonly startedAt: number } | undefined;
  return () => {
    const now = performance.now();
    if (running && now - running.startedAt < ageMaxMs) return running.result;
    const result = run().finally(() => {
      if (running?.result === result) running = undefined;
    });
    running = { result, startedAt: now };
    return result;
  };
}
