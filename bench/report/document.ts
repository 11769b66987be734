/** Writes the part of docs/benchmarks.md between two marks. The rest is written by hand. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { machineLine } from '../harness/machine.ts';
import { DOCS } from '../harness/paths.ts';
import {
  type Figure,
  findFigure,
  MEASURE_IDS,
  MEASURES,
  type Measure,
  type MeasureId,
} from '../measurements/measures.ts';
import { SUBJECT_IDS, SUBJECT_TITLES, VIREMENT_IDS } from '../subjects/subject.ts';
import type { BenchResult } from './committed-figures.ts';
import { checkGoals, fasterPeers } from './goals.ts';

const DOCUMENT = join(DOCS, 'benchmarks.md');
const BEGIN = '<!-- npm run bench writes from here -->';
const END = '<!-- to here -->';

/** @throws Error if the document lacks its marks */
export async function writeReport(result: BenchResult): Promise<void> {
  const document = await readFile(DOCUMENT, 'utf8');
  const [before, rest] = document.split(BEGIN);
  const after = rest?.split(END)[1];
  if (after === undefined) throw new Error(`${DOCUMENT} lacks ${BEGIN} or ${END}`);
  await writeFile(DOCUMENT, `${before}${BEGIN}\n\n${report(result)}\n\n${END}${after}`);
}

export function report(result: BenchResult): string {
  return [
    introduction(result),
    '![The figures of the first table as bars](benchmarks.svg)',
    comparison(result),
    ownFigures(result),
    memory(result),
    goals(result),
    missedGoalsAndFasterPeers(result),
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

function introduction({ date, form, machine, floors, skipped }: BenchResult): string {
  const head = form === 'quick' ? `${date}, the quick form` : date;
  const tunings = SUBJECT_IDS.flatMap((id) => {
    const floor = floors[id];
    if (!floor) return [];
    const { form, hotConnections, manyConnections } = floor;
    return `${SUBJECT_TITLES[id]} was fastest with \`${form}\`, ${connections(hotConnections)} for the hot account and ${connections(manyConnections)} for many.`;
  });
  const absent = Object.entries(skipped).map(([id, why]) => `**${id} was not measured: ${why}**`);
  return [`${head}: ${machineLine(machine)}.`, ...tunings.map(capitalised), ...absent].join(' ');
}

const capitalised = (sentence: string) => sentence.charAt(0).toUpperCase() + sentence.slice(1);

const connections = (count: number) => `${count} ${count === 1 ? 'connection' : 'connections'}`;

/** Returns the table of the measures that every subject has. */
function comparison({ figures }: BenchResult): string {
  const measures = MEASURE_IDS.filter((id) => findFigure(figures, id, 'floor'));
  const subjects = SUBJECT_IDS.filter((id) => figures.some(({ subject }) => subject === id));
  return table(
    ['median (p99), ratio', ...subjects.map((id) => SUBJECT_TITLES[id])],
    measures.map((measure) => [
      titleOf(measure),
      ...subjects.map((subject) => cell(findFigure(figures, measure, subject))),
    ]),
  );
}

/** Returns the table of the measures that only Virement has. */
function ownFigures({ figures, historyTransfers }: BenchResult): string {
  const subjects = VIREMENT_IDS;
  const measures = MEASURE_IDS.filter((id) => !findFigure(figures, id, 'floor'));
  const lengths = subjects.map((id) => historyTransfers[id]?.toLocaleString('en') ?? 'none');
  const history = [...new Set(lengths)].join(' and ');
  const rows = measures.map((measure) => [
    titleOf(measure).replace('with many', `with ${history}`),
    ...subjects.map((subject) => cell(findFigure(figures, measure, subject))),
  ]);
  return table(['Virement alone', ...subjects.map((id) => SUBJECT_TITLES[id])], rows);
}

function titleOf(measure: MeasureId): string {
  const { title, unit, ratioTo } = MEASURES[measure];
  return `${title}, ${unit}${ratioNote(ratioTo)}`;
}

/** Names the base of a ratio, unless it is the floor of 2026-11. */
function ratioNote(ratioTo: Measure['ratioTo']): string {
  if (ratioTo === undefined || ratioTo === 'floor-2026-11') return '';
  return ratioTo === 'median' ? '; p99 to median' : `; to ${MEASURES[ratioTo].title}`;
}

function cell(figure: Figure | undefined): string {
  if (!figure) return '–';
  const { measure, subject, median, p99, ratio } = figure;
  const isRate = MEASURES[measure].unit === 'requests/s';
  const tail = p99 === undefined ? '' : ` (${format(p99)}${isRate ? ' ms' : ''})`;
  const isOne =
    ratio === undefined ||
    (subject === 'floor-2026-11' && MEASURES[measure].ratioTo === 'floor-2026-11');
  return `${format(median)}${tail}${isOne ? '' : `, ${ratio.toFixed(2)} ×`}`;
}

function format(value: number): string {
  return value < 100
    ? value.toPrecision(value < 1 ? 2 : 3)
    : Math.round(value).toLocaleString('en');
}

function memory({ memory: uses }: BenchResult): string {
  const sentences = SUBJECT_IDS.flatMap((id) => {
    const use = uses[id];
    if (!use) return [];
    const residentMb = use.residentMb.map((mb) => Math.round(mb)).join(', ');
    return [
      `RSS of ${SUBJECT_TITLES[id]} before the first bulk of 10,000 and after each five: ${residentMb} MB; peak ${Math.round(use.peakMb)} MB.`,
    ];
  });
  return sentences.join(' ');
}

function goals({ figures }: BenchResult): string {
  const rows = checkGoals(figures).map(({ goal, wanted, measured, isReached }) => [
    goal,
    wanted,
    measured,
    isReached ? 'yes' : '**no**',
  ]);
  return `### Goals\n\n${table(['', 'goal', 'measured', 'reached'], rows)}`;
}

function missedGoalsAndFasterPeers({ figures }: BenchResult): string {
  const missed = checkGoals(figures)
    .filter(({ isReached }) => !isReached)
    .map(({ goal, wanted, measured }) => `${goal}: ${measured}, where ${wanted} is the goal`);
  const sentences = [...fasterPeers(figures), ...missed].map((sentence) => `- ${sentence}`);
  const none = 'None: no goal was missed, and no measured peer was faster.';
  return `### Missed goals and faster peers\n\n${sentences.length > 0 ? sentences.join('\n') : none}`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line)].join('\n');
}
