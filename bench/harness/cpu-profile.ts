/** Reads and cuts a .cpuprofile of V8: https://chromedevtools.github.io/devtools-protocol/tot/Profiler/#type-Profile */

/** The place of a function. Lines and columns count from 0. */
export interface CallFrame {
  readonly functionName: string;
  readonly url: string;
  readonly lineNumber: number;
  readonly columnNumber: number;
}

interface ProfileNode {
  readonly id: number;
  readonly callFrame: CallFrame;
}

export interface CpuProfile {
  /** Microseconds of the monotonic clock, which process.hrtime reads too. */
  readonly startTime: number;
  readonly endTime: number;
  readonly nodes: readonly ProfileNode[];
  /** The id of the running node, for each sample. */
  readonly samples: readonly number[];
  /** Microseconds between the previous sample and each sample. */
  readonly timeDeltas: readonly number[];
}

/** The time that a function or an area takes itself, without its callees. */
export interface SelfTime {
  readonly name: string;
  readonly selfMs: number;
}

export interface SelfTimes {
  /** Without the idle time of V8, in which the process waits for the network or for work. */
  readonly busyMs: number;
  readonly idleMs: number;
  /** The largest first. */
  readonly functions: readonly SelfTime[];
  /** The functions grouped by their purpose, the largest first. */
  readonly areas: readonly SelfTime[];
}

const IDLE = '(idle)';

const OTHER_AREA = 'the rest of Node.js';

/** The area of a function, by the name that nameOf returns. The first pattern that matches counts. */
const AREAS: readonly (readonly [title: string, names: RegExp])[] = [
  ['SQLite', /\/sqlite-dialect\.ts/],
  ['our own code', / (src|dist)\//],
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

/**
 * Returns the part of a profile between two moments.
 * @param fromUs microseconds of process.hrtime
 * @param toUs likewise
 */
export function cutProfile(profile: CpuProfile, fromUs: number, toUs: number): CpuProfile {
  let at = profile.startTime;
  const kept = profile.samples.flatMap((sample, index) => {
    const delta = profile.timeDeltas[index] ?? 0;
    at += delta;
    return at >= fromUs && at <= toUs ? [{ sample, delta, at }] : [];
  });
  const [first] = kept;
  return {
    ...profile,
    startTime: first ? first.at - first.delta : fromUs,
    endTime: kept.at(-1)?.at ?? toUs,
    samples: kept.map(({ sample }) => sample),
    timeDeltas: kept.map(({ delta }) => delta),
  };
}

/** Returns the time of each node itself, in ms. */
function selfMsByNode({ samples, timeDeltas }: CpuProfile): ReadonlyMap<number, number> {
  const selfMs = new Map<number, number>();
  for (const [at, id] of samples.entries()) {
    selfMs.set(id, (selfMs.get(id) ?? 0) + (timeDeltas[at] ?? 0) / 1_000);
  }
  return selfMs;
}

/** The place of a function that was compiled from text. Only MikroORM makes such functions. */
const COMPILED = 'compiled at run time';

/** Returns the name of a function with its package or file, and its line. */
function nameOf({ callFrame: { functionName, url, lineNumber } }: ProfileNode): string {
  const file = url.replace(/^.*\/node_modules\//, '').replace(/^file:\/\/.*\/(src|dist)\//, '$1/');
  const name = functionName || '(anonymous)';
  if (url !== '') return `${name}  ${file}:${lineNumber + 1}`;
  return lineNumber < 0 ? name : `${name}  ${COMPILED}`;
}

/** Returns the functions and areas by the time that they take themselves. */
export function selfTimes(profile: CpuProfile): SelfTimes {
  const selfMs = selfMsByNode(profile);
  const times = profile.nodes.map((node) => ({
    name: nameOf(node),
    selfMs: selfMs.get(node.id) ?? 0,
  }));
  const busy = times.filter(({ name }) => name !== IDLE);
  const total = sumOf(times);
  const busyMs = sumOf(busy);
  const functions = largestFirst(busy);
  const areas = largestFirst(busy.map((one) => ({ ...one, name: areaOf(one.name) })));
  return { busyMs, idleMs: total - busyMs, functions, areas };
}

function sumOf(times: readonly SelfTime[]): number {
  return times.reduce((sum, { selfMs }) => sum + selfMs, 0);
}

/** Adds up the times of each name. */
function largestFirst(times: readonly SelfTime[]): SelfTime[] {
  const byName = Map.groupBy(times, ({ name }) => name);
  return [...byName]
    .map(([name, some]) => ({ name, selfMs: sumOf(some) }))
    .sort((one, other) => other.selfMs - one.selfMs);
}
