import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { onTestFinished } from 'vitest';
import { Client } from './client.js';
import { endProcess } from './end-process.js';

/** A server in a separate process, as an operator starts it. */
export interface ServerProcess {
  readonly url: string;
  readonly client: Client;
  readonly process: ChildProcess;
  /** Returns the text that the server has printed. */
  output(): string;
  /** Kills the server with SIGKILL: it cannot finish anything. */
  kill(): Promise<void>;
  /** Stops the server with SIGTERM. @returns its exit code */
  stop(): Promise<number | null>;
}

/** The output and the exit code of a program. */
export interface ProgramResult {
  readonly code: number | null;
  readonly output: string;
}

/** The working folder and the user of a program, if they differ from those of the tests. */
export type RunOptions = Pick<SpawnOptions, 'cwd' | 'uid'>;

/** Keeps a developer's .env out of the tests, and reuses compiled code. */
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

/** Starts a server and waits until it listens. @param script its program, of another build for example */
export async function startProcess(
  env: NodeJS.ProcessEnv,
  script = 'dist/main.js',
): Promise<ServerProcess> {
  const child = start(script, [], {
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
