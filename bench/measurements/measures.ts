/** The measures of a run, and the figures that it takes of them. */
import type { SubjectId } from '../subjects/subject.ts';

export const MEASURE_IDS = [
  'bulk-1000',
  'bulk-1000-answered',
  'bulk-1000-keyed',
  'bulk-1000-book',
  'bulk-10000',
  'bulk-10000-answered',
  'hot-account',
  'many-accounts',
  'half-rate',
  'page-short',
  'page-long',
  'page-statements',
  'publish',
  'memory',
  'start',
] as const;

export type MeasureId = (typeof MEASURE_IDS)[number];

export interface Measure {
  readonly title: string;
  readonly unit: 'ms' | 'requests/s' | 'statements' | 'MB';
  /** The base of the ratio: this measure of the floor of 2026-11, another measure of the same subject, or its own median. */
  readonly ratioTo?: 'floor-2026-11' | 'median' | MeasureId;
}

export const MEASURES: Readonly<Record<MeasureId, Measure>> = {
  'bulk-1000': { title: 'bulk of 1,000', unit: 'ms', ratioTo: 'floor-2026-11' },
  'bulk-1000-answered': {
    title: 'bulk of 1,000, answered with 100 transfers',
    unit: 'ms',
    ratioTo: 'bulk-1000',
  },
  'bulk-1000-keyed': {
    title: 'bulk of 1,000, with an idempotency key',
    unit: 'ms',
    ratioTo: 'bulk-1000',
  },
  'bulk-1000-book': {
    title: 'bulk of 1,000, every tenth row a book transfer',
    unit: 'ms',
    ratioTo: 'bulk-1000',
  },
  'bulk-10000': { title: 'bulk of 10,000', unit: 'ms', ratioTo: 'floor-2026-11' },
  'bulk-10000-answered': {
    title: 'bulk of 10,000, answered with 100 transfers',
    unit: 'ms',
    ratioTo: 'bulk-10000',
  },
  'hot-account': {
    title: 'one hot account, 64 in flight',
    unit: 'requests/s',
    ratioTo: 'floor-2026-11',
  },
  'many-accounts': {
    title: '64 accounts, 64 in flight',
    unit: 'requests/s',
    ratioTo: 'floor-2026-11',
  },
  'half-rate': {
    title: 'hot account at half of its top rate',
    unit: 'ms',
    ratioTo: 'median',
  },
  'page-short': { title: 'page of 50, account with 1,000 transfers', unit: 'ms' },
  'page-long': { title: 'page of 50, account with many', unit: 'ms', ratioTo: 'page-short' },
  'page-statements': { title: 'SQL statements for that page', unit: 'statements' },
  publish: { title: 'one transfer, from its commit to the confirms of RabbitMQ', unit: 'ms' },
  memory: { title: 'peak RSS over bulks of 10,000 in a row', unit: 'MB' },
  start: { title: 'start to first answer', unit: 'ms' },
};

/** The result of one subject in one measure. */
export interface Figure {
  readonly measure: MeasureId;
  readonly subject: SubjectId;
  readonly median: number;
  /** 99th percentile of the latency in ms, for every unit. Absent for a measure without latency. */
  readonly p99?: number;
  readonly samples: number;
  /** Ratio to the base that Measure.ratioTo names. */
  readonly ratio?: number;
}

export type FigureWithoutRatio = Omit<Figure, 'ratio'>;

export function isMoreBetter(measure: MeasureId): boolean {
  return MEASURES[measure].unit === 'requests/s';
}

export function findFigure<Found extends FigureWithoutRatio>(
  figures: readonly Found[],
  measure: MeasureId,
  subject: SubjectId,
): Found | undefined {
  return figures.find((figure) => figure.measure === measure && figure.subject === subject);
}

/** Adds the ratio to each figure whose base was measured. */
export function withRatios(figures: readonly FigureWithoutRatio[]): Figure[] {
  return figures.map((figure) => {
    const ratio = ratioOf(figure, figures);
    return ratio === undefined ? figure : { ...figure, ratio };
  });
}

function ratioOf(
  { measure, subject, median, p99 }: FigureWithoutRatio,
  figures: readonly FigureWithoutRatio[],
): number | undefined {
  const { ratioTo } = MEASURES[measure];
  if (ratioTo === undefined) return undefined;
  if (ratioTo === 'median') return p99 === undefined ? undefined : p99 / median;
  const base =
    ratioTo === 'floor-2026-11'
      ? findFigure(figures, measure, 'floor-2026-11')
      : findFigure(figures, ratioTo, subject);
  return base && median / base.median;
}
