/** What Virement holds itself to; a bench says of each whether it is reached, and a test suite never does. */
import {
  type Figure,
  findFigure,
  isMoreBetter,
  MEASURES,
  type MeasureId,
} from '../measurements/measures.ts';
import { SUBJECT_TITLES, type SubjectId } from '../subjects/subject.ts';

type Ours = Extract<SubjectId, 'virement-mariadb' | 'virement-sqlite'>;

interface Goal {
  readonly measure: MeasureId;
  readonly of: 'ratio' | 'median';
  readonly atMost?: number;
  readonly atLeast?: number;
}

/** On both databases. */
const GOALS: readonly Goal[] = [
  { measure: 'bulk-1000', of: 'ratio', atMost: 2 },
  { measure: 'bulk-10000', of: 'ratio', atMost: 2 },
  { measure: 'hot-account', of: 'ratio', atLeast: 2 },
  { measure: 'many-accounts', of: 'ratio', atLeast: 1 },
  { measure: 'half-rate', of: 'ratio', atMost: 10 },
  { measure: 'bulk-1000-book', of: 'ratio', atMost: 1.3 },
  { measure: 'page-long', of: 'ratio', atMost: 1.2 },
  { measure: 'page-statements', of: 'median', atMost: 3 },
  { measure: 'memory', of: 'median', atMost: 400 },
  { measure: 'start', of: 'median', atMost: 1_500 },
];

const OURS: readonly Ours[] = ['virement-mariadb', 'virement-sqlite'];

/** What SQLite is to do at least as fast as MariaDB. */
const EMBEDDED_AT_LEAST_AS_FAST: readonly MeasureId[] = [
  'bulk-1000',
  'bulk-10000',
  'hot-account',
  'many-accounts',
];

export interface Outcome {
  readonly goal: string;
  /** As it is shown. */
  readonly wanted: string;
  readonly measured: string;
  readonly isReached: boolean;
}

export function judgeGoals(figures: readonly Figure[]): Outcome[] {
  const own = OURS.flatMap((subject) =>
    GOALS.flatMap((goal) => judgeGoal(goal, subject, figures) ?? []),
  );
  const embedded = EMBEDDED_AT_LEAST_AS_FAST.flatMap(
    (measure) => judgeEmbedded(measure, figures) ?? [],
  );
  return [...own, ...embedded];
}

function judgeGoal(goal: Goal, subject: Ours, figures: readonly Figure[]): Outcome | undefined {
  const { measure, of, atMost = Infinity, atLeast = -Infinity } = goal;
  const value = findFigure(figures, measure, subject)?.[of];
  if (value === undefined) return undefined;
  const { title, unit, ratioTo } = MEASURES[measure];
  const show = (number: number) =>
    of === 'ratio'
      ? `${number.toFixed(2)} × ${nameOfRatio(ratioTo)}`
      : `${Math.round(number)} ${unit}`;
  return {
    goal: `${title}, ${databaseOf(subject)}`,
    wanted: goal.atMost === undefined ? `≥ ${show(atLeast)}` : `≤ ${show(atMost)}`,
    measured: show(value),
    isReached: value <= atMost && value >= atLeast,
  };
}

function nameOfRatio(ratioTo: MeasureId | 'floor' | 'median' | undefined): string {
  if (ratioTo === undefined || ratioTo === 'floor') return 'the floor';
  return ratioTo === 'median' ? 'the median, at p99' : `“${MEASURES[ratioTo].title}”`;
}

function databaseOf(subject: Ours): string {
  return subject === 'virement-mariadb' ? 'MariaDB' : 'SQLite';
}

function judgeEmbedded(measure: MeasureId, figures: readonly Figure[]): Outcome | undefined {
  const embedded = findFigure(figures, measure, 'virement-sqlite')?.median;
  const other = findFigure(figures, measure, 'virement-mariadb')?.median;
  if (embedded === undefined || other === undefined) return undefined;
  const speed = isMoreBetter(measure) ? embedded / other : other / embedded;
  return {
    goal: `${MEASURES[measure].title}, SQLite`,
    wanted: 'as fast as on MariaDB',
    measured: `${speed.toFixed(2)} × as fast`,
    isReached: speed >= 1,
  };
}

/** At half of its own top rate everyone does another job. */
const isSameJob = ({ measure }: Figure) => measure !== 'half-rate';

/** Where somebody else does the same job faster than we do, in sentences. */
export function lossesToPeers(figures: readonly Figure[]): string[] {
  return OURS.flatMap((ours) =>
    figures
      .filter((figure) => figure.subject === ours && isSameJob(figure))
      .flatMap((own) => lossesIn(own, figures)),
  );
}

function lossesIn(own: Figure, figures: readonly Figure[]): string[] {
  const faster = figures.flatMap((theirs) => {
    const isPeer = theirs.subject !== 'floor' && !theirs.subject.startsWith('virement');
    if (theirs.measure !== own.measure || !isPeer) return [];
    const factor = isMoreBetter(own.measure)
      ? theirs.median / own.median
      : own.median / theirs.median;
    return factor > 1 ? [`${SUBJECT_TITLES[theirs.subject]} (${factor.toFixed(2)} times)`] : [];
  });
  if (faster.length === 0) return [];
  return [
    `${MEASURES[own.measure].title}: faster than ${SUBJECT_TITLES[own.subject]}: ${faster.join(', ')}`,
  ];
}
