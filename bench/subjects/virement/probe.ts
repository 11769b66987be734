/** Small bulks of another account, whose latency tells what a measured work costs other callers. */
import { bulkRequest, HOT_ACCOUNT } from '../../harness/bulk-requests.ts';
import type { LoadClient } from '../../harness/load-client.ts';
import { GRAPHQL_PATH, PERFORMED, performBody } from './requests.ts';

const PAUSE_BETWEEN_PROBES_MS = 20;
/** The probe runs in parts of this duration until it is stopped. */
const PROBE_PART_MS = 250;

/** Performs bulks of one transfer, one after the other, until the work is done. @returns their latencies in ms */
export async function probeDuring(
  client: LoadClient,
  origin: string,
  work: Promise<unknown>,
): Promise<readonly number[]> {
  let isDone = false;
  const latenciesMs: number[] = [];
  const loop = {
    inFlight: 1,
    durationMs: PROBE_PART_MS,
    countMax: Infinity,
    pauseMs: PAUSE_BETWEEN_PROBES_MS,
  };
  const bodies = [performBody(bulkRequest(HOT_ACCOUNT, 1))];
  const job = { origin, path: GRAPHQL_PATH, bodies, expected: PERFORMED, loop };
  const probe = async () => {
    while (!isDone) latenciesMs.push(...(await client.run(job)).latenciesMs);
  };
  const watched = work.finally(() => {
    isDone = true;
  });
  await Promise.all([watched, probe()]);
  return latenciesMs;
}
