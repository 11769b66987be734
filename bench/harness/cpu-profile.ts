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

/** What took time itself, whoever called it. */
export interface SelfTime {
  readonly name: string;
  readonly selfMs: number;
}

export interface SelfTimes {
  /** Without what V8 calls idle: waiting for the network, or for work. */
  readonly busyMs: number;
  readonly idleMs: number;
  /** Most first. */
  readonly functions: readonly SelfTime[];
  /** What they are there for; most first. */
  readonly areas: readonly SelfTime[];
}

const IDLE = '(idle)';

const OTHER_AREA = 'the rest of Node.js';

/** What functions are there for, by what nameOf calls them; the first that fits. */
const AREAS: readonly (readonly [title: string, names: RegExp])[] = [
  ['SQLite', /sqlite-dialect\.js/],
  ['our own code', / dist\//],
  ['HTTP', / (@?fastify|@as-integrations|find-my-way|negotiator|whatwg-mimetype|node:_http)/],
  ['GraphQL', / (graphql|type-graphql|@apollo|dataloader)\//],
  ['MikroORM and Kysely', / (@mikro-orm|kysely)\/| compiled at run time$/],
  ['SQL text and protocol', / (mysql2|sql-escaper|sqlstring|lru\.min)\//],
  ['writing to sockets', /^(writeBuffer|writev|writeUtf8String|writeLatin1String)$/],
  ['garbage collection', /^\(garbage collector\)$/],
];

function areaOf(name: string): string {
  return AREAS.find(([, names]) => names.test(name))?.[0] ?? OTHER_AREA;
}

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

/** Where a function is that was made from text: only MikroORM makes some. */
const COMPILED = 'compiled at run time';

/** A function as people look for it: name, package or file, line. */
function nameOf({ callFrame: { functionName, url, lineNumber } }: ProfileNode): string {
  const file = url.replace(/^.*\/node_modules\//, '').replace(/^file:\/\/.*\/dist\//, 'dist/');
  const name = functionName || '(anonymous)';
  if (url !== '') return `${name}  ${file}:${lineNumber + 1}`;
  return lineNumber < 0 ? name : `${name}  ${COMPILED}`;
}

/** Functions, and what they are there for, by the time that they took themselves. */
export function selfTimes(profile: CpuProfile): SelfTimes {
  const selfMs = selfMsByNode(profile);
  const times = profile.nodes.map((node) => ({
    name: nameOf(node),
    selfMs: selfMs.get(node.id) ?? 0,
  }));
  const busy = times.filter(({ name }) => name !== IDLE);
  const total = sumOf(times);
  const busyMs = sumOf(busy);
  const functions = mostFirst(busy);
  const areas = mostFirst(busy.map((one) => ({ ...one, name: areaOf(one.name) })));
  return { busyMs, idleMs: total - busyMs, functions, areas };
}

function sumOf(times: readonly SelfTime[]): number {
  return times.reduce((sum, { selfMs }) => sum + selfMs, 0);
}

/** Those of one name together. */
function mostFirst(times: readonly SelfTime[]): SelfTime[] {
  const byName = Map.groupBy(times, ({ name }) => name);
  return [...byName]
    .map(([name, some]) => ({ name, selfMs: sumOf(some) }))
    .sort((one, other) => other.selfMs - one.selfMs);
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
