/**
 * Measures bulks of 1,000, one after the other, for a minute, and how far the search tables fall behind meanwhile. The
 * floor of 2026-11 does the same in the minute before.
 *
 *   npm run bench:sustained [-- --database sqlite|mariadb] [--seconds 60]
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { BULK_OF_1000 } from './harness/bulk-requests.ts';
import { startLoadClient } from './harness/load-client.ts';
import { type LoopResult, ratePerS } from './harness/load-loop.ts';
import { describeMachine, machineLine } from './harness/machine.ts';
import { logProgress, runProgram } from './harness/program.ts';
import { percentile } from './harness/statistics.ts';
import { Floor } from './subjects/floor/floor.ts';
import type { Subject } from './subjects/subject.ts';
import { entriesBehind, parseLedgerDatabase, untilIndexed } from './subjects/virement/ledger.ts';
import { Virement } from './subjects/virement/virement.ts';

const MINUTES_MAX = 20;
/** The transfers of each bulk. */
const BULK_ROWS = 1_000;
const WARM_UP_MS = 3_000;
const TUNING_MS = 300;
const SAMPLE_MS = 500;
/** The rate is reported for each of these parts of the time. */
const PARTS = 6;

const { values: options } = parseArgs({
  options: {
    database: { type: 'string', default: 'sqlite' },
    seconds: { type: 'string', default: '60' },
  },
});
const durationMs = Number(options.seconds) * 1_000;

async function transfersBehind(databaseUrl: string): Promise<number> {
  return BULK_ROWS * (await entriesBehind(databaseUrl));
}

async function performFor(subject: Subject, forMs: number): Promise<LoopResult> {
  const loop = { inFlight: 1, durationMs: forMs, countMax: Infinity };
  return subject.perform({ bulks: BULK_OF_1000, loop });
}

/** Returns the bulks per second in each part of the time. */
function ratesOfParts({ latenciesMs, elapsedMs }: LoopResult): string {
  const counts = Array.from({ length: PARTS }, () => 0);
  let at = 0;
  for (const latencyMs of latenciesMs) {
    at += latencyMs;
    const part = Math.min(Math.floor((at / elapsedMs) * PARTS), PARTS - 1);
    counts[part] = (counts[part] ?? 0) + 1;
  }
  return counts.map((count) => ((count * PARTS * 1_000) / elapsedMs).toFixed(1)).join(', ');
}

async function measureFloor(): Promise<LoopResult> {
  const floor = await Floor.open('floor-2026-11');
  await floor.tune(TUNING_MS);
  await performFor(floor, WARM_UP_MS);
  const result = await performFor(floor, durationMs);
  await floor.verify();
  await floor.close();
  return result;
}

interface Sustained {
  readonly result: LoopResult;
  /** The transfers that were not indexed, sampled while bulks were performed. */
  readonly behind: readonly number[];
  /** The time from the last bulk until every transfer was indexed. */
  readonly caughtUpMs: number;
}

async function measureVirement(virement: Virement): Promise<Sustained> {
  await performFor(virement, WARM_UP_MS);
  const behind: number[] = [];
  let isDone = false;
  const performing = performFor(virement, durationMs).finally(() => {
    isDone = true;
  });
  while (!isDone) {
    behind.push(await transfersBehind(virement.databaseUrl));
    await Promise.race([performing, sleep(SAMPLE_MS)]);
  }
  const result = await performing;
  const endedAt = performance.now();
  await untilIndexed(virement.databaseUrl);
  return { result, behind, caughtUpMs: performance.now() - endedAt };
}

await runProgram(MINUTES_MAX, async () => {
  const database = parseLedgerDatabase(options.database);
  console.log(machineLine(describeMachine()));
  logProgress('the floor of 2026-11');
  const floor = await measureFloor();
  logProgress(`Virement on ${database}`);
  const virement = await Virement.open(`virement-${database}`, startLoadClient());
  const { result, behind, caughtUpMs } = await measureVirement(virement);
  const resident = await virement.server.resident();
  await virement.verify();
  await virement.close();
  console.table({
    'bulks/s of the floor': ratePerS(floor).toFixed(1),
    'the same in each sixth of the time': ratesOfParts(floor),
    'bulks/s': ratePerS(result).toFixed(1),
    'in each sixth of the time': ratesOfParts(result),
    'bulks/s to the floor': (ratePerS(result) / ratePerS(floor)).toFixed(2),
    'latency p99, ms': percentile(result.latenciesMs, 0.99).toFixed(0),
    'transfers not indexed meanwhile, median': percentile(behind, 0.5),
    'the same, largest': Math.max(...behind),
    'until all were indexed, ms': Math.round(caughtUpMs),
    'server RSS peak, MB': Math.round(resident?.peak ?? 0),
  });
});
