/**
 * Runs the tests against servers of newer Debian releases, without installing them: npm run test:servers. Packages are
 * fetched once into .servers, unpacked there, and started from there on free ports of loopback.
 */
import { access, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { SERVERS, type Server } from './catalogue.ts';
import { fetchPackages, Unavailable } from './debian-packages.ts';
import { type Counts, runVitest } from './vitest.ts';

const CACHE = resolve('.servers');
const FETCH_SECONDS = 600;
const TEST_SECONDS = 3_600;

const USAGE = `npm run test:servers -- [options] [servers] [arguments of vitest]

Servers (all where none is named; "rabbitmq" names both of its releases):
  ${SERVERS.map(({ name }) => name).join('\n  ')}
Options:
  --refresh          fetches packages again
  --fetch-only       fetches packages, and tests nothing
  --fetch-seconds=N  longest time for the packages of a server, ${FETCH_SECONDS} by default
  --test-seconds=N   longest time for the tests on a server, ${TEST_SECONDS} by default
  --require          fails where a server can't be had
  --help
`;

interface CommandLine {
  readonly servers: readonly Server[];
  readonly isRefresh: boolean;
  readonly isFetchOnly: boolean;
  readonly isRequired: boolean;
  readonly fetchMs: number;
  readonly testMs: number;
  readonly vitestArgs: readonly string[];
}

interface Outcome {
  readonly name: string;
  readonly state: 'passed' | 'fetched' | 'FAILED' | 'NOT TESTED';
  /** The version that the server reports; empty if it did not start. */
  readonly version: string;
  readonly counts: Counts | undefined;
  readonly seconds: number;
  readonly reason: string;
}

const OPTION = /^--(refresh|fetch-only|require|help|(fetch|test)-seconds=\d+)$/;

/** Reads the command line: options and names of servers come first, then the arguments of vitest. */
function readCommandLine(args: readonly string[]): CommandLine {
  const options = new Set<string>();
  const named = new Set<Server>();
  let rest = args;
  for (; rest[0] !== undefined; rest = rest.slice(1)) {
    const [word] = rest;
    const servers = SERVERS.filter(({ name }) => name === word || name.startsWith(`${word}-`));
    if (servers.length === 0 && !OPTION.test(word)) break;
    for (const server of servers) named.add(server);
    if (servers.length === 0) options.add(word);
  }
  if (options.has('--help')) {
    process.stdout.write(USAGE);
    process.exit(0);
  }
  const msOf = (option: string, defaultSeconds: number) => {
    const given = [...options].find((word) => word.startsWith(`${option}=`));
    return Number(given?.split('=')[1] ?? defaultSeconds) * 1_000;
  };
  return {
    servers: named.size > 0 ? [...named] : SERVERS,
    isRefresh: options.has('--refresh'),
    isFetchOnly: options.has('--fetch-only'),
    isRequired: options.has('--require'),
    fetchMs: msOf('--fetch-seconds', FETCH_SECONDS),
    testMs: msOf('--test-seconds', TEST_SECONDS),
    vitestArgs: rest,
  };
}

async function testServer(
  server: Server,
  commandLine: CommandLine,
  signal: AbortSignal,
): Promise<Outcome> {
  const { name } = server;
  const startedAt = performance.now();
  const outcome = (state: Outcome['state'], found: Partial<Outcome>): Outcome => ({
    version: '',
    counts: undefined,
    reason: '',
    ...found,
    name,
    state,
    seconds: Math.round((performance.now() - startedAt) / 1_000),
  });
  try {
    const root = await unpacked(server, commandLine, signal);
    if (commandLine.isFetchOnly) return outcome('fetched', {});
    const { version, hasPassed, counts } = await runSuite(server, root, commandLine, signal);
    return outcome(hasPassed ? 'passed' : 'FAILED', { version, counts });
  } catch (error) {
    const cause = signal.aborted ? signal.reason : error;
    const reason = cause instanceof Error ? cause.message : String(cause);
    return outcome(error instanceof Unavailable ? 'NOT TESTED' : 'FAILED', { reason });
  }
}

/** @returns the folder with the server's programs */
async function unpacked(
  server: Server,
  commandLine: CommandLine,
  signal: AbortSignal,
): Promise<string> {
  const folder = join(CACHE, server.name);
  if (commandLine.isRefresh) await rm(folder, { recursive: true, force: true });
  const isThere = await access(folder).then(
    () => true,
    () => false,
  );
  if (isThere) return folder;
  printHeading(`fetching ${server.packages.join(', ')} of Debian ${server.suite}`);
  const timeout = AbortSignal.timeout(commandLine.fetchMs);
  try {
    await fetchPackages(server, folder, AbortSignal.any([signal, timeout]));
  } catch (error) {
    if (!timeout.aborted) throw error;
    throw new Unavailable(`not fetched within ${commandLine.fetchMs / 1_000} s`, { cause: error });
  }
  return folder;
}

async function runSuite(
  server: Server,
  root: string,
  commandLine: CommandLine,
  signal: AbortSignal,
) {
  const running = await server.start(root, signal).catch((error: Error) => {
    throw new Unavailable(`it does not start: ${error.message}`, { cause: error });
  });
  const timeout = AbortSignal.timeout(commandLine.testMs);
  try {
    printHeading(`${server.name}: version ${running.version}`);
    const hasProjects = commandLine.vitestArgs.some((word) => word.startsWith('--project'));
    const projects = hasProjects ? [] : server.projects.map((project) => `--project=${project}`);
    const args = [...projects, ...running.args, ...commandLine.vitestArgs];
    const result = await runVitest(args, running.env, AbortSignal.any([signal, timeout]));
    return { version: running.version, ...result };
  } catch (error) {
    if (!timeout.aborted) throw error;
    throw new Error(`the tests took longer than ${commandLine.testMs / 1_000} s`, { cause: error });
  } finally {
    await running.stop();
  }
}

function printHeading(text: string): void {
  process.stdout.write(`\n=== ${text}\n`);
}

const COLUMNS = ['server', 'version', 'result', 'passed', 'failed', 'skipped', 'seconds'] as const;

function printTable(outcomes: readonly Outcome[]): void {
  const rows = outcomes.map(({ name, version, state, counts, seconds }) => [
    name,
    version,
    state,
    ...[counts?.passed, counts?.failed, counts?.skipped].map((count) => String(count ?? '')),
    String(seconds),
  ]);
  const widths = COLUMNS.map((title, index) =>
    Math.max(title.length, ...rows.map((row) => row[index]?.length ?? 0)),
  );
  printHeading('servers');
  for (const row of [[...COLUMNS], ...rows]) {
    const cells = row.map((cell, index) => cell.padEnd(widths[index] ?? 0));
    process.stdout.write(`${cells.join('  ').trimEnd()}\n`);
  }
  for (const { name, state, reason } of outcomes) {
    if (reason) process.stdout.write(`\n*** ${state}: ${name}. ${reason} ***\n`);
  }
}

const commandLine = readCommandLine(process.argv.slice(2));
const abortController = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => abortController.abort(new Error(`ended by ${signal}`)));

const outcomes: Outcome[] = [];
for (const server of commandLine.servers) {
  if (!abortController.signal.aborted)
    outcomes.push(await testServer(server, commandLine, abortController.signal));
}
printTable(outcomes);
const isFailed = ({ state }: Outcome) =>
  state === 'FAILED' || (state === 'NOT TESTED' && commandLine.isRequired);
process.exitCode = abortController.signal.aborted || outcomes.some(isFailed) ? 1 : 0;
