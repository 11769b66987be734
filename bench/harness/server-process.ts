import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { atEnd } from './cleanup.ts';

export interface ServerProcessOptions {
  readonly env: Readonly<Record<string, string>>;
  /** Options of Node, which stand before the script. */
  readonly nodeOptions?: readonly string[];
}

/** Resident memory of a process, in MB. */
export interface ResidentMb {
  readonly now: number;
  /** The maximum since the process started. */
  readonly peak: number;
}

const STOP_MAX_MS = 20_000;
const OUTPUT_CHARACTERS_MAX = 10_000;

/** A server in a process of its own. It prints the address that it listens on. */
export class ServerProcess {
  /** http://host:port */
  readonly origin: string;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, origin: string) {
    this.#child = child;
    this.origin = origin;
  }

  /** @throws Error with the server's output if it exits before it listens */
  static async start(script: string, options: ServerProcessOptions): Promise<ServerProcess> {
    const child = spawn(process.execPath, [...(options.nodeOptions ?? []), script], {
      env: { PATH: process.env.PATH, TZ: 'UTC', NODE_ENV: 'production', PORT: '0', ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    atEnd(() => stop(child));
    const origin = await new Promise<string>((resolve, reject) => {
      let output = '';
      const read = (chunk: Buffer) => {
        output = `${output}${chunk}`.slice(-OUTPUT_CHARACTERS_MAX);
        const address = /http:\/\/127\.0\.0\.1:\d+/.exec(output)?.[0];
        if (address) resolve(address);
      };
      child.stdout.on('data', read);
      child.stderr.on('data', read);
      child.once('exit', () => reject(new Error(`${script} exited: ${output}`)));
    });
    return new ServerProcess(child, origin);
  }

  /** @returns undefined if the operating system has no /proc */
  async resident(): Promise<ResidentMb | undefined> {
    const status = await readFile(`/proc/${this.#child.pid}/status`, 'utf8').catch(() => undefined);
    if (status === undefined) return undefined;
    const megabytes = (key: string) =>
      Number(new RegExp(`${key}:\\s+(\\d+)`).exec(status)?.[1]) / 1_024;
    return { now: megabytes('VmRSS'), peak: megabytes('VmHWM') };
  }

  stop(): Promise<void> {
    return stop(this.#child);
  }
}

/** Ends a process by SIGTERM, and by SIGKILL if it does not exit in time. A process that has exited is fine. */
async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  const killTimer = setTimeout(() => child.kill('SIGKILL'), STOP_MAX_MS);
  await exited;
  clearTimeout(killTimer);
}
