/** Measures every subject in the same work: bulks and single transfers, one subject after the other in each round. */
import {
  BULK_ACCOUNT,
  BULK_OF_1000,
  BULK_OF_10000,
  bulkRequestWithBookTransfers,
  HOT_ACCOUNT_BULKS,
  IN_FLIGHT,
  MANY_ACCOUNTS_BULKS,
} from '../harness/bulk-requests.ts';
import { type LoadLoop, ratePerS } from '../harness/load-loop.ts';
import type { OnProgress } from '../harness/program.ts';
import { percentile, summarise } from '../harness/statistics.ts';
import { isVirement, type Subject, type Workload } from '../subjects/subject.ts';
import { type FigureWithoutRatio, isMoreBetter, MEASURES, type MeasureId } from './measures.ts';
import type { Plan } from './plan.ts';

const REQUESTS_MAX = 1_000_000;

type Bulks = Omit<Workload, 'loop'>;

interface Comparison {
  readonly measure: MeasureId;
  /** Whether only Virement is measured, because the others lack the feature or would add nothing. */
  readonly isVirementOnly: boolean;
  readonly bulks: Bulks;
  readonly inFlight: number;
}

const sequential = (measure: MeasureId, isVirementOnly: boolean, bulks: Bulks): Comparison => ({
  measure,
  isVirementOnly,
  bulks,
  inFlight: 1,
});

const concurrent = (measure: MeasureId, bulks: Bulks): Comparison => ({
  measure,
  isVirementOnly: false,
  bulks,
  inFlight: IN_FLIGHT,
});

const BULK_WITH_BOOK_TRANSFERS = [bulkRequestWithBookTransfers(BULK_ACCOUNT, 1_000)];

const COMPARISONS: readonly Comparison[] = [
  sequential('bulk-1000', false, { bulks: BULK_OF_1000 }),
  sequential('bulk-1000-answered', true, { bulks: BULK_OF_1000, returnsTransfers: true }),
  sequential('bulk-1000-keyed', true, { bulks: BULK_OF_1000, hasKeys: true }),
  sequential('bulk-1000-book', true, { bulks: BULK_WITH_BOOK_TRANSFERS }),
  sequential('bulk-10000', false, { bulks: BULK_OF_10000 }),
  sequential('bulk-10000-answered', true, { bulks: BULK_OF_10000, returnsTransfers: true }),
  concurrent('hot-account', { bulks: HOT_ACCOUNT_BULKS }),
  concurrent('many-accounts', { bulks: MANY_ACCOUNTS_BULKS }),
];

/** The results of one subject in one comparison. */
interface Results {
  readonly latenciesMs: number[];
  /** One for each round. */
  readonly ratesPerS: number[];
}

/** Runs every comparison in every round, and then each subject at half of its top rate. */
export async function compareSubjects(
  subjects: readonly Subject[],
  plan: Plan,
  onProgress: OnProgress,
): Promise<FigureWithoutRatio[]> {
  for (const subject of subjects) {
    onProgress(`warm-up of ${subject.id}`);
    await warmUp(subject, { bulks: BULK_OF_1000 }, { inFlight: 1, durationMs: plan.warmUpMs });
  }
  const results = new Map<string, Results>();
  for (let round = 1; round <= plan.rounds; round += 1) {
    for (const comparison of COMPARISONS) {
      onProgress(`round ${round} of ${plan.rounds}: ${MEASURES[comparison.measure].title}`);
      for (const subject of participants(comparison, subjects)) {
        if (round === 1) await warmUpFor(comparison, subject, plan);
        await runRound(comparison, subject, plan, resultsOf(results, comparison, subject));
      }
    }
  }
  const figures = COMPARISONS.flatMap((comparison) =>
    participants(comparison, subjects).map((subject) =>
      figureOf(comparison, subject, resultsOf(results, comparison, subject)),
    ),
  );
  return [...figures, ...(await measureHalfRate(subjects, figures, plan, onProgress))];
}

function participants(
  { isVirementOnly }: Comparison,
  subjects: readonly Subject[],
): readonly Subject[] {
  return isVirementOnly ? subjects.filter(({ id }) => isVirement(id)) : subjects;
}

function resultsOf(all: Map<string, Results>, { measure }: Comparison, { id }: Subject): Results {
  const key = `${measure} ${id}`;
  const results = all.get(key) ?? { latenciesMs: [], ratesPerS: [] };
  all.set(key, results);
  return results;
}

/** Warms up for one comparison. A duration of 0 skips it, because the first warm-up is enough for bulks. */
async function warmUpFor(
  { bulks, inFlight }: Comparison,
  subject: Subject,
  plan: Plan,
): Promise<void> {
  const durationMs = inFlight === 1 ? plan.warmUpBulksMs : plan.warmUpTransfersMs;
  if (durationMs > 0) await warmUp(subject, bulks, { inFlight, durationMs });
}

async function warmUp(
  subject: Subject,
  bulks: Bulks,
  loop: Pick<LoadLoop, 'inFlight' | 'durationMs'>,
): Promise<void> {
  await subject.perform({ ...bulks, loop: { ...loop, countMax: REQUESTS_MAX } });
  await subject.settle();
}

async function runRound(
  { bulks, inFlight }: Comparison,
  subject: Subject,
  plan: Plan,
  results: Results,
): Promise<void> {
  const durationMs = inFlight === 1 ? plan.bulksMs : plan.transfersMs;
  const loop = { inFlight, durationMs, countMax: REQUESTS_MAX };
  const result = await subject.perform({ ...bulks, loop });
  await subject.settle();
  results.latenciesMs.push(...result.latenciesMs);
  results.ratesPerS.push(ratePerS(result));
}

function figureOf(
  { measure }: Comparison,
  { id }: Subject,
  { latenciesMs, ratesPerS }: Results,
): FigureWithoutRatio {
  const latency = summarise(latenciesMs);
  const median = isMoreBetter(measure) ? percentile(ratesPerS, 0.5) : latency.median;
  return { measure, subject: id, ...latency, median };
}

/** Measures each subject at half of its own top rate, one after the other in each round. */
async function measureHalfRate(
  subjects: readonly Subject[],
  figures: readonly FigureWithoutRatio[],
  plan: Plan,
  onProgress: OnProgress,
): Promise<FigureWithoutRatio[]> {
  const runners = subjects.map((subject) => {
    const top = figures.find((one) => one.measure === 'hot-account' && one.subject === subject.id);
    if (!top) throw new Error(`${subject.id} has no top rate`);
    return { subject, ratePerS: top.median / 2, latenciesMs: [] as number[] };
  });
  for (let round = 1; round <= plan.rounds; round += 1) {
    onProgress(`round ${round} of ${plan.rounds}: ${MEASURES['half-rate'].title}`);
    for (const { subject, ratePerS, latenciesMs } of runners) {
      const loop = { inFlight: IN_FLIGHT, durationMs: plan.halfRateMs, countMax: REQUESTS_MAX };
      const result = await subject.perform({
        bulks: HOT_ACCOUNT_BULKS,
        loop: { ...loop, ratePerS },
      });
      await subject.settle();
      latenciesMs.push(...result.latenciesMs);
    }
  }
  return runners.map(({ subject, latenciesMs }) => ({
    measure: 'half-rate',
    subject: subject.id,
    ...summarise(latenciesMs),
  }));
}
