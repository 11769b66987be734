/** Draws docs/benchmarks.svg: one panel for each measure, one bar for each subject, for light and dark pages. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DOCS } from '../harness/paths.ts';
import { findFigure, isMoreBetter, MEASURES, type MeasureId } from '../measurements/measures.ts';
import { isVirement, SUBJECT_IDS, SUBJECT_TITLES, type SubjectId } from '../subjects/subject.ts';
import type { BenchResult } from './committed-figures.ts';

const FILE = join(DOCS, 'benchmarks.svg');

const PANELS: readonly MeasureId[] = ['bulk-1000', 'bulk-10000', 'hot-account', 'many-accounts'];
const COLUMNS = 2;

const PANEL = { width: 544, gap: 24, titleHeight: 44 };
const BAR = { height: 18, pitch: 28, left: 276, valueWidth: 84 };
const MARGIN = 24;

const STYLE = `
  svg { color-scheme: light dark; font: 13px system-ui, sans-serif; }
  .page { fill: #ffffff; } text { fill: #24292f; } .note { fill: #57606a; }
  .title { font-weight: 600; font-size: 14px; }
  .virement { fill: #0969da; } .floor { fill: #6e7781; } .peer { fill: #c8a15a; }
  .axis { stroke: #d0d7de; }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117; } text { fill: #e6edf3; } .note { fill: #9198a1; }
    .virement { fill: #4493f8; } .floor { fill: #9198a1; } .peer { fill: #b8893b; }
    .axis { stroke: #3d444d; }
  }`;

export async function writeChart(result: BenchResult): Promise<void> {
  await writeFile(FILE, chart(result));
}

function chart(result: BenchResult): string {
  const subjects = SUBJECT_IDS.filter((id) =>
    PANELS.some((measure) => findFigure(result.figures, measure, id)),
  );
  const panelHeight = PANEL.titleHeight + subjects.length * BAR.pitch;
  const rows = Math.ceil(PANELS.length / COLUMNS);
  const width = 2 * MARGIN + COLUMNS * PANEL.width + (COLUMNS - 1) * PANEL.gap;
  const height = 2 * MARGIN + rows * panelHeight + (rows - 1) * PANEL.gap;
  const panels = PANELS.map((measure, at) => {
    const x = MARGIN + (at % COLUMNS) * (PANEL.width + PANEL.gap);
    const y = MARGIN + Math.floor(at / COLUMNS) * (panelHeight + PANEL.gap);
    return `<g transform="translate(${x} ${y})">${panel(result, measure, subjects)}</g>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="Bulk transfers: Virement, the floor and peers">
<style>${STYLE}
</style>
<rect class="page" width="${width}" height="${height}" rx="8"/>
${panels.join('\n')}
</svg>
`;
}

function panel(
  { figures }: BenchResult,
  measure: MeasureId,
  subjects: readonly SubjectId[],
): string {
  const { title, unit } = MEASURES[measure];
  const medians = subjects.map((id) => findFigure(figures, measure, id)?.median ?? 0);
  const most = Math.max(...medians, Number.MIN_VALUE);
  const better = isMoreBetter(measure) ? 'more is better' : 'less is better';
  const bars = subjects.map((id, at) => {
    const value = medians[at] ?? 0;
    return `<g transform="translate(0 ${PANEL.titleHeight + at * BAR.pitch})">${bar(id, value, value / most)}</g>`;
  });
  const bottom = PANEL.titleHeight + subjects.length * BAR.pitch - (BAR.pitch - BAR.height) / 2;
  return [
    `<text class="title" y="14">${title}</text>`,
    `<text class="note" y="32">${unit}, ${better}</text>`,
    `<line class="axis" x1="${BAR.left}" x2="${BAR.left}" y1="${PANEL.titleHeight - 5}" y2="${bottom}"/>`,
    ...bars,
  ].join('\n');
}

function bar(id: SubjectId, value: number, share: number): string {
  const room = PANEL.width - BAR.left - BAR.valueWidth;
  const length = Math.max(share * room, 1);
  const middle = BAR.height / 2;
  return [
    `<text x="${BAR.left - 8}" y="${middle}" text-anchor="end" dominant-baseline="central">${SUBJECT_TITLES[id]}</text>`,
    `<rect class="${kindOf(id)}" x="${BAR.left}" width="${length.toFixed(1)}" height="${BAR.height}" rx="2"/>`,
    `<text x="${BAR.left + length + 6}" y="${middle}" dominant-baseline="central">${label(value)}</text>`,
  ].join('');
}

function kindOf(id: SubjectId): 'virement' | 'floor' | 'peer' {
  if (id.startsWith('floor')) return 'floor';
  return isVirement(id) ? 'virement' : 'peer';
}

function label(value: number): string {
  return value < 100 ? value.toFixed(1) : Math.round(value).toLocaleString('en');
}
