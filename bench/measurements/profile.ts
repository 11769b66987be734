/**
 * Runs our server with Node's own profiler, one process for each kind of load, and writes to
 * bench/output: the .cpuprofile itself (for Chrome's developer tools or speedscope), a flame graph, what
 * the time was for, and the functions that took the most of it themselves.
 */
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HOT, IN_FLIGHT, MANY, TEN_THOUSAND, THOUSAND } from '../harness/bulk-requests.ts';
import {
  type CpuProfile,
  cutProfile,
  flameGraph,
  type SelfTime,
  selfTimes,
} from '../harness/cpu-profile.ts';
import type { LoadJob } from '../harness/load-client.ts';
import type { Run } from '../harness/load-loop.ts';
import { OUTPUT } from '../harness/paths.ts';
import { summarise } from '../harness/statistics.ts';
import { Worker } from '../harness/worker-process.ts';
import { type LoadClient, VIREMENT_IDS, Virement } from '../subjects/open-subjects.ts';
import type { Work } from '../subjects/subject.ts';
import type { OnProgress } from './comparison.ts';
import type { Plan } from './plan.ts';

/** Node names a profile after date, time, process, thread and number. */
const MAIN_THREAD = /\.0\.\d+\.cpuprofile$/;

const FUNCTIONS_SHOWN = 30;
const WARM_UP_MS = 2_000;

/** Microseconds, as V8 counts them. */
const nowUs = () => Number(process.hrtime.bigint() / 1_000n);

const loopOf = (inFlight: number, { form }: Plan) => ({
  inFlight,
  durationMs: form === 'quick' ? 3_000 : 10_000,
  countMax: 1_000_000,
});

const workloads = (plan: Plan): Readonly<Record<string, Work>> => ({
  'bulk-1000': { orders: THOUSAND, loop: loopOf(1, plan) },
  'bulk-10000': { orders: TEN_THOUSAND, loop: loopOf(1, plan) },
  'many-accounts': { orders: MANY, loop: loopOf(IN_FLIGHT, plan) },
  'hot-account': { orders: HOT, loop: loopOf(IN_FLIGHT, plan) },
});

export async function profile(plan: Plan, onProgress: OnProgress): Promise<void> {
  const client: LoadClient = new Worker<LoadJob, Run>('load-client.ts');
  await mkdir(OUTPUT, { recursive: true });
  for (const id of VIREMENT_IDS) {
    for (const [name, work] of Object.entries(workloads(plan))) {
      onProgress(`${id}: ${name}`);
      await profileOne(id, client, name, work);
    }
  }
  onProgress(`see ${OUTPUT}`);
}

async function profileOne(
  id: Virement['id'],
  client: LoadClient,
  name: string,
  work: Work,
): Promise<void> {
  const folder = join(OUTPUT, `${id}-${name}`);
  await rm(folder, { recursive: true, force: true });
  const virement = await Virement.open(id, client, ['--cpu-prof', `--cpu-prof-dir=${folder}`]);
  await virement.perform({ ...work, loop: { ...work.loop, durationMs: WARM_UP_MS } });
  const fromUs = nowUs();
  const run = await virement.perform(work);
  const toUs = nowUs();
  // Node writes the profile when the process ends.
  await virement.verify();
  await virement.close();
  const file = (await readdir(folder)).find((name) => MAIN_THREAD.test(name));
  if (!file) throw new Error(`${id} left no profile in ${folder}`);
  const path = `${folder}.cpuprofile`;
  await rename(join(folder, file), path);
  await rm(folder, { recursive: true });
  const whole: CpuProfile = JSON.parse(await readFile(path, 'utf8'));
  // Without the start and the warm-up.
  const cpuProfile = cutProfile(whole, fromUs, toUs);
  await writeFile(`${folder}.svg`, flameGraph(cpuProfile));
  const text = summary(`${id}, ${name}`, run, cpuProfile);
  await writeFile(`${folder}.txt`, text);
  console.log(`\n${text}`);
}

function summary(title: string, { latenciesMs, elapsedMs }: Run, cpuProfile: CpuProfile): string {
  const { median, p99, samples } = summarise(latenciesMs);
  const { busyMs, idleMs, functions, areas } = selfTimes(cpuProfile);
  const line = ({ name, selfMs }: SelfTime) => {
    const share = `${((selfMs / busyMs) * 100).toFixed(1)} %`;
    const each = (selfMs / samples).toFixed(3);
    return `${share.padStart(7)}  ${each.padStart(8)} ms each  ${name}`;
  };
  return [
    `${title}: ${samples} requests in ${Math.round(elapsedMs)} ms, median ${median.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms; busy for ${Math.round(busyMs)} ms, waiting for ${Math.round(idleMs)} ms`,
    ...areas.map(line),
    '',
    ...functions.slice(0, FUNCTIONS_SHOWN).map(line),
    '',
  ].join('\n');
}
