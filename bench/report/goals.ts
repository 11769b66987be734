/** The goals of Virement. The report of a run says which of them are reached; no test depends on them. */
import {
  type Figure,
  findFigure,
  isMoreBetter,
  MEASURES,
  type MeasureId,
} from '../measurements/measures.ts';
import { isVirement, SUBJECT_TITLES, VIREMENT_IDS, type VirementId } from '../subjects/subject.ts';

interface Goal {
  /** The database of the goal. Absent for a goal on both. */
  readonly subject?: VirementId;
  readonly measure: MeasureId;
  readonly of: 'ratio' | 'median';
  readonly atMost?: number;
  readonly atLeast?: number;
}

const GOALS: readonly Goal[] = [
  { measure: 'bulk-1000', of: 'ratio', atMost: 0.8 },
  { subject: 'virement-mariadb', measure: 'bulk-10000', of: 'ratio', atMost: 0.55 },
  { subject: 'virement-sqlite', measure: 'bulk-10000', of: 'ratio', atMost: 0.5 },
  { measure: 'hot-account', of: 'ratio', atLeast: 4 },
  { measure: 'many-accounts', of: 'ratio', atLeast: 1.6 },
  { measure: 'half-rate', of: 'ratio', atMost: 4 },
  { measure: 'bulk-1000-book', of: 'ratio', atMost: 1.3 },
  { measure: 'page-long', of: 'ratio', atMost: 1.2 },
  { measure: 'page-statements', of: 'median', atMost: 3 },
  { measure: 'memory', of: 'median', atMost: 250 },
  { measure: 'start', of: 'median', atMost: 600 },
];

/** The measures in which SQLite should be at least as fast as MariaDB. */
const SQLITE_AS_FAST_AS_MARIADB: readonly MeasureId[] = [
  'bulk-1000',
  'bulk-10000',
  'hot-account',
  'many-accounts',
];

/** The measures in which Virement should be faster than PostGraphile in the same run, by the factor below. */
const FASTER_THAN_POSTGRAPHILE: readonly MeasureId[] = ['bulk-1000', 'bulk-10000'];
const POSTGRAPHILE_FACTOR = 1.4;

export interface Outcome {
  readonly goal: string;
  /** The goal as text. */
  readonly wanted: string;
  readonly measured: string;
  readonly isReached: boolean;
}

export function checkGoals(figures: readonly Figure[]): Outcome[] {
  const own = VIREMENT_IDS.flatMap((subject) =>
    GOALS.filter((goal) => (goal.subject ?? subject) === subject).flatMap(
      (goal) => checkGoal(goal, subject, figures) ?? [],
    ),
  );
  const postGraphile = VIREMENT_IDS.flatMap((subject) =>
    FASTER_THAN_POSTGRAPHILE.flatMap(
      (measure) => checkPostGraphile(measure, subject, figures) ?? [],
    ),
  );
  const sqlite = SQLITE_AS_FAST_AS_MARIADB.flatMap(
    (measure) => checkSqlite(measure, figures) ?? [],
  );
  return [...own, ...sqlite, ...postGraphile];
}

function checkGoal(
  goal: Goal,
  subject: VirementId,
  figures: readonly Figure[],
): Outcome | undefined {
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

function nameOfRatio(ratioTo: MeasureId | 'floor-2026-11' | 'median' | undefined): string {
  if (ratioTo === undefined || ratioTo === 'floor-2026-11') return 'the floor of 2026-11';
  return ratioTo === 'median' ? 'the median, at p99' : `“${MEASURES[ratioTo].title}”`;
}

function databaseOf(subject: VirementId): string {
  return subject === 'virement-mariadb' ? 'MariaDB' : 'SQLite';
}

function checkSqlite(measure: MeasureId, figures: readonly Figure[]): Outcome | undefined {
  const sqlite = findFigure(figures, measure, 'virement-sqlite')?.median;
  const mariaDb = findFigure(figures, measure, 'virement-mariadb')?.median;
  if (sqlite === undefined || mariaDb === undefined) return undefined;
  const speed = isMoreBetter(measure) ? sqlite / mariaDb : mariaDb / sqlite;
  return {
    goal: `${MEASURES[measure].title}, SQLite`,
    wanted: 'as fast as on MariaDB',
    measured: `${speed.toFixed(2)} × as fast`,
    isReached: speed >= 1,
  };
}

function checkPostGraphile(
  measure: MeasureId,
  subject: VirementId,
  figures: readonly Figure[],
): Outcome | undefined {
  const own = findFigure(figures, measure, subject)?.median;
  const theirs = findFigure(figures, measure, 'postgraphile')?.median;
  if (own === undefined || theirs === undefined) return undefined;
  const speed = theirs / own;
  return {
    goal: `${MEASURES[measure].title}, ${databaseOf(subject)}`,
    wanted: `≥ ${POSTGRAPHILE_FACTOR} × as fast as PostGraphile`,
    measured: `${speed.toFixed(2)} × as fast`,
    isReached: speed >= POSTGRAPHILE_FACTOR,
  };
}

/** At half of its own top rate each subject does a different job. */
const isSameJob = ({ measure }: Figure) => measure !== 'half-rate';

/** Returns a sentence for each measure in which a peer is faster than Virement. */
export function fasterPeers(figures: readonly Figure[]): string[] {
  return VIREMENT_IDS.flatMap((virement) =>
    figures
      .filter((figure) => figure.subject === virement && isSameJob(figure))
      .flatMap((own) => fasterPeersOf(own, figures)),
  );
}

function fasterPeersOf(own: Figure, figures: readonly Figure[]): string[] {
  const faster = figures.flatMap((theirs) => {
    const isPeer = !theirs.subject.startsWith('floor') && !isVirement(theirs.subject);
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
