/**
 * Runs the server under test with Node's profiler, in one process for each workload. It writes to
 * bench/output a .cpuprofile, which the developer tools of a browser open, and a text with the time of
 * each area and of the functions that take the most.
 */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  BULK_OF_1000,
  BULK_OF_10000,
  HOT_ACCOUNT_BULKS,
  IN_FLIGHT,
  MANY_ACCOUNTS_BULKS,
} from '../harness/bulk-requests.ts';
import { type CpuProfile, cutProfile, type SelfTime, selfTimes } from '../harness/cpu-profile.ts';
import { type LoadClient, startLoadClient } from '../harness/load-client.ts';
import type { LoopResult } from '../harness/load-loop.ts';
import { OUTPUT } from '../harness/paths.ts';
import type { OnProgress } from '../harness/program.ts';
import { mapToSources } from '../harness/source-maps.ts';
import { summarise } from '../harness/statistics.ts';
import { VIREMENT_IDS, type VirementId, type Workload } from '../subjects/subject.ts';
import { Virement } from '../subjects/virement/virement.ts';
import type { Plan } from './plan.ts';

/** Node names a profile after date, time, process, thread and number. */
const MAIN_THREAD = /\.0\.\d+\.cpuprofile$/;

const FUNCTIONS_SHOWN = 30;
const WARM_UP_MS = 2_000;
const REQUESTS_MAX = 1_000_000;

/** Returns microseconds of the clock of V8's profiler. */
const nowUs = () => Number(process.hrtime.bigint() / 1_000n);

function workloads({ profileMs }: Plan): Readonly<Record<string, Workload>> {
  const sequential = { inFlight: 1, durationMs: profileMs, countMax: REQUESTS_MAX };
  const concurrent = { ...sequential, inFlight: IN_FLIGHT };
  return {
    'bulk-1000': { bulks: BULK_OF_1000, loop: sequential },
    'bulk-10000': { bulks: BULK_OF_10000, loop: sequential },
    'many-accounts': { bulks: MANY_ACCOUNTS_BULKS, loop: concurrent },
    'hot-account': { bulks: HOT_ACCOUNT_BULKS, loop: concurrent },
  };
}

export async function profileWorkloads(plan: Plan, onProgress: OnProgress): Promise<void> {
  const client = startLoadClient();
  await mkdir(OUTPUT, { recursive: true });
  for (const id of VIREMENT_IDS) {
    for (const [name, workload] of Object.entries(workloads(plan))) {
      onProgress(`${id}: ${name}`);
      await profileWorkload(id, client, name, workload);
    }
  }
  onProgress(`profiles written to ${OUTPUT}`);
}

async function profileWorkload(
  id: VirementId,
  client: LoadClient,
  name: string,
  workload: Workload,
): Promise<void> {
  const path = join(OUTPUT, `${id}-${name}`);
  await rm(path, { recursive: true, force: true });
  const virement = await Virement.open(id, client, ['--cpu-prof', `--cpu-prof-dir=${path}`]);
  await virement.perform({ ...workload, loop: { ...workload.loop, durationMs: WARM_UP_MS } });
  const fromUs = nowUs();
  const result = await virement.perform(workload);
  const toUs = nowUs();
  // Node writes the profile when the process exits.
  await virement.verify();
  await virement.close();
  // The start and the warm-up are cut off.
  const measured = cutProfile(await takeProfile(path), fromUs, toUs);
  const profile = await mapToSources(measured);
  await writeFile(`${path}.cpuprofile`, JSON.stringify(profile));
  const text = profileSummary(`${id}, ${name}`, result, profile);
  await writeFile(`${path}.txt`, text);
  console.log(`\n${text}`);
}

/** Reads the profile of the main thread from a folder, and removes the folder. */
async function takeProfile(folder: string): Promise<CpuProfile> {
  const file = (await readdir(folder)).find((name) => MAIN_THREAD.test(name));
  if (!file) throw new Error(`Node wrote no profile of the main thread to ${folder}`);
  const profile = JSON.parse(await readFile(join(folder, file), 'utf8'));
  await rm(folder, { recursive: true });
  return profile;
}

function profileSummary(
  title: string,
  { latenciesMs, elapsedMs }: LoopResult,
  profile: CpuProfile,
): string {
  const { median, p99, samples } = summarise(latenciesMs);
  const { busyMs, idleMs, functions, areas } = selfTimes(profile);
  const line = ({ name, selfMs }: SelfTime) => {
    const share = `${((selfMs / busyMs) * 100).toFixed(1)} %`;
    const each = (selfMs / samples).toFixed(3);
    return `${share.padStart(7)}  ${each.padStart(8)} ms each  ${name}`;
  };
  return [
    `${title}: ${samples} requests in ${Math.round(elapsedMs)} ms, median ${median.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms; busy for ${Math.round(busyMs)} ms, idle for ${Math.round(idleMs)} ms`,
    ...areas.map(line),
    '',
    ...functions.slice(0, FUNCTIONS_SHOWN).map(line),
    '',
  ].join('\n');
}
