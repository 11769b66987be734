/** A process of its own that is given jobs, one at a time, and answers with what it measured. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { atEnd } from './cleanup.ts';

type Answer<Result> = { readonly result: Result } | { readonly error: string };

export class Worker<Job extends object, Result> {
  readonly #child: ChildProcess;

  /** @param file beside this one */
  constructor(file: string, env: Readonly<Record<string, string>> = {}) {
    this.#child = fork(join(import.meta.dirname, file), {
      env: { ...process.env, ...env },
      serialization: 'advanced',
    });
    atEnd(() => this.stop());
  }

  /** @throws Error that names what went wrong in there */
  async run(job: Job): Promise<Result> {
    const exit = new AbortController();
    const exited = once(this.#child, 'exit', { signal: exit.signal }).then(() => {
      throw new Error(`${this.#child.spawnfile} ended while it had a job`);
    });
    const answered = once(this.#child, 'message', { signal: exit.signal });
    this.#child.send(job);
    try {
      const [answer]: Answer<Result>[] = await Promise.race([answered, exited]);
      if (!answer) throw new Error('An answer without content');
      if ('error' in answer) throw new Error(answer.error);
      return answer.result;
    } finally {
      exit.abort();
      exited.catch(() => {});
      answered.catch(() => {});
    }
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.disconnect();
    await exited;
  }
}

/**
 * The other side: does each job that comes, until nobody is there to send one.
 * @param end releases what would keep the process alive
 */
export function answerJobs<Job, Result>(
  work: (job: Job) => Promise<Result>,
  end: () => Promise<void>,
): void {
  process.on('message', (job: Job) => {
    const answer = (message: Answer<Result>) => {
      // Whoever gave the job may have gone meanwhile.
      if (process.connected) process.send?.(message);
    };
    work(job).then(
      (result) => answer({ result }),
      (error: unknown) =>
        answer({ error: error instanceof Error ? String(error.stack) : `${error}` }),
    );
  });
  process.once('disconnect', () => void end());
}
