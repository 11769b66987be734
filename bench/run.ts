/**
 * npm run bench [-- --quick] [-- --profile]
 *
 * Measures our server beside a floor and peers that do the same job: see docs/benchmarks.md. It writes
 * that document, its chart and figures.json. --quick leaves the peers out, and prints alone. --profile
 * looks into our server, and writes to bench/output.
 */
import { parseArgs } from 'node:util';
import { atEnd, cleanUp } from './harness/cleanup.ts';
import { mariaDbVersion, postgresVersion } from './harness/databases.ts';
import type { LoadJob } from './harness/load-client.ts';
import type { Run } from './harness/load-loop.ts';
import { describeMachine } from './harness/machine.ts';
import { Worker } from './harness/worker-process.ts';
import { runContests } from './measurements/comparison.ts';
import { withRatios } from './measurements/measures.ts';
import { FULL, type Plan, QUICK } from './measurements/plan.ts';
import { profile } from './measurements/profile.ts';
import { type AloneFigures, measureAlone } from './measurements/virement-alone.ts';
import { writeChart } from './report/chart.ts';
import {
  type BenchResult,
  readCommitted,
  regressions,
  writeCommitted,
} from './report/committed-figures.ts';
import { report, writeReport } from './report/document.ts';
import {
  Floor,
  type LoadClient,
  openPeer,
  VIREMENT_IDS,
  Virement,
} from './subjects/open-subjects.ts';
import { PEER_IDS, type PeerId } from './subjects/peers/peers.ts';
import type { Subject, SubjectId } from './subjects/subject.ts';

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    profile: { type: 'boolean', default: false },
  },
});
const plan = options.quick ? QUICK : FULL;
const startedAt = Date.now();

function say(what: string): void {
  const seconds = Math.round((Date.now() - startedAt) / 1_000);
  console.log(`${String(seconds).padStart(4)} s  ${what}`);
}

/** What must not be overlooked. */
function sayLoudly(what: string): void {
  console.error(`\n*** ${what}\n`);
}

interface Opened {
  readonly floor: Floor;
  readonly virements: readonly Virement[];
  readonly peers: readonly Subject[];
  readonly skipped: BenchResult['skipped'];
}

async function open(client: LoadClient): Promise<Opened> {
  say('opening whoever takes part');
  const skipped: Partial<Record<SubjectId, string>> = {};
  const openOrSkip = async (id: PeerId) => {
    try {
      return [await openPeer(id, client)];
    } catch (error) {
      skipped[id] = String(error).split('\n')[0] ?? '';
      sayLoudly(`SKIPPED: ${id} can't take part: ${error}`);
      return [];
    }
  };
  const [floor, virements, peers] = await Promise.all([
    Floor.open(),
    Promise.all(VIREMENT_IDS.map((id) => Virement.open(id, client))),
    Promise.all((plan.hasPeers ? PEER_IDS : []).map(openOrSkip)),
  ]);
  return { floor, virements, peers: peers.flat(), skipped };
}

async function measure(): Promise<BenchResult> {
  const mariaDb = await mariaDbVersion();
  const postgres = await postgresVersion().catch(() => 'none');
  const client: LoadClient = new Worker<LoadJob, Run>('load-client.ts');
  const { floor, virements, peers, skipped } = await open(client);
  say('looking for the fastest floor');
  await floor.tune(plan.tuningMs);
  const subjects = [floor, ...virements, ...peers];
  const figures = await runContests(subjects, plan, say);
  for (const subject of [floor, ...peers]) {
    say(`recounting the ledger of ${subject.id}`);
    await subject.verify();
    await subject.close();
  }
  const alone: (AloneFigures & { readonly id: SubjectId })[] = [];
  for (const virement of virements) {
    alone.push({ id: virement.id, ...(await measureAlone(virement, plan, say)) });
    say(`recounting the ledger of ${virement.id}`);
    await virement.verify();
    await virement.close();
  }
  return {
    date: new Date().toISOString().slice(0, 10),
    form: plan.form,
    machine: { ...describeMachine(), MariaDB: mariaDb, PostgreSQL: postgres },
    floor: floor.tuning,
    historyTransfers: Object.fromEntries(alone.map((one) => [one.id, one.historyTransfers])),
    figures: withRatios([...figures, ...alone.flatMap((one) => one.figures)]),
    memory: Object.fromEntries(alone.flatMap(({ id, memory }) => (memory ? [[id, memory]] : []))),
    skipped,
  };
}

async function bench(): Promise<void> {
  const committed = await readCommitted();
  const result = await measure();
  console.log(`\n${report(result)}\n`);
  if (plan.form === 'full') {
    await writeCommitted(result);
    await writeReport(result);
    await writeChart(result);
    say('wrote docs/benchmarks.md, docs/benchmarks.svg and bench/figures.json');
  }
  if (!committed) return;
  const worse = regressions(committed, result);
  if (worse.length > 0) {
    sayLoudly(
      `WORSE than the committed figures of ${committed.date}:\n    ${worse.join('\n    ')}`,
    );
  }
}

/** Rejects when the bench has taken too long, or is told to stop. */
function untilGivenUp({ minutesMax }: Plan): Promise<never> {
  return new Promise((_, reject) => {
    const giveUp = () => reject(new Error(`Not done in ${minutesMax} minutes`));
    const timer = setTimeout(giveUp, minutesMax * 60_000);
    atEnd(async () => clearTimeout(timer));
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => reject(new Error(signal)));
    }
  });
}

try {
  await Promise.race([options.profile ? profile(plan, say) : bench(), untilGivenUp(plan)]);
} catch (error) {
  sayLoudly(`FAILED: ${error instanceof Error ? error.stack : error}`);
  process.exitCode = 1;
} finally {
  await cleanUp();
}
process.exit();
