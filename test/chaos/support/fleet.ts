import { setTimeout as sleep } from 'node:timers/promises';
import { type ServerProcess, startProcess } from '../../support/process.js';

/** Servers as an operator runs them: one that ends is started again. */
export interface Fleet {
  /** Of those that run. */
  readonly urls: readonly string[];
  /** Their process ids. */
  readonly pids: readonly number[];
  /** Servers that ended though nobody killed them, with what they said. */
  readonly crashes: readonly string[];
  /** What they wrote to standard error. */
  readonly stderrOutput: readonly string[];
  /** Lines of their logs at level error, parsed. */
  readonly errors: readonly Readonly<Record<string, unknown>>[];
  /** kill -9, of one that runs; resolved once it is dead. */
  kill(index: number): Promise<void>;
  /** Until each runs. */
  untilUp(): Promise<void>;
  /** Stops them in order. @returns their exit codes */
  stop(): Promise<(number | null)[]>;
}

/** Before a server that did not start is started again. */
const RESTART_MS = 200;

const LEVEL_ERROR = 50;

/** Lines that are kept; there is no need of more to see what goes wrong. */
const LINES_KEPT_MAX = 2_000;

export async function startFleet(count: number, env: NodeJS.ProcessEnv): Promise<Fleet> {
  const running: (ServerProcess | undefined)[] = Array.from({ length: count });
  const crashes: string[] = [];
  const stderrOutput: string[] = [];
  const errors: Record<string, unknown>[] = [];
  const killed = new Set<ServerProcess>();
  let isStopping = false;

  const collectOutput = ({ process: child }: ServerProcess) => {
    let rest = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      const lines = `${rest}${chunk}`.split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        if (!line.startsWith('{') || errors.length >= LINES_KEPT_MAX) continue;
        const entry = JSON.parse(line);
        if (entry.level >= LEVEL_ERROR) errors.push(entry);
      }
    });
    child.stderr?.on('data', (chunk: Buffer) => {
      if (stderrOutput.length < LINES_KEPT_MAX) stderrOutput.push(String(chunk));
    });
  };
  const keepRunning = async (index: number) => {
    while (!isStopping) {
      const server = await startProcess(env).catch(() => undefined);
      if (!server) {
        await sleep(RESTART_MS);
        continue;
      }
      collectOutput(server);
      const ended = new Promise<string>((resolve) => {
        server.process.once('exit', (code, signal) => resolve(`${code ?? signal}`));
      });
      running[index] = server;
      const ending = await ended;
      running[index] = undefined;
      if (!isStopping && !killed.has(server)) crashes.push(`It ended with ${ending}`);
    }
  };
  const untilUp = async () => {
    while (running.some((server) => !server)) await sleep(20);
  };
  for (let index = 0; index < count; index += 1) void keepRunning(index);
  await untilUp();
  return {
    get urls() {
      return running.flatMap((server) => server?.url ?? []);
    },
    get pids() {
      return running.flatMap((server) => server?.process.pid ?? []);
    },
    crashes,
    stderrOutput,
    errors,
    untilUp,
    kill: async (index) => {
      const server = running[index];
      if (!server) return;
      killed.add(server);
      await server.kill();
    },
    stop: async () => {
      isStopping = true;
      const codes: (number | null)[] = [];
      for (const server of running) if (server) codes.push(await server.stop());
      return codes;
    },
  };
}
