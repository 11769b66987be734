/** The committed figures: what a bench compares itself with. */
import { readFile, writeFile } from 'node:fs/promises';
import { FIGURES_FILE } from '../harness/paths.ts';
import { type Figure, findFigure, isMoreBetter, MEASURES } from '../measurements/measures.ts';
import type { Plan } from '../measurements/plan.ts';
import type { MemoryCourse } from '../measurements/virement-alone.ts';
import type { FloorTuning } from '../subjects/open-subjects.ts';
import type { SubjectId } from '../subjects/subject.ts';

export interface BenchResult {
  /** YYYY-MM-DD */
  readonly date: string;
  readonly form: Plan['form'];
  /** What it ran on and with, by name. */
  readonly machine: Readonly<Record<string, string>>;
  readonly floor: FloorTuning;
  /** Transfers of the account with a long history. */
  readonly historyTransfers: Readonly<Partial<Record<SubjectId, number>>>;
  readonly figures: readonly Figure[];
  readonly memory: Readonly<Partial<Record<SubjectId, MemoryCourse>>>;
  /** Peers that did not take part, and why. */
  readonly skipped: Readonly<Partial<Record<SubjectId, string>>>;
}

/** A ratio may be so much worse than the committed one before it is said. */
const WORSE_BY_MAX = 0.15;

const DIGITS = 4;

/** Undefined where there are none yet. */
export async function readCommitted(): Promise<BenchResult | undefined> {
  try {
    return JSON.parse(await readFile(FIGURES_FILE, 'utf8'));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

export async function writeCommitted(result: BenchResult): Promise<void> {
  const round = (_: string, value: unknown) =>
    typeof value === 'number' ? Number(value.toPrecision(DIGITS)) : value;
  await writeFile(FIGURES_FILE, `${JSON.stringify(result, round, 2)}\n`);
}

/**
 * What of our server got worse, in sentences. Only ratios are compared, which say the same on every
 * machine as far as anything does, and the memory.
 */
export function regressions(committed: BenchResult, { figures }: BenchResult): string[] {
  return figures.flatMap((figure) => {
    if (!figure.subject.startsWith('virement')) return [];
    const before = comparable(findFigure(committed.figures, figure.measure, figure.subject));
    const now = comparable(figure);
    if (before === undefined || now === undefined) return [];
    const worseBy = isMoreBetter(figure.measure) ? before / now - 1 : now / before - 1;
    if (worseBy <= WORSE_BY_MAX) return [];
    const percent = Math.round(worseBy * 100);
    const { title } = MEASURES[figure.measure];
    return [
      `${figure.subject}, ${title}: ${percent} % worse (${now.toPrecision(3)}, was ${before.toPrecision(3)})`,
    ];
  });
}

function comparable(figure: Figure | undefined): number | undefined {
  return figure?.measure === 'memory' ? figure.median : figure?.ratio;
}
