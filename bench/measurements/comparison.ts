/** What every subject does side by side: bulks and single transfers, by turns. */

import {
  BULK_ACCOUNT,
  bulkOrderWithBookTransfers,
  HOT,
  IN_FLIGHT,
  MANY,
  TEN_THOUSAND,
  THOUSAND,
} from '../harness/bulk-requests.ts';
import { type Loop, ratePerS } from '../harness/load-loop.ts';
import { percentile, summarise } from '../harness/statistics.ts';
import type { Subject, Work } from '../subjects/subject.ts';
import { isMoreBetter, MEASURES, type MeasureId, type UnrelatedFigure } from './measures.ts';
import type { Plan } from './plan.ts';

const REQUESTS_MAX = 1_000_000;

interface Contest {
  readonly measure: MeasureId;
  /** Whether our server alone takes part: peers and floor have no such thing, or it would say nothing. */
  readonly isOurs: boolean;
  readonly work: Omit<Work, 'loop'>;
  readonly inFlight: number;
}

const bulk = (measure: MeasureId, isOurs: boolean, work: Omit<Work, 'loop'>): Contest => ({
  measure,
  isOurs,
  work,
  inFlight: 1,
});

const CONTESTS: readonly Contest[] = [
  bulk('bulk-1000', false, { orders: THOUSAND }),
  bulk('bulk-1000-answered', true, { orders: THOUSAND, answersTransfers: true }),
  bulk('bulk-1000-keyed', true, { orders: THOUSAND, hasKeys: true }),
  bulk('bulk-1000-book', true, { orders: [bulkOrderWithBookTransfers(BULK_ACCOUNT, 1_000)] }),
  bulk('bulk-10000', false, { orders: TEN_THOUSAND }),
  bulk('bulk-10000-answered', true, { orders: TEN_THOUSAND, answersTransfers: true }),
  { measure: 'hot-account', isOurs: false, work: { orders: HOT }, inFlight: IN_FLIGHT },
  { measure: 'many-accounts', isOurs: false, work: { orders: MANY }, inFlight: IN_FLIGHT },
];

/** What one subject did in one contest. */
interface Tally {
  readonly latenciesMs: number[];
  /** One a round. */
  readonly ratesPerS: number[];
}

/** Hears what is under way. */
export type OnProgress = (what: string) => void;

/** Runs every contest in every round, and then each subject at half of its top rate. */
export async function runContests(
  subjects: readonly Subject[],
  plan: Plan,
  onProgress: OnProgress,
): Promise<UnrelatedFigure[]> {
  for (const subject of subjects) {
    onProgress(`warming up ${subject.id}`);
    await warmUp(subject, { orders: THOUSAND }, { inFlight: 1, durationMs: plan.burnInMs });
  }
  const tallies = new Map<string, Tally>();
  for (let round = 1; round <= plan.rounds; round += 1) {
    for (const contest of CONTESTS) {
      onProgress(`round ${round} of ${plan.rounds}: ${MEASURES[contest.measure].title}`);
      for (const subject of participants(contest, subjects)) {
        if (round === 1) await warmUpFor(contest, subject, plan);
        await runRound(contest, subject, plan, tallies);
      }
    }
  }
  const figures = CONTESTS.flatMap((contest) =>
    participants(contest, subjects).map((subject) =>
      figureOf(contest, subject, tallyOf(tallies, contest, subject)),
    ),
  );
  return [...figures, ...(await runAtHalfRate(subjects, figures, plan, onProgress))];
}

function participants({ isOurs }: Contest, subjects: readonly Subject[]): readonly Subject[] {
  return isOurs ? subjects.filter(({ id }) => id.startsWith('virement')) : subjects;
}

function tallyOf(tallies: Map<string, Tally>, { measure }: Contest, { id }: Subject): Tally {
  const key = `${measure} ${id}`;
  const tally = tallies.get(key) ?? { latenciesMs: [], ratesPerS: [] };
  tallies.set(key, tally);
  return tally;
}

/** For a bulk, that of all bulks may be enough. */
async function warmUpFor({ work, inFlight }: Contest, subject: Subject, plan: Plan): Promise<void> {
  const durationMs = inFlight === 1 ? plan.warmUpBulksMs : plan.warmUpTransfersMs;
  if (durationMs > 0) await warmUp(subject, work, { inFlight, durationMs });
}

async function warmUp(
  subject: Subject,
  work: Omit<Work, 'loop'>,
  loop: Pick<Loop, 'inFlight' | 'durationMs'>,
): Promise<void> {
  await subject.perform({ ...work, loop: { ...loop, countMax: REQUESTS_MAX } });
  await subject.settle();
}

async function runRound(
  contest: Contest,
  subject: Subject,
  plan: Plan,
  tallies: Map<string, Tally>,
): Promise<void> {
  const { work, inFlight } = contest;
  const durationMs = inFlight === 1 ? plan.bulksMs : plan.transfersMs;
  const loop = { inFlight, durationMs, countMax: REQUESTS_MAX };
  const run = await subject.perform({ ...work, loop });
  await subject.settle();
  const tally = tallyOf(tallies, contest, subject);
  tally.latenciesMs.push(...run.latenciesMs);
  tally.ratesPerS.push(ratePerS(run));
}

function figureOf({ measure }: Contest, { id }: Subject, tally: Tally): UnrelatedFigure {
  const latency = summarise(tally.latenciesMs);
  const median = isMoreBetter(measure) ? percentile(tally.ratesPerS, 0.5) : latency.median;
  return { measure, subject: id, ...latency, median };
}

/** Each at half of its own top rate, by turns as well. */
async function runAtHalfRate(
  subjects: readonly Subject[],
  figures: readonly UnrelatedFigure[],
  plan: Plan,
  onProgress: OnProgress,
): Promise<UnrelatedFigure[]> {
  const runners = subjects.map((subject) => {
    const top = figures.find((one) => one.measure === 'hot-account' && one.subject === subject.id);
    if (!top) throw new Error(`${subject.id} has no top rate`);
    return { subject, ratePerS: top.median / 2, latenciesMs: [] as number[] };
  });
  for (let round = 1; round <= plan.rounds; round += 1) {
    onProgress(`round ${round} of ${plan.rounds}: ${MEASURES['half-rate'].title}`);
    for (const { subject, ratePerS, latenciesMs } of runners) {
      const loop = { inFlight: IN_FLIGHT, durationMs: plan.halfRateMs, countMax: REQUESTS_MAX };
      const run = await subject.perform({ orders: HOT, loop: { ...loop, ratePerS } });
      await subject.settle();
      latenciesMs.push(...run.latenciesMs);
    }
  }
  return runners.map(({ subject, latenciesMs }) => ({
    measure: 'half-rate',
    subject: subject.id,
    ...summarise(latenciesMs),
  }));
}
