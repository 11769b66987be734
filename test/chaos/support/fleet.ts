import { setTimeout as sleep } from 'node:timers/promises';
import { type ServerProcess, startProcess } from '../../support/process.js';

/** Servers under the supervision of an operator: a server that ends is started again. */
export interface Fleet {
  /** URLs of the running servers. */
  readonly urls: readonly string[];
  /** Process ids of the running servers. */
  readonly pids: readonly number[];
  /** Exits of servers that the test did not kill. */
  readonly crashes: readonly string[];
  /** Text that the servers wrote to standard error. */
  readonly stderrOutput: readonly string[];
  /** Log entries of level error, parsed. */
  readonly errors: readonly Readonly<Record<string, unknown>>[];
  /** Kills a running server with SIGKILL. Resolves after its exit. */
  kill(index: number): Promise<void>;
  /** Waits until all servers run. */
  untilUp(): Promise<void>;
  /** Stops the servers one after the other. @returns their exit codes */
  stop(): Promise<(number | null)[]>;
}

/** Delay before a server that failed to start is started again. */
const RESTART_MS = 200;

const LEVEL_ERROR = 50;

/** Number of lines that are kept, which is enough to find a cause. */
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
