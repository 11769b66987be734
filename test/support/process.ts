import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { onTestFinished } from 'vitest';
import { Client } from './client.js';
import { endProcess } from './end-process.js';

/** The server as its operator starts it: a process of its own. */
export interface ServerProcess {
  readonly url: string;
  readonly client: Client;
  readonly process: ChildProcess;
  /** What it has printed. */
  output(): string;
  /** Ends it at once, with no chance to finish anything. */
  kill(): Promise<void>;
  /** Asks it to stop. @returns its exit code */
  stop(): Promise<number | null>;
}

/** What a program printed, and how it ended. */
export interface ProgramResult {
  readonly code: number | null;
  readonly output: string;
}

/** Where and as whom a program runs, if not as the tests do. */
export type RunOptions = Pick<SpawnOptions, 'cwd' | 'uid'>;

/** What a developer's .env says is not for tests; and code that was compiled once is not compiled again. */
const FOR_TESTS = {
  ENV_FILE: '/dev/null',
  NODE_COMPILE_CACHE: resolve('node_modules/.cache/virement-tests'),
};

function start(
  script: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  options: RunOptions = {},
): ChildProcess {
  const child = spawn(process.execPath, [resolve(script), ...args], {
    ...options,
    env: { PATH: process.env.PATH, ...FOR_TESTS, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(async () => {
    await endProcess(child, 'SIGKILL');
  });
  return child;
}

/** Starts dist/main.js and waits until it listens. */
export async function startProcess(env: NodeJS.ProcessEnv): Promise<ServerProcess> {
  const child = start('dist/main.js', [], {
    PORT: '0',
    SEED_DEMO: 'true',
    STOP_LINGER_MS: '0',
    ...env,
  });
  let output = '';
  const url = await new Promise<string>((found, reject) => {
    const read = (chunk: Buffer) => {
      output += chunk;
      const address = /(?:GraphiQL|Listening): (http:\/\/[^/]+)\//.exec(output)?.[1];
      if (address) found(address);
    };
    child.stdout?.on('data', read);
    child.stderr?.on('data', read);
    child.once('exit', (code) => reject(new Error(`It exited with ${code}: ${output}`)));
  });
  return {
    url,
    client: new Client(url),
    process: child,
    output: () => output,
    kill: async () => {
      await endProcess(child, 'SIGKILL');
    },
    stop: () => endProcess(child),
  };
}

/** Runs a script of dist to its end. */
export async function runScript(
  script: string,
  env: NodeJS.ProcessEnv,
  args: readonly string[] = [],
  options: RunOptions = {},
): Promise<ProgramResult> {
  const child = start(script, args, env, options);
  let output = '';
  const read = (chunk: Buffer) => {
    output += chunk;
  };
  child.stdout?.on('data', read);
  child.stderr?.on('data', read);
  const [code] = await once(child, 'close');
  return { code, output };
}
