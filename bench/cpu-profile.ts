/** Reads V8's .cpuprofile: https://chromedevtools.github.io/devtools-protocol/tot/Profiler/#type-Profile */

interface ProfileNode {
  readonly id: number;
  readonly callFrame: {
    readonly functionName: string;
    readonly url: string;
    readonly lineNumber: number;
  };
  readonly children?: readonly number[];
}

export interface CpuProfile {
  /** Microseconds of the monotonic clock, which is that of process.hrtime too. */
  readonly startTime: number;
  readonly nodes: readonly ProfileNode[];
  /** The node that was running, for each sample. */
  readonly samples: readonly number[];
  /** Microseconds before each sample. */
  readonly timeDeltas: readonly number[];
}

export interface SelfTimes {
  /** Without what V8 calls idle: waiting for the network, or for work. */
  readonly busyMs: number;
  /** Most first. */
  readonly functions: readonly { readonly name: string; readonly selfMs: number }[];
}

const IDLE = '(idle)';

/** What is in a profile between two moments. @param fromUs microseconds of process.hrtime, as toUs */
export function cutProfile(profile: CpuProfile, fromUs: number, toUs: number): CpuProfile {
  let at = profile.startTime;
  const kept = profile.samples.flatMap((sample, index) => {
    const delta = profile.timeDeltas[index] ?? 0;
    at += delta;
    return at >= fromUs && at <= toUs ? [{ sample, delta }] : [];
  });
  return {
    ...profile,
    samples: kept.map(({ sample }) => sample),
    timeDeltas: kept.map(({ delta }) => delta),
  };
}

/** Time in each node itself, in ms. */
function selfMsByNode({ samples, timeDeltas }: CpuProfile): ReadonlyMap<number, number> {
  const selfMs = new Map<number, number>();
  for (const [at, id] of samples.entries()) {
    selfMs.set(id, (selfMs.get(id) ?? 0) + (timeDeltas[at] ?? 0) / 1_000);
  }
  return selfMs;
}

/** A function as people look for it: name, package or file, line. */
function nameOf({ callFrame: { functionName, url, lineNumber } }: ProfileNode): string {
  const file = url.replace(/^.*\/node_modules\//, '').replace(/^file:\/\/.*\/dist\//, 'dist/');
  const name = functionName || '(anonymous)';
  return url === '' ? name : `${name}  ${file}:${lineNumber + 1}`;
}

/** The functions by the time that they took themselves, whoever called them. */
export function selfTimes(profile: CpuProfile): SelfTimes {
  const selfMs = selfMsByNode(profile);
  const byName = new Map<string, number>();
  let busyMs = 0;
  for (const node of profile.nodes) {
    if (node.callFrame.functionName === IDLE) continue;
    const ms = selfMs.get(node.id) ?? 0;
    busyMs += ms;
    byName.set(nameOf(node), (byName.get(nameOf(node)) ?? 0) + ms);
  }
  const functions = [...byName]
    .map(([name, ms]) => ({ name, selfMs: ms }))
    .sort((one, other) => other.selfMs - one.selfMs);
  return { busyMs, functions };
}

/** Calls with one path of names, together. */
interface Frame {
  readonly name: string;
  totalMs: number;
  readonly callees: Map<string, Frame>;
}

const WIDTH = 1_600;
const ROW = 17;
const NARROWEST = 0.5;
const CHARACTER_WIDTH = 6.6;

/** A flame graph as SVG: width is time, what is above was called by what is below; hover for the name. */
export function flameGraph(profile: CpuProfile): string {
  const root = mergeCalls(profile);
  const scale = WIDTH / root.totalMs;
  const rectangles: string[] = [];
  let deepest = 0;
  const draw = (frame: Frame, left: number, depth: number) => {
    const width = frame.totalMs * scale;
    if (width < NARROWEST) return;
    deepest = Math.max(deepest, depth);
    rectangles.push(rectangle(frame, left, depth, width));
    let at = left;
    for (const callee of frame.callees.values()) {
      draw(callee, at, depth + 1);
      at += callee.totalMs * scale;
    }
  };
  draw(root, 0, 0);
  const height = (deepest + 1) * ROW;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 ${-height} ${WIDTH} ${height}" font-family="monospace" font-size="11">
${rectangles.join('\n')}
</svg>
`;
}

/** The tree of calls without the idle time, functions of one name under one caller taken together. */
function mergeCalls(profile: CpuProfile): Frame {
  const selfMs = selfMsByNode(profile);
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const add = (node: ProfileNode, parent: Frame): number => {
    if (node.callFrame.functionName === IDLE) return 0;
    const name = nameOf(node);
    const frame = parent.callees.get(name) ?? { name, totalMs: 0, callees: new Map() };
    parent.callees.set(name, frame);
    let totalMs = selfMs.get(node.id) ?? 0;
    for (const id of node.children ?? []) {
      const callee = nodes.get(id);
      if (callee) totalMs += add(callee, frame);
    }
    frame.totalMs += totalMs;
    return totalMs;
  };
  const top: Frame = { name: 'all', totalMs: 0, callees: new Map() };
  const [first] = profile.nodes;
  if (first) top.totalMs = add(first, top);
  return top;
}

function rectangle({ name, totalMs }: Frame, left: number, depth: number, width: number): string {
  const y = -(depth + 1) * ROW;
  const label = escapeXml(name.slice(0, Math.floor(width / CHARACTER_WIDTH)));
  const title = `<title>${escapeXml(name)}: ${totalMs.toFixed(1)} ms</title>`;
  const box = `<rect x="${left.toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="${ROW - 1}" fill="hsl(${hueOf(name)} 75% 68%)"/>`;
  return `<g>${title}${box}<text x="${(left + 2).toFixed(1)}" y="${y + 12}">${label}</text></g>`;
}

/** Warm hues, the same for one name everywhere. */
function hueOf(name: string): number {
  let hash = 0;
  for (const character of name) hash = (hash * 31 + (character.codePointAt(0) ?? 0)) % 60;
  return hash;
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
