/**
 * Makes a function that runs one call at a time: a caller that comes meanwhile shares the result of the running call.
 * @param ageMaxMs age at which a running call counts as hung: the next caller starts another one
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
