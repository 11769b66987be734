/**
 * npm run bench [-- --quick] [-- --profile] [-- --floor-only]
 *
 * Compares the server with the floor and with peers that do the same job: see docs/benchmarks.md. A full
 * run writes that document, its chart and figures.json. --quick leaves the peers out and only prints. --floor-only
 * compares this server with the floors on the database of BENCH_MYSQL_URL, and only prints: for another version of it.
 * --profile profiles the server, and writes to bench/output.
 */
import { parseArgs } from 'node:util';
import { mariaDbVersion, postgresVersion } from './harness/databases.ts';
import { type LoadClient, startLoadClient } from './harness/load-client.ts';
import { describeMachine, machineLine } from './harness/machine.ts';
import { logProgress, runProgram, warn } from './harness/program.ts';
import { compareSubjects } from './measurements/comparison.ts';
import { MEASURES, withRatios } from './measurements/measures.ts';
import { FULL, QUICK } from './measurements/plan.ts';
import { profileWorkloads } from './measurements/profile.ts';
import { type AloneFigures, measureAlone } from './measurements/virement-alone.ts';
import { writeChart } from './report/chart.ts';
import {
  type BenchResult,
  readCommitted,
  regressions,
  writeCommitted,
} from './report/committed-figures.ts';
import { report, writeReport } from './report/document.ts';
import { FLOOR_IDS, Floor } from './subjects/floor/floor.ts';
import { openPeer, PEER_IDS, type PeerId } from './subjects/peers/peers.ts';
import { type Subject, type SubjectId, VIREMENT_IDS } from './subjects/subject.ts';
import { Virement } from './subjects/virement/virement.ts';

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    profile: { type: 'boolean', default: false },
    'floor-only': { type: 'boolean', default: false },
  },
});
const plan = options.quick ? QUICK : FULL;

interface Subjects {
  readonly floors: readonly Floor[];
  readonly virements: readonly Virement[];
  readonly peers: readonly Subject[];
  readonly skipped: BenchResult['skipped'];
}

/** Opens every subject. A peer that can't be opened is skipped with a warning. */
async function openSubjects(client: LoadClient): Promise<Subjects> {
  logProgress('opening the subjects');
  const skipped: Partial<Record<SubjectId, string>> = {};
  const openOrSkip = async (id: PeerId) => {
    try {
      return [await openPeer(id, client)];
    } catch (error) {
      skipped[id] = String(error).split('\n')[0] ?? '';
      warn(`SKIPPED: ${id} can't be measured: ${error}`);
      return [];
    }
  };
  const [floors, virements, peers] = await Promise.all([
    Promise.all(FLOOR_IDS.map((id) => Floor.open(id))),
    Promise.all(VIREMENT_IDS.map((id) => Virement.open(id, client))),
    Promise.all((plan.hasPeers ? PEER_IDS : []).map(openOrSkip)),
  ]);
  return { floors, virements, peers: peers.flat(), skipped };
}

async function verifyAndClose(subject: Subject): Promise<void> {
  logProgress(`recounting the ledger of ${subject.id}`);
  await subject.verify();
  await subject.close();
}

async function measure(): Promise<BenchResult> {
  const mariaDb = await mariaDbVersion();
  const postgres = await postgresVersion().catch(() => 'none');
  const { floors, virements, peers, skipped } = await openSubjects(startLoadClient());
  logProgress('tuning the floors');
  for (const floor of floors) await floor.tune(plan.tuningMs);
  const figures = await compareSubjects([...floors, ...virements, ...peers], plan, logProgress);
  for (const subject of [...floors, ...peers]) await verifyAndClose(subject);
  const alone: (AloneFigures & { readonly id: SubjectId })[] = [];
  for (const virement of virements) {
    alone.push({ id: virement.id, ...(await measureAlone(virement, plan, logProgress)) });
    await verifyAndClose(virement);
  }
  return {
    date: new Date().toISOString().slice(0, 10),
    form: plan.form,
    machine: { ...describeMachine(), MariaDB: mariaDb, PostgreSQL: postgres },
    floors: Object.fromEntries(floors.map(({ id, tuning }) => [id, tuning])),
    historyTransfers: Object.fromEntries(alone.map((one) => [one.id, one.historyTransfers])),
    figures: withRatios([...figures, ...alone.flatMap((one) => one.figures)]),
    memory: Object.fromEntries(alone.flatMap(({ id, memory }) => (memory ? [[id, memory]] : []))),
    skipped,
  };
}

/** Compares the server with the floors on the database of BENCH_MYSQL_URL, and prints its medians and ratios. */
async function compareWithFloors(): Promise<void> {
  console.log(`${await mariaDbVersion()}; ${machineLine(describeMachine())}`);
  const floors = await Promise.all(FLOOR_IDS.map((id) => Floor.open(id)));
  const virement = await Virement.open('virement-mariadb', startLoadClient());
  for (const floor of floors) await floor.tune(plan.tuningMs);
  const figures = await compareSubjects([...floors, virement], plan, logProgress);
  for (const { measure, subject, median, ratio } of withRatios(figures)) {
    if (subject !== virement.id) continue;
    const { title, unit, ratioTo } = MEASURES[measure];
    const ratioText = ratio === undefined ? '' : `, ratio to ${ratioTo}: ${ratio.toFixed(2)}`;
    console.log(`${title}: ${median.toFixed(1)} ${unit}${ratioText}`);
  }
  for (const subject of [...floors, virement]) await verifyAndClose(subject);
}

async function bench(): Promise<void> {
  const committed = await readCommitted();
  const result = await measure();
  console.log(`\n${report(result)}\n`);
  if (plan.form === 'full') {
    await writeCommitted(result);
    await writeReport(result);
    await writeChart(result);
    logProgress('docs/benchmarks.md, docs/benchmarks.svg and bench/figures.json written');
  }
  if (!committed) return;
  const worse = regressions(committed, result);
  if (worse.length > 0) {
    warn(`WORSE than the committed figures of ${committed.date}:\n    ${worse.join('\n    ')}`);
  }
}

await runProgram(plan.minutesMax, () =>
  options.profile
    ? profileWorkloads(plan, logProgress)
    : options['floor-only']
      ? compareWithFloors()
      : bench(),
);
