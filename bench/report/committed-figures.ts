/** The committed figures, with which each run is compared. */
import { readFile, writeFile } from 'node:fs/promises';
import { FIGURES_FILE } from '../harness/paths.ts';
import { type Figure, findFigure, isMoreBetter, MEASURES } from '../measurements/measures.ts';
import type { Plan } from '../measurements/plan.ts';
import type { MemoryUse } from '../measurements/virement-alone.ts';
import type { FloorTuning } from '../subjects/floor/floor.ts';
import { isVirement, type SubjectId } from '../subjects/subject.ts';

export interface BenchResult {
  /** YYYY-MM-DD */
  readonly date: string;
  readonly form: Plan['form'];
  /** The machine and the software, by name. */
  readonly machine: Readonly<Record<string, string>>;
  readonly floors: Readonly<Partial<Record<SubjectId, FloorTuning>>>;
  /** Transfers of the account with a long history. */
  readonly historyTransfers: Readonly<Partial<Record<SubjectId, number>>>;
  readonly figures: readonly Figure[];
  readonly memory: Readonly<Partial<Record<SubjectId, MemoryUse>>>;
  /** The reason for each peer that was not measured. */
  readonly skipped: Readonly<Partial<Record<SubjectId, string>>>;
}

/** A ratio that is worse than the committed one by more than this share is reported. */
const WORSE_BY_MAX = 0.15;

const DIGITS = 4;

/** @returns undefined before the first full run */
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
 * Returns a sentence for each figure of Virement that is worse than the committed one. Only ratios and
 * the memory are compared, because other figures depend on the machine.
 */
export function regressions(committed: BenchResult, { figures }: BenchResult): string[] {
  return figures.flatMap((figure) => {
    if (!isVirement(figure.subject)) return [];
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
